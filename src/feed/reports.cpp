#include "feed/reports.hpp"

#include <fmt/format.h>

#include <array>

namespace mp {
namespace {

// True when the name is counted for the first time.
template <class Counts>
bool raise(Counts& counts, std::string_view name) {
  auto found = counts.find(name);
  const bool is_new = found == counts.end();
  if (is_new) found = counts.emplace(counts.size() < Reports::kMostNames ? std::string(name) : "others", 0).first;
  ++found->second;
  return is_new && found->second == 1;
}

}  // namespace

Reports::Reports(const SessionOptions& options, MarketType kind)
    : exchange_(options.source.exchange),
      kind_(kind),
      data_source_(options.data_source),
      max_clock_distance_(options.max_clock_distance) {}

void Reports::reject(InstrumentRef instrument, std::optional<DataType> type, std::string reason, std::string_view raw,
                     WallTime now, std::vector<MarketEvent>& out) const {
  Rejected event;
  event.exchange = exchange_;
  event.market_type = instrument ? instrument->market_type : kind_;
  event.meta = {std::move(instrument), now, now, data_source_};
  event.data_type = type;
  event.reason = std::move(reason);
  event.raw = raw;
  out.emplace_back(std::move(event));
}

void Reports::unknown_instrument(std::string_view venue_symbol, DataType type, std::string_view raw, WallTime now,
                                 std::vector<MarketEvent>& out) const {
  reject(nullptr, type, fmt::format("instrument '{}' is not in the catalogue", venue_symbol), raw, now, out);
}

std::optional<std::string> Reports::too_distant(WallTime timestamp, WallTime now) const {
  if (max_clock_distance_.count() == 0) return std::nullopt;
  const auto distance = timestamp < now ? now - timestamp : timestamp - now;
  if (distance <= max_clock_distance_) return std::nullopt;
  return fmt::format("timestamp {} is more than {} h from its receive time", iso(timestamp),
                     max_clock_distance_.count());
}

void Reports::unmapped(std::string_view name) { raise(unmapped_, name); }

void Reports::unknown(std::string_view name, const char* message) {
  if (raise(unknown_, name))
    untold_.push_back({Notice::Level::warning, message, fmt::format("exchange={} {}", exchange_, name)});
}

// Such a field may come with every message: no allocation for one that is counted already.
void Reports::unknown_field(std::string_view field) {
  std::array<char, 200> name;
  const auto end = fmt::format_to_n(name.begin(), name.size(), "field={}", field).out;
  unknown({name.data(), static_cast<std::size_t>(end - name.begin())}, "the venue sends a field that is new to us");
}

void Reports::unknown_value(std::string_view field, std::string_view value) {
  std::array<char, 200> name;
  const auto end = fmt::format_to_n(name.begin(), name.size(), "field={} value={}", field, value).out;
  unknown({name.data(), static_cast<std::size_t>(end - name.begin())}, "the venue sends a value that is new to us");
}

void Reports::tell(std::vector<Notice>& out) {
  for (auto& notice : untold_) out.push_back(std::move(notice));
  untold_.clear();
}

void Reports::count(SessionCounters& out) const {
  out.unmapped.assign(unmapped_.begin(), unmapped_.end());
  out.unknown.assign(unknown_.begin(), unknown_.end());
}

}  // namespace mp
