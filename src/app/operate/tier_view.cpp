#include "app/operate/tier_view.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <vector>

#include "base/text.hpp"

namespace mp::operate {
namespace {

namespace dom = simdjson::dom;

std::uint64_t number(const dom::element& object, const char* key) {
  std::uint64_t value = 0;
  [[maybe_unused]] const auto absent = object[key].get(value);
  return value;
}
std::string text(const dom::element& object, const char* key) {
  std::string_view value;
  return object[key].get(value) == simdjson::SUCCESS ? std::string(value) : "";
}
std::vector<std::string> texts(const dom::element& object, const char* key) {
  std::vector<std::string> out;
  dom::array items;
  if (object[key].get(items) != simdjson::SUCCESS) return out;
  for (const dom::element item : items)
    if (std::string_view value; item.get(value) == simdjson::SUCCESS) out.emplace_back(value);
  return out;
}

struct Row {
  std::string table, last_verified;
  std::uint64_t waiting = 0;
};

std::string days(std::uint64_t count) { return fmt::format("{} day{}", count, count == 1 ? "" : "s"); }

}  // namespace

std::string long_time(std::uint64_t seconds) {
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min", seconds / 60);
  if (seconds < 86'400) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{} d {} h", seconds / 86'400, seconds / 3600 % 24);
}

Result<TierView> tier_view(std::string_view json, const Screen& screen) {
  dom::parser parser;
  dom::element tiers;
  dom::object tables;
  if (parser.parse(json.data(), json.size()).get(tiers) != simdjson::SUCCESS ||
      tiers["tables"].get(tables) != simdjson::SUCCESS)
    return Error{Errc::corrupt, "tiers", "no state of the tiers: " + shortened(json, 80)};
  const auto expiring = texts(tiers, "expiring");
  const auto conflicts = texts(tiers, "conflicts");
  const auto trouble = text(tiers, "trouble");
  bool has_looked = true;
  [[maybe_unused]] const auto absent = tiers["looked"].get(has_looked);
  std::vector<Row> rows;
  std::uint64_t waiting = 0;
  std::size_t width = std::string_view("table").size();
  for (const auto& [name, table] : tables) {
    rows.push_back({std::string(name), text(table, "last_verified"), number(table, "days_waiting")});
    waiting += rows.back().waiting;
    width = std::max(width, rows.back().table.size());
  }

  TierView view;
  view.is_well = expiring.empty() && conflicts.empty();
  auto& out = view.text;
  const auto line = [&](const char* label, const std::string& value, Colour colour) {
    out += fmt::format("{:<11}", label) + painted(value, colour, screen.has_colours) + "\n";
  };
  const auto each = [&](const char* label, const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < names.size(); ++i) line(i == 0 ? label : "", names[i], Colour::red);
  };
  if (!has_looked)
    line("waiting", "not every day has been looked at yet", Colour::dim);
  else if (waiting == 0)
    line("waiting", "nothing: every day that is due is verified in the cold database", Colour::green);
  else
    line("waiting", fmt::format("{}, the oldest for {}", days(waiting), long_time(number(tiers, "lag_seconds"))),
         Colour::yellow);
  line("done",
       fmt::format("{} rows copied, {} verified, {} dropped from the hot tables", number(tiers, "rows_copied"),
                   days(number(tiers, "days_verified")), number(tiers, "days_dropped")),
       Colour::plain);
  if (!trouble.empty()) line("trouble", trouble, Colour::yellow);
  each("expiring", expiring);
  each("conflict", conflicts);
  if (rows.empty()) return view;
  out += "\n" +
         painted(fmt::format("{:<{}}  {:<13}  {:>12}", "table", width, "last verified", "days waiting"), Colour::bold,
                 screen.has_colours) +
         "\n";
  for (const auto& row : rows)
    out += fmt::format("{:<{}}  {:<13}  {:>12}\n", row.table, width,
                       row.last_verified.empty() ? "-" : row.last_verified, row.waiting);
  return view;
}

}  // namespace mp::operate
