// Single values: text to duration, size, boolean, address and back.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "config/config.hpp"

namespace mp::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array<Unit, 5> kDurations{{{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 9> kSizes{{{"B", 1},
                                      {"KB", 1ull << 10},
                                      {"MB", 1ull << 20},
                                      {"GB", 1ull << 30},
                                      {"TB", 1ull << 40},
                                      {"KiB", 1ull << 10},
                                      {"MiB", 1ull << 20},
                                      {"GiB", 1ull << 30},
                                      {"TiB", 1ull << 40}}};

// Splits "10s" into 10 and "s"; nothing without a leading number or below 0.
std::optional<std::pair<double, std::string_view>> number_and_unit(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || number < 0 || !std::isfinite(number)) return std::nullopt;
  return std::pair{number, text.substr(static_cast<std::size_t>(end - text.data()))};
}

// number × factor when that is whole and fits.
std::optional<std::uint64_t> whole(double number, std::uint64_t factor) {
  const double product = number * static_cast<double>(factor);
  if (product > 9e15 || product != std::floor(product)) return std::nullopt;
  return static_cast<std::uint64_t>(product);
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text, bool bare_seconds) {
  const auto parts = number_and_unit(text);
  if (!parts) return std::nullopt;
  const std::string_view unit = parts->second.empty() && (bare_seconds || parts->first == 0) ? "s" : parts->second;
  for (const auto& known : kDurations) {
    if (known.name != unit) continue;
    if (const auto ms = whole(parts->first, known.factor))
      return std::chrono::milliseconds(static_cast<std::int64_t>(*ms));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto parts = number_and_unit(text);
  if (!parts) return std::nullopt;
  const std::string_view unit = parts->second.empty() ? "B" : parts->second;
  for (const auto& known : kSizes) {
    if (known.name == unit) return whole(parts->first, known.factor);
  }
  return std::nullopt;
}

std::optional<bool> parse_boolean(std::string_view text) {
  if (text == "true" || text == "yes" || text == "on" || text == "1") return true;
  if (text == "false" || text == "no" || text == "off" || text == "0") return false;
  return std::nullopt;
}

std::optional<std::pair<std::string, std::uint16_t>> parse_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return std::nullopt;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // an IPv6 address without brackets is ambiguous
  }
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc{} || end != port_text.data() + port_text.size()) return std::nullopt;
  return std::pair{std::string(host), port};
}

std::string without_secrets(std::string_view text) {
  std::string out(text);
  for (auto begin = out.find("://"); begin != std::string::npos; begin = out.find("://", begin)) {
    begin += 3;
    const auto end = std::min(out.find_first_of("/?#, ", begin), out.size());
    const auto at = out.rfind('@', end);
    if (at != std::string::npos && at >= begin && at < end) out.replace(begin, at - begin, "***");
  }
  for (const std::string_view key : {"password=", "token=", "secret="}) {
    for (auto at = out.find(key); at != std::string::npos; at = out.find(key, at)) {
      at += key.size();
      out.replace(at, std::min(out.find_first_of("&#, ", at), out.size()) - at, "***");
    }
  }
  return out;
}

std::string duration_text(std::chrono::milliseconds duration) {
  const auto ms = static_cast<std::uint64_t>(duration.count());
  for (auto unit = kDurations.rbegin(); unit != kDurations.rend(); ++unit) {
    if (ms != 0 && ms % unit->factor == 0) return std::to_string(ms / unit->factor) + std::string(unit->name);
  }
  return "0s";
}

std::string size_text(std::uint64_t bytes) {
  for (std::size_t i = 4; i > 0; --i) {
    if (bytes != 0 && bytes % kSizes[i].factor == 0)
      return std::to_string(bytes / kSizes[i].factor) + std::string(kSizes[i].name);
  }
  return std::to_string(bytes);
}

}  // namespace mp::config
