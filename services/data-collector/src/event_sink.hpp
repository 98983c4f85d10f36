#pragma once
// What the collector needs of the bus: events go in, an acknowledged position comes out.
// The real one publishes to JetStream (sinks/jetstream); tests have one that fails on purpose.
//
// Runs on: the collector's loop thread.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/raw_record.hpp"

namespace mp::collector {

struct SinkStatus {
  std::string state = "connecting";  // for people
  bool publishing = false;           // what is offered goes out now
  std::uint64_t outstanding = 0;     // messages that wait to be sent or acknowledged
  std::uint64_t events = 0;          // acknowledged since the start
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t resent = 0;
  std::uint64_t refusals = 0;                  // answers that refused a message: a full stream
  std::uint64_t already_stored = 0;            // events that the stream had when they were offered
  std::optional<RecordPosition> highest_seen;  // of this journal, in the stream, when it was read back
};

class EventSink {
 public:
  enum class Offer { taken, full };

  struct Callbacks {
    // After `full`: there is room again. Called on the loop, never from within offer().
    std::function<void()> ready_for_more;
    // The bus lost what it had acknowledged: offer everything of records after this one again.
    std::function<void(RecordPosition)> rewind;
  };

  virtual ~EventSink() = default;
  virtual void set_callbacks(Callbacks callbacks) = 0;

  // Whether the bus can take such an event at all. One that does not fit must not be offered.
  virtual bool fits(std::string_view /*line*/) const { return true; }
  // `line` is one event as JSON without a line end. `full`: it was not taken.
  virtual Offer offer(std::string_view subject, EventPosition position, std::string_view line) = 0;
  // All events of the records up to this one have been offered.
  virtual void offered_through(RecordPosition position) = 0;
  // Everything offered of the records up to this one is stored in the stream. {0, 0}: nothing is.
  virtual RecordPosition acked_through() const = 0;

  virtual SinkStatus status() const = 0;
  // Notes where it stands, for the next start. Nothing may be offered afterwards.
  virtual void stop() = 0;
};

}  // namespace mp::collector
