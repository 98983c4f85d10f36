#pragma once
// REST requests that are made again and again: what, how often, what after a failure. Part of a conversation: on the
// monotonic clock, asks (Outbox: requests, notices, wake_at), never publishes. One thread.
//
// The first request of each comes soon after add(), those after it are spread over the period, so that a hundred
// instruments are not all asked for at once; how far each is moved follows from its key, so it is the same every time.

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/backoff.hpp"
#include "feed/session.hpp"
#include "feed/wake.hpp"

namespace mp {

class PollSchedule {
 public:
  // Requests that have not been answered after this have failed (they may wait long for their budget).
  static constexpr std::chrono::minutes kAnswerAtMost{5};
  // So many failures in a row are told as a silence (state()); fewer are a hiccup.
  static constexpr int kFailuresToTell = 3;

  struct Poll {
    std::string key;  // unique: "open-interest BTCUSDT"
    // The whole address, which tells this poll's answers: no other poll's. Called for each request, with its time:
    // history endpoints want a range of it.
    std::function<std::string(Instant)> url;
    std::chrono::seconds period{60};
    std::chrono::seconds first_within{10};  // after add(); 0: at once
    std::vector<BudgetCharge> charges{};
    int priority = 0;
    // After a failure; for ever. It never waits longer than the longer of the cap and the period.
    BackoffPolicy after_failure{std::chrono::seconds{1}, std::chrono::seconds{60}};
  };

  explicit PollSchedule(Wake& wake) : wake_(wake) {}

  // Forgets all polls.
  void begin() { polls_.clear(); }
  // A poll of the same key is replaced, keeping its times. The request is made by the next tick(), at once when it is
  // due: so polls may be added from within any call.
  void add(Poll poll, Instant now, Outbox& out);
  void remove(std::string_view key);
  bool has(std::string_view key) const { return polls_.contains(key); }
  // From its next request on. A shorter period makes that request come earlier.
  void set_period(std::string_view key, std::chrono::seconds period, Instant now, Outbox& out);
  // Asks at once, unless it is under way or waits after a failure.
  void hurry(std::string_view key, Instant now, Outbox& out);

  // The key of the poll whose request this is, when one is under way.
  std::optional<std::string_view> find(std::string_view url) const;
  // A usable answer came; nothing happens when `url` is no poll's.
  void answered(std::string_view url, Instant now, Outbox& out);
  // None came, or none that can be used. `reason` is for the log.
  void failed(std::string_view url, std::string_view reason, Instant now, Outbox& out);

  void tick(Instant now, Outbox& out);

  std::size_t size() const { return polls_.size(); }
  // Polls whose last request failed.
  std::size_t failing() const;
  // For /health, whatever the answers held (a statistic may have no rows): `waiting` for its first usable answer, then
  // `live`, or `silent` while requests fail one after the other.
  StreamState state(std::string_view key) const;

 private:
  struct Entry {
    Poll poll;
    MonoTime due;
    MonoTime regular;       // when the one after it is due
    std::string asked_url;  // while under way
    MonoTime asked_at;
    int failures = 0;  // in a row
    bool ever_answered = false;
  };

  Entry* under_way(std::string_view url);
  void ask(Entry& entry, Instant now, Outbox& out);
  void fail(Entry& entry, std::string_view reason, Instant now, Outbox& out);

  Wake& wake_;
  std::map<std::string, Entry, std::less<>> polls_;
};

}  // namespace mp
