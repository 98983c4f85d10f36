#pragma once
// Reading a durable pull consumer with explicit requests (nats.c's own pull subscription renews its
// request only when a message arrives and can stay silent after a broker restart).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "nats/connection.hpp"
#include "nats/jetstream.hpp"

namespace mp::nats {

struct Delivered {
  Message message;  // reply is the address of the acknowledgement
  std::uint64_t stream_sequence = 0;
  std::uint64_t consumer_sequence = 0;
  std::uint64_t deliveries = 1;  // > 1: delivered before
  std::uint64_t pending = 0;     // of the consumer, after this message
  WallTime stored_at;
};

struct FetchLimits {
  std::size_t max_messages = 1'000;
  std::size_t max_bytes = 8 << 20;  // of what the server sends; a single larger message still comes
};

// Messages come in the order of the stream, each once, without a hole: what the server delivered on a
// connection that broke (or to an earlier process that never acknowledged it) would be delivered again only
// after ack_wait, behind newer messages, and an acknowledgement of a newer one would cover it. So such
// messages are read from the stream itself before anything newer is handed out, from the consumer's ack
// floor on; deliveries at or below the highest message taken are dropped.
//
// Runs on: one thread at a time. Outlives: nothing; the Connection must outlive it.
class PullConsumer {
 public:
  // `consumer` must exist (JetStream::ensure_consumer). Begins after its ack floor.
  static Result<std::unique_ptr<PullConsumer>> open(Connection& connection, std::string_view stream,
                                                    std::string_view consumer);
  ~PullConsumer();
  PullConsumer(const PullConsumer&) = delete;
  PullConsumer& operator=(const PullConsumer&) = delete;

  // Waits at most `timeout` for the first message, then takes what is there. Empty when nothing came.
  // Any failure is safe to retry with the next call (Errc::unavailable: connection down, no leader, consumer
  // deleted), except Errc::conflict: the stream or the consumer was made anew, open another PullConsumer.
  Result<std::vector<Delivered>> fetch(const FetchLimits& limits, milliseconds timeout);

  // Acknowledges this message and all before it (ack_policy all) and waits for the server's confirmation.
  // Errc::timeout: not known whether it counted; asking again is safe.
  Result<void> ack_through(const Delivered& message, milliseconds timeout);
  // The server's ack_wait of this message begins anew.
  Result<void> working_on(const Delivered& message);
  // The consumer as it was when this object was opened; ack floor included.
  const ConsumerInfo& opened_at() const;

 private:
  struct Impl;
  explicit PullConsumer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Reads subject and headers, not the payload, of all messages with sequences in (after, through], in order, each once;
// `take` may be called some thousand times a call. By an ephemeral consumer that the server forgets by itself.
Result<void> scan_headers(Connection& connection, std::string_view stream, std::uint64_t after, std::uint64_t through,
                          const std::function<void(Delivered&&)>& take);

}  // namespace mp::nats
