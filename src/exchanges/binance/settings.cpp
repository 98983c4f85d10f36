#include "exchanges/binance/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.hpp"

namespace mp::binance {
namespace {

using namespace std::chrono_literals;

constexpr std::pair<std::string_view, std::chrono::seconds> kPeriods[] = {{"5m", 5min}, {"15m", 15min}, {"30m", 30min},
                                                                          {"1h", 1h},   {"2h", 2h},     {"4h", 4h},
                                                                          {"6h", 6h},   {"12h", 12h},   {"1d", 24h}};

// Reads one key after the other; what is wrong with any of them is gathered.
class Reader {
 public:
  explicit Reader(const std::map<std::string, std::string>& table) : table_(table) {}

  void one_of(const char* key, std::string& value, const std::vector<std::string>& allowed) {
    const auto given = take(key);
    if (!given) return;
    if (std::ranges::find(allowed, *given) != allowed.end())
      value = *given;
    else
      wrong("{}: expected one of {}, saw '{}'", key, fmt::join(allowed, ", "), *given);
  }
  void seconds(const char* key, std::chrono::seconds& value, int least, int most) {
    const auto given = take(key);
    if (!given) return;
    int number = 0;
    const auto* const end = given->data() + given->size();
    const auto [at, error] = std::from_chars(given->data(), end, number);
    if (error == std::errc{} && std::string_view(at, static_cast<std::size_t>(end - at)) == "s" && number >= least &&
        number <= most)
      value = std::chrono::seconds{number};
    else
      wrong("{}: expected seconds from {}s to {}s, saw '{}'", key, least, most, *given);
  }
  Result<void> finish(const Source& source) {
    for (const auto& [key, value] : table_) {
      if (std::ranges::find(known_, key) != known_.end()) continue;
      const auto near = nearest(key, known_);
      wrong("unknown key '{}'{}", shortened(key), near.empty() ? "" : "; did you mean '" + near + "'?");
    }
    if (wrong_.empty()) return {};
    return Error{Errc::usage, "extra of " + source.text(), wrong_};
  }

 private:
  std::optional<std::string> take(const char* key) {
    known_.emplace_back(key);
    const auto found = table_.find(key);
    return found == table_.end() ? std::nullopt : std::optional{found->second};
  }
  template <class... Args>
  void wrong(fmt::format_string<Args...> text, Args&&... args) {
    if (!wrong_.empty()) wrong_ += "; ";
    fmt::format_to(std::back_inserter(wrong_), text, std::forward<Args>(args)...);
  }

  const std::map<std::string, std::string>& table_;
  std::vector<std::string> known_;
  std::string wrong_;
};

}  // namespace

Result<Settings> read_settings(const SessionOptions& options, Market market) {
  Settings out;
  Reader reader(options.extra);
  const bool spot = market == Market::spot;
  std::string time_unit = "ms";
  std::string limit = std::to_string(out.snapshot_limit);
  std::vector<std::string> speeds{"100ms", "1000ms"};
  std::vector<std::string> limits{"5", "10", "20", "50", "100", "500", "1000", "5000"};
  if (!spot) {
    speeds = {"100ms", "250ms", "500ms", "0ms"};
    limits.pop_back();
  }
  reader.one_of("trade_stream", out.trade_stream, {"aggTrade", "trade"});
  reader.one_of("depth_speed", out.depth_speed, speeds);
  reader.one_of("snapshot_limit", limit, limits);
  reader.one_of("time_unit", time_unit, {"ms", "us"});
  if (!spot) {
    std::vector<std::string> periods;
    for (const auto& [name, length] : kPeriods) periods.emplace_back(name);
    reader.one_of("mark_price_speed", out.mark_price_speed, {"3s", "1s"});
    reader.seconds("open_interest_every", out.open_interest_every, 1, 3600);
    reader.one_of("ratio_period", out.ratio_period, periods);
    for (const auto& [name, length] : kPeriods)
      if (name == out.ratio_period) out.ratio_length = length;
  }
  if (auto done = reader.finish(options.source); !done) return done.error();
  std::from_chars(limit.data(), limit.data() + limit.size(), out.snapshot_limit);
  out.microseconds = time_unit == "us";
  return out;
}

}  // namespace mp::binance
