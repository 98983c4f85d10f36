#include "sim/venues.hpp"

#include <algorithm>

namespace mp::sim {

void Venues::add(std::vector<std::string> paths, std::unique_ptr<Venue> venue) {
  entries_.push_back({std::move(paths), std::move(venue)});
}

Venue* Venues::of(std::string_view target) const {
  Venue* best = nullptr;
  std::size_t longest = 0;
  for (const auto& entry : entries_)
    for (const auto& path : entry.paths)
      if (target.starts_with(path) && (best == nullptr || path.size() > longest)) {
        best = entry.venue.get();
        longest = path.size();
      }
  return best;
}

std::optional<ConnectionRules> Venues::open(ClientId client, std::string_view target) {
  Venue* venue = of(target);
  if (venue == nullptr) return std::nullopt;
  auto rules = venue->open(client, target);
  if (!rules) return std::nullopt;
  clients_[client] = venue;
  faults_.opened(client, *venue);
  return rules;
}

void Venues::text(ClientId client, std::string_view frame) {
  const auto found = clients_.find(client);
  if (found != clients_.end()) found->second->text(client, frame);
}

void Venues::closed(ClientId client) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;
  found->second->closed(client);
  clients_.erase(found);
  faults_.closed(client);
}

std::string Venues::farewell(ClientId client, WallTime now) {
  const auto found = clients_.find(client);
  return found == clients_.end() ? "" : found->second->farewell(client, now);
}

HttpAnswer Venues::rest(const HttpRequest& request, WallTime now) {
  if (Venue* venue = of(request.target)) return venue->rest(request, now);
  HttpAnswer answer;
  answer.status = 404;
  answer.body = R"({"error":"no simulated venue has this path"})";
  return answer;
}

bool Venues::advance(WallTime now) {
  bool up_to_date = true;
  for (const auto& entry : entries_) up_to_date &= entry.venue->advance(now);
  if (up_to_date) faults_.advance(now);
  return up_to_date;
}

std::optional<WallTime> Venues::next_due() const {
  std::optional<WallTime> first;
  for (const auto& entry : entries_)
    if (const auto due = entry.venue->next_due(); due && (!first || *due < *first)) first = due;
  return first;
}

void Venues::finish(WallTime now) {
  for (const auto& entry : entries_) entry.venue->finish(now);
}

std::uint64_t Venues::trades() const {
  std::uint64_t sum = 0;
  for (const auto& entry : entries_) sum += entry.venue->trades();
  return sum;
}

}  // namespace mp::sim
