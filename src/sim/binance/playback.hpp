#pragma once
// Recorded websocket messages and REST answers, served over the paths of the simulated Binance with their own pace.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sim/binance/switchboard.hpp"
#include "sim/venue.hpp"

namespace mp::sim::binance {

// One capture file, decoded. Times count from the file's first received line.
struct Recording {
  struct Message {
    Nanos at{};
    Section section{};
    std::string stream;
    std::string data;  // the payload inside of the combined wrapper
  };
  struct Answer {
    Nanos at{};
    std::string target;  // path and query as recorded
    std::string body;
  };
  std::string name;
  std::vector<Message> messages;
  std::vector<Answer> answers;
  std::uint64_t skipped = 0;        // received lines that cannot be served: other venues, no stream name
  std::uint64_t broken = 0;         // lines that are no capture lines
  std::vector<Error> first_broken;  // of them the first few, by file and line
};

// Appends what one line of a capture holds. Errc::not_json, missing_field or bad_time for a line that is no capture
// line.
class RecordingReader {
 public:
  explicit RecordingReader(std::string name) { recording_.name = std::move(name); }
  Result<bool> line(std::string_view text);
  Recording take() { return std::move(recording_); }

 private:
  Recording recording_;
  std::optional<WallTime> first_;
};

struct PlaybackOptions {
  double speed = 1.0;
  // Between the first subscription to one of a recording's streams and its first message, so that the client's other
  // sockets are there too.
  Nanos start_delay{std::chrono::seconds{1}};
  Limits limits;
};

class Playback final : public Venue, private Switchboard::Listener {
 public:
  Playback(std::vector<Recording> recordings, const PlaybackOptions& options, Delivery& delivery);

  std::optional<ConnectionRules> open(ClientId client, std::string_view target) override;
  void text(ClientId client, std::string_view frame) override { switchboard_.text(client, frame); }
  void closed(ClientId client) override { switchboard_.closed(client); }
  HttpAnswer rest(const HttpRequest& request, WallTime now) override;
  bool advance(WallTime now) override;
  std::optional<WallTime> next_due() const override;
  // Every recording has begun and ended. One with REST answers alone has nothing to play.
  bool done() const override;
  void finish(WallTime) override {}
  std::string farewell(ClientId client, WallTime now) override { return switchboard_.farewell(client, now); }
  std::uint64_t trades() const override { return played_; }

  std::uint64_t played() const { return played_; }    // messages whose time came
  std::uint64_t unheard() const { return unheard_; }  // of them, those that nobody was subscribed to

 private:
  using StreamKey = std::pair<Section, std::string>;
  struct Tape {
    Recording recording;
    std::size_t next = 0;
    bool wanted = false;               // one of its streams has been subscribed
    std::optional<WallTime> begun_at;  // its time zero
  };
  struct Stored {
    std::size_t tape = 0;
    Nanos at{};
    std::string body;
  };

  void started(Channel& channel) override;
  void stopped(Channel& channel) override;
  WallTime due(const Tape& tape) const;
  void play(const Recording::Message& message);

  PlaybackOptions options_;
  Switchboard switchboard_;
  std::vector<Tape> tapes_;
  std::map<StreamKey, std::vector<std::size_t>> tapes_of_;
  std::map<StreamKey, std::vector<Channel*>> channels_;
  std::map<std::string, std::vector<Stored>, std::less<>> answers_;
  WallTime now_;
  std::uint64_t played_ = 0, unheard_ = 0;
};

}  // namespace mp::sim::binance
