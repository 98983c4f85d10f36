#pragma once
// The collector's way onto the bus: drives a Publisher with a real connection. The decisions are the Publisher's
// (publisher.hpp); here are the socket, the clock, the cursor file and two threads.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "nats/connection.hpp"
#include "nats/jetstream.hpp"
#include "sinks/jetstream/publisher.hpp"

namespace mp::jetstream {

struct SinkOptions {
  nats::ConnectionOptions connection;
  nats::StreamConfig stream;
  bool change_stream = false;         // bring an existing stream's settings to `stream`
  std::filesystem::path cursor_file;  // in the journal's directory
  PublisherOptions publisher;         // journal and journal_is_new must be set
};

// All run on the owner's thread, inside a call to the Sink or inside a posted task. They may call offer().
struct SinkCallbacks {
  std::function<void()> ready_for_more;                     // after `full`, when there is room again
  std::function<void(const RecordPosition& after)> rewind;  // offer again all events of later records
  std::function<void(const Rejected&)> rejected;            // will never be published: too large
  std::function<void(Level, const std::string&)> note;      // for the log
};

// Runs on: the thread that made it (its owner's loop). `post` must run the task on that thread later and may be
// called on any thread; tasks that run after the Sink has died do nothing.
class Sink {
 public:
  // Reads the cursor file; a damaged one is an Error (remove it to read back the whole stream instead).
  static Result<std::unique_ptr<Sink>> open(SinkOptions options, SinkCallbacks callbacks,
                                            std::function<void(std::function<void()>)> post);
  ~Sink();  // without stop(): as if killed
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // Begins connecting; goes on for ever. Offers may come at once: they wait.
  void start();
  // Finishes what was offered, saves the cursor, disconnects. False when `timeout` passed before everything was
  // acknowledged: the rest is published after the next start.
  bool stop(milliseconds timeout);

  // Whether an event can be published at all; one that does not fit must not be offered.
  bool fits(std::string_view json) const;
  // The first offer after opening is the first event of a record later than acked_through().
  // Positions rise within a subject; records rise over all offers, except after `rewind`.
  // `json` is one event without line end.
  Offer offer(std::string_view subject, const EventPosition& position, std::string_view json);
  // All events of records up to this one have been offered.
  void offered_through(const RecordPosition& record);
  // Everything offered of records up to this one is stored in the stream.
  RecordPosition acked_through() const;

  PublisherState state() const;
  bool connected() const;
  bool uses_fast_ingest() const;
  const PublisherCounters& counters() const;
  std::size_t outstanding_messages() const;
  std::size_t outstanding_bytes() const;
  std::optional<Nanos> oldest_unacknowledged() const;
  // The highest position of this journal that the stream was seen to hold: new segments go above it. Known
  // once state() is publishing.
  std::optional<EventPosition> highest_seen() const;
  // Of the last description of the stream.
  std::optional<nats::StreamInfo> stream_info() const;

 private:
  struct Impl;
  explicit Sink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mp::jetstream
