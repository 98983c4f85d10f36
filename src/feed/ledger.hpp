#pragma once
// What was subscribed, what the venue has confirmed, and what really delivers: an acknowledgement is no proof of a
// subscription (some venues confirm names that they do not know, or serve elsewhere). So the first data of each
// stream is watched, and afterwards its silence, against the rate that the stream itself has shown. Where nothing need
// come at all (trades of an option), only a stream that has shown a rate for long enough can be found silent.
//
// Decides only about conversation (never about what is published), so it runs on the monotonic clock.

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.hpp"
#include "feed/session.hpp"

namespace mp {

class SubscriptionLedger {
 public:
  using StreamId = std::uint32_t;

  // How patient to be with one kind of stream: books of traded instruments change all the time, trades may not come
  // for minutes.
  struct Patience {
    std::chrono::seconds ack{10};
    std::chrono::seconds first_data{30};
    std::chrono::seconds silence_at_least{20};
    // No silence is suspicious (liquidations of a quiet market): the answer alone counts, first data is not waited for.
    bool may_be_silent = false;
    // Nothing need come for long, or ever (trades: most options have none for days). The answer counts, first data is
    // not waited for; silence is judged only by a rate that was watched for kListenedTimes the silence that it allows.
    bool only_by_rate = false;
  };
  static constexpr int kListenedTimes = 6;
  // Patience is not doubled beyond this.
  static constexpr std::chrono::seconds kPatienceAtMost{3600};

  enum class Trouble { no_answer, no_first_data, silent };
  struct Finding {
    StreamId stream;
    Trouble trouble;
    std::chrono::seconds lasted;
  };

  StreamId add(const Patience& patience);
  // Forgets all about a stream: its number now stands for another one.
  void renew(StreamId stream, const Patience& patience) { entries_[stream] = {.patience = patience}; }
  void requested(StreamId stream, MonoTime now);  // a subscription was sent
  void confirmed(StreamId stream, MonoTime now);  // the venue said yes to it
  void refused(StreamId stream);                  // or no
  // Data of a stream came (in hot paths: no search, no allocation).
  void data(StreamId stream, MonoTime now);
  // Its connection is gone; what was learnt about its rate stays.
  void disconnected(StreamId stream);
  // It will be requested again over the same connection. Where that brings no data by itself (only_by_rate), a pause
  // goes on, and its length is learnt when data ends it.
  void asked_again(StreamId stream);

  // What is overdue by `now`. Each finding doubles the stream's patience, so that a stream that will never speak
  // is not asked about for ever at the same pace; data brings the patience back.
  void overdue(MonoTime now, std::vector<Finding>& out);

  StreamState state(StreamId stream) const { return entries_[stream].state; }
  const Patience& patience(StreamId stream) const { return entries_[stream].patience; }
  bool has_data(StreamId stream) const {
    return entries_[stream].state == StreamState::live && entries_[stream].has_data;
  }
  std::optional<MonoTime> confirmed_at(StreamId stream) const { return entries_[stream].confirmed_at; }
  // How long this stream may be silent before something is wrong.
  std::chrono::nanoseconds silence_limit(StreamId stream) const;
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Patience patience{};
    StreamState state = StreamState::waiting;
    bool has_data = false;      // since it was last requested
    bool found_silent = false;  // and no data since
    MonoTime since{};           // requested, confirmed or last data, by state
    std::optional<MonoTime> confirmed_at{};
    std::optional<MonoTime> gap_since{};  // what the present pause is measured from; none while nobody listens
    std::int64_t mean_gap_ns = 0;
    std::int64_t longest_gap_ns = 0;
    std::int64_t listened_ns = 0;  // all gaps together
    int doublings = 0;
  };
  static std::chrono::nanoseconds allowed_silence(const Entry& entry);
  static bool is_judged(const Entry& entry);
  std::vector<Entry> entries_;
};

}  // namespace mp
