#pragma once
// Two clocks that never mix: WallTime is what venues report and tables store, MonoTime what timeouts compare.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace mp {

using Nanos = std::chrono::nanoseconds;
using WallTime = std::chrono::sys_time<Nanos>;           // UTC, exact to the nanosecond
using MonoTime = std::chrono::steady_clock::time_point;  // for deadlines only

// One reading of both clocks; pure code gets it as an argument.
struct Instant {
  WallTime wall;
  MonoTime mono;
};

// Years 1970 to 2261: what 64-bit nanoseconds and ClickHouse's DateTime64(9) can both hold.
constexpr WallTime kMaxWallTime{Nanos{INT64_MAX}};

inline std::int64_t nanos_since_epoch(WallTime t) { return t.time_since_epoch().count(); }
constexpr WallTime wall_from_nanos(std::int64_t ns) { return WallTime{Nanos{ns}}; }
// Errc::bad_time when negative or beyond kMaxWallTime.
Result<WallTime> wall_from_millis(std::int64_t ms);
Result<WallTime> wall_from_micros(std::int64_t us);

// "2026-11-22T17:44:30.123000000Z": always nine decimals.
void append_iso(std::string& out, WallTime t);
std::string iso(WallTime t);
// Date and time with 'T' or a blank, 0 to 9 decimals, ending in Z or +00:00 or nothing (UTC).
Result<WallTime> parse_iso(std::string_view text);

// Seconds since 1970 as decimal text, e.g. "1626992741.081672": exact; more than nine decimals are refused.
Result<WallTime> parse_epoch_seconds(std::string_view text);
void append_epoch_seconds(std::string& out, WallTime t);

// "250ms", "20s", "1.5m", "24h", "3d", "100us", "0": a length of time as options and configuration have it.
// Errc::usage when it is none of these, or negative.
Result<Nanos> parse_duration(std::string_view text);

// "2026-11-22", the UTC day.
std::string utc_day(WallTime t);

}  // namespace mp
