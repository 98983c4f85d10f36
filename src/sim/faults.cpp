#include "sim/faults.hpp"

#include <algorithm>

namespace mp::sim {
namespace {

// Of all venues' books: an update, not a snapshot. What marks it stands near the beginning.
bool is_book_update(std::string_view text) {
  const auto head = text.substr(0, 200);
  for (const std::string_view mark : {"\"e\":\"depthUpdate\"", "\"action\":\"update\"", "\"type\":\"change\""})
    if (head.find(mark) != head.npos) return true;
  return false;
}

// Advances `at` to the first moment after `now`; true when it lay at or before it.
bool is_due(WallTime& at, Nanos every, WallTime now) {
  if (every <= Nanos{} || now < at) return false;
  at += ((now - at) / every + 1) * every;
  return true;
}

}  // namespace

Faults::Faults(const FaultOptions& options, WallTime start, Delivery& next)
    : options_(options),
      next_(next),
      drop_at_(start + options.drop_every),
      notice_at_(start + options.notice_every),
      skip_at_(start + options.skip_every) {}

void Faults::send(ClientId client, std::string_view text) {
  if (skip_ && is_book_update(text)) {
    skip_ = false;
    ++counters_.skipped;
    return;
  }
  next_.send(client, text);
}

std::map<ClientId, Venue*>::iterator Faults::next_client() {
  if (clients_.empty()) return clients_.end();
  auto found = clients_.upper_bound(turn_);
  if (found == clients_.end()) found = clients_.begin();
  turn_ = found->first;
  return found;
}

void Faults::advance(WallTime now) {
  if (is_due(skip_at_, options_.skip_every, now)) skip_ = true;
  if (is_due(drop_at_, options_.drop_every, now)) {
    if (const auto client = next_client(); client != clients_.end()) {
      ++counters_.dropped;
      next_.close(client->first, "simulated fault");
    }
  }
  if (is_due(notice_at_, options_.notice_every, now)) {
    if (const auto client = next_client(); client != clients_.end()) {
      ++counters_.noticed;
      const auto words = client->second->farewell(client->first, now);
      if (!words.empty()) next_.send(client->first, words);
      leaving_.emplace_back(now + options_.notice_before, client->first);
    }
  }
  std::erase_if(leaving_, [&](const auto& leaving) {
    if (now < leaving.first) return false;
    if (clients_.count(leaving.second) > 0) next_.close(leaving.second, "simulated maintenance");
    return true;
  });
}

}  // namespace mp::sim
