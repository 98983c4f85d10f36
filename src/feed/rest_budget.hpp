#pragma once
// What venues allow from one address, kept by name for all who ask: windows of units, the venues' own counts where they
// tell them, and their 429 / 418 / Retry-After. Pure: clocks are arguments. One thread.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "feed/session.hpp"

namespace mp {

// One limit: so many units in so long.
class RestBudget {
 public:
  // Takes over limit and window, which may change while it is in use (a venue's settings are read again).
  void configure(const BudgetCharge& charge);

  // When `units` may be spent so that no more than `percent` of the limit are; nothing: now.
  // More than the limit at once is let through alone, when nothing else is spent.
  std::optional<MonoTime> wait(int units, int percent, Instant now);
  void spend(int units, Instant now);
  // The venue's own count in the present window: it holds what others at our address have spent.
  void told_used(int units, Instant now);
  // Units of the present window, by the venue's count where it is higher.
  int used(Instant now);

  void block(MonoTime until) { blocked_until_ = blocked_until_ ? std::max(*blocked_until_, until) : until; }
  std::optional<MonoTime> blocked_until(MonoTime now) const {
    return blocked_until_ && now < *blocked_until_ ? blocked_until_ : std::nullopt;
  }
  int refusals = 0;  // 429 in a row

 private:
  void roll(Instant now);

  int limit_ = 0;
  std::chrono::milliseconds window_{60'000};
  // True: windows of the wall clock, as the venue counts them. False: any stretch of that length is one.
  bool of_the_clock_ = false;
  std::int64_t number_ = -1;  // of the present window of the clock
  int used_ = 0;
  struct Spent {
    MonoTime at;
    int units;
  };
  std::deque<Spent> spent_;  // not of the clock: oldest first
  std::optional<MonoTime> blocked_until_;
};

// The limits of all venues.
class RestBudgets {
 public:
  struct Wait {
    MonoTime until;
    std::string budget;  // which one is spent; or the host that wants no requests now
  };
  // Nothing: go ahead, every charge is spent. Otherwise nothing is.
  std::optional<Wait> take(const RestRequest& request, Instant now);
  // The same for an attempt to connect.
  std::optional<Wait> take(std::span<const BudgetCharge> charges, int percent_at_most, Instant now);

  // Call with each answer. `header` gives an answer's header by its name; 429 blocks the request's budgets (its host
  // where it has none), 418 the host: until Retry-After (seconds or a date), or ever longer where that is missing.
  using Header = std::function<std::optional<std::string_view>(std::string_view name)>;
  void answered(const RestRequest& request, int status, const Header& header, Instant now);

  // For metrics: every budget by name. `f(name, used, blocked)`.
  void visit(Instant now, const std::function<void(std::string_view, int used, bool blocked)>& f);

 private:
  RestBudget& get(const BudgetCharge& charge);

  std::map<std::string, RestBudget, std::less<>> budgets_;
  std::map<std::string, RestBudget, std::less<>> hosts_;  // "https://api.venue.com": blocked only, never spent
};

// Requests that wait for their budgets: highest priority first, then first come. One that cannot go yet lets others
// pass that want none of the same budgets; what is less important never takes what it waits for.
class RestQueue {
 public:
  explicit RestQueue(RestBudgets& budgets, std::size_t most = 4096) : budgets_(budgets), most_(most) {}

  // False: it is full.
  [[nodiscard]] bool push(RestRequest request);
  // One that may go now: its charges are spent. Nothing: call again at next_at().
  std::optional<RestRequest> pop(Instant now);
  std::optional<MonoTime> next_at() const { return next_at_; }
  std::size_t size() const { return waiting_.size(); }
  void clear() { waiting_.clear(); }

 private:
  struct Waiting {
    RestRequest request;
    std::uint64_t number;
  };
  RestBudgets& budgets_;
  const std::size_t most_;
  std::vector<Waiting> waiting_;  // in order
  std::uint64_t next_number_ = 0;
  std::optional<MonoTime> next_at_;
};

// Seconds, or a date (RFC 9110 10.2.3), as a wait from `now`; 60 s when it is neither. At most 72 h, at least 1 s.
std::chrono::seconds retry_after(std::string_view text, WallTime now);

}  // namespace mp
