#include "base/time.hpp"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

namespace mp {
namespace {

Error bad_time(std::string_view text) { return {Errc::bad_time, "time", std::string(text.substr(0, 64))}; }

// Reads exactly `width` digits at `pos` and moves past them.
bool read_digits(std::string_view text, std::size_t& pos, std::size_t width, std::int64_t& value) {
  if (pos + width > text.size()) return false;
  value = 0;
  for (std::size_t end = pos + width; pos < end; ++pos) {
    if (text[pos] < '0' || text[pos] > '9') return false;
    value = value * 10 + (text[pos] - '0');
  }
  return true;
}

bool read_char(std::string_view text, std::size_t& pos, std::string_view any_of) {
  if (pos >= text.size() || any_of.find(text[pos]) == any_of.npos) return false;
  ++pos;
  return true;
}

// Reads an optional fraction ".d…" of at most nine digits as nanoseconds.
bool read_fraction(std::string_view text, std::size_t& pos, std::int64_t& nanos) {
  nanos = 0;
  if (pos >= text.size() || text[pos] != '.') return true;
  ++pos;
  int digits = 0;
  for (; pos < text.size() && text[pos] >= '0' && text[pos] <= '9'; ++pos) {
    if (++digits > 9) {
      if (text[pos] != '0') return false;
      continue;
    }
    nanos = nanos * 10 + (text[pos] - '0');
  }
  if (digits == 0) return false;
  for (; digits < 9; ++digits) nanos *= 10;
  return true;
}

Result<WallTime> from_units(std::int64_t value, std::int64_t nanos_per_unit) {
  if (value < 0 || value > INT64_MAX / nanos_per_unit)
    return Error{Errc::bad_time, "epoch time", std::to_string(value)};
  return wall_from_nanos(value * nanos_per_unit);
}

}  // namespace

Result<WallTime> wall_from_millis(std::int64_t ms) { return from_units(ms, 1'000'000); }
Result<WallTime> wall_from_micros(std::int64_t us) { return from_units(us, 1'000); }

void append_iso(std::string& out, WallTime t) {
  using namespace std::chrono;
  const auto day = floor<days>(t);
  const year_month_day date{day};
  const hh_mm_ss<Nanos> clock{t - day};
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                 clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

std::string iso(WallTime t) {
  std::string out;
  append_iso(out, t);
  return out;
}

Result<WallTime> parse_iso(std::string_view text) {
  using namespace std::chrono;
  std::size_t pos = 0;
  std::int64_t y, mo, d, h, mi, s, ns;
  if (!read_digits(text, pos, 4, y) || !read_char(text, pos, "-") || !read_digits(text, pos, 2, mo) ||
      !read_char(text, pos, "-") || !read_digits(text, pos, 2, d) || !read_char(text, pos, "T ") ||
      !read_digits(text, pos, 2, h) || !read_char(text, pos, ":") || !read_digits(text, pos, 2, mi) ||
      !read_char(text, pos, ":") || !read_digits(text, pos, 2, s) || !read_fraction(text, pos, ns))
    return bad_time(text);
  const auto zone = text.substr(pos);
  if (!zone.empty() && zone != "Z" && zone != "+00:00") return bad_time(text);
  const year_month_day date{year{static_cast<int>(y)}, month{static_cast<unsigned>(mo)}, day{static_cast<unsigned>(d)}};
  if (!date.ok() || y < 1970 || y > 2261 || h > 23 || mi > 59 || s > 59) return bad_time(text);
  return WallTime{sys_days{date}} + hours{h} + minutes{mi} + seconds{s} + Nanos{ns};
}

Result<WallTime> parse_epoch_seconds(std::string_view text) {
  std::size_t pos = 0;
  while (pos < text.size() && text[pos] >= '0' && text[pos] <= '9') ++pos;
  std::int64_t whole = 0;
  std::int64_t nanos = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + pos, whole);
  if (pos == 0 || error != std::errc{} || !read_fraction(text, pos, nanos) || pos != text.size() ||
      whole >= INT64_MAX / 1'000'000'000)
    return bad_time(text);
  return wall_from_nanos(whole * 1'000'000'000 + nanos);
}

void append_epoch_seconds(std::string& out, WallTime t) {
  const auto ns = nanos_since_epoch(t);
  fmt::format_to(std::back_inserter(out), "{}.{:09}", ns / 1'000'000'000, ns % 1'000'000'000);
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
}

Result<Nanos> parse_duration(std::string_view text) {
  constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {{"ns", 1},
                                                                  {"us", 1'000},
                                                                  {"ms", 1'000'000},
                                                                  {"s", 1'000'000'000},
                                                                  {"m", 60'000'000'000},
                                                                  {"h", 3'600'000'000'000},
                                                                  {"d", 86'400'000'000'000}};
  const Error bad{Errc::usage, "length of time (write it like 20s, 500ms, 5m, 24h)", std::string(text.substr(0, 64))};
  std::size_t pos = 0;
  while (pos < text.size() && text[pos] >= '0' && text[pos] <= '9') ++pos;
  std::int64_t whole = 0;
  std::int64_t billionths = 0;
  if (pos == 0 || std::from_chars(text.data(), text.data() + pos, whole).ec != std::errc{}) return bad;
  if (!read_fraction(text, pos, billionths)) return bad;
  const auto unit = text.substr(pos);
  if (unit.empty() && whole == 0 && billionths == 0) return Nanos{0};
  for (const auto& [name, nanos] : kUnits) {
    if (name != unit) continue;
    if (whole >= INT64_MAX / nanos) return bad;
    return Nanos{whole * nanos +
                 (nanos >= 1'000'000'000 ? billionths * (nanos / 1'000'000'000) : billionths * nanos / 1'000'000'000)};
  }
  return bad;
}

std::string utc_day(WallTime t) { return iso(t).substr(0, 10); }

}  // namespace mp
