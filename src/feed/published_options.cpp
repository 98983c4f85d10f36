#include "feed/published_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mp {
namespace {

constexpr std::string_view kReserved = "% ,=:";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || kReserved.find(c) != std::string_view::npos)
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    else
      out.push_back(c);
  }
  return out;
}

std::optional<int> hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) && hex(text[i + 2])) {
      out.push_back(static_cast<char>(*hex(text[i + 1]) * 16 + *hex(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// Takes the text up to `separator` off the front.
std::string_view cut(std::string_view& text, char separator) {
  const auto end = std::min(text.find(separator), text.size());
  const auto item = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return item;
}

template <class Number>
bool read(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

void append_rule(std::string& out, const SelectionRule& rule) {
  out += "symbol";
  const auto item = [&](const char* key, std::string_view value) {
    if (!value.empty()) out += fmt::format(" {}={}", key, escaped(value));
  };
  item("symbol", rule.symbol);
  if (rule.kind) item("kind", to_string(*rule.kind));
  item("base", rule.base);
  item("quote", rule.quote);
  if (rule.top > 0) item("top", std::to_string(rule.top));
  out += '\n';
}

bool read_rule(std::string_view text, SelectionRule& rule) {
  while (!text.empty()) {
    auto value = cut(text, ' ');
    const auto key = cut(value, '=');
    if (key == "symbol") {
      rule.symbol = unescaped(value);
    } else if (key == "base") {
      rule.base = unescaped(value);
    } else if (key == "quote") {
      rule.quote = unescaped(value);
    } else if (key == "kind") {
      const auto kind = market_type_from(value);
      if (!kind) return false;
      rule.kind = *kind;
    } else if (key != "top" || !read(value, rule.top)) {
      return false;
    }
  }
  return true;
}

bool read_types(std::string_view text, std::vector<DataType>& types) {
  while (!text.empty()) {
    const auto type = data_type_from(cut(text, ','));
    if (!type) return false;
    types.push_back(*type);
  }
  return true;
}

bool read_series(std::string_view text, std::vector<BookSeries>& series) {
  while (!text.empty()) {
    auto interval = cut(text, ',');
    BookSeries one;
    std::int64_t ms = 0;
    if (!read(cut(interval, ':'), one.depth) || !read(interval, ms)) return false;
    one.interval = std::chrono::milliseconds(ms);
    series.push_back(one);
  }
  return true;
}

bool read_line(std::string_view key, std::string_view value, SessionOptions& options) {
  std::int64_t number = 0;
  if (key == "data_source") {
    const auto source = data_source_from(value);
    if (source) options.data_source = *source;
    return source.has_value();
  }
  if (key == "data") return read_types(value, options.data_types);
  if (key == "books") return read_series(value, options.book_series);
  if (key == "min_interval_ms") {
    if (!read(value, number)) return false;
    options.min_interval = std::chrono::milliseconds(number);
    return true;
  }
  if (key == "max_clock_distance_hours") {
    if (!read(value, number)) return false;
    options.max_clock_distance = std::chrono::hours(number);
    return true;
  }
  return key == "symbol" && read_rule(value, options.symbols.rules.emplace_back());
}

}  // namespace

std::string published_options(const SessionOptions& options) {
  std::string out = fmt::format("data_source {}\ndata ", to_string(options.data_source));
  // In the enumeration's order: another order in the file is no change.
  bool first = true;
  for (int i = 0; i < kDataTypeCount; ++i) {
    const auto type = static_cast<DataType>(i);
    if (std::ranges::find(options.data_types, type) == options.data_types.end()) continue;
    out += fmt::format("{}{}", std::exchange(first, false) ? "" : ",", to_string(type));
  }
  out += "\nbooks ";
  first = true;
  for (const auto& series : options.book_series)
    out += fmt::format("{}{}:{}", std::exchange(first, false) ? "" : ",", series.depth, series.interval.count());
  out += fmt::format("\nmin_interval_ms {}\nmax_clock_distance_hours {}\n", options.min_interval.count(),
                     options.max_clock_distance.count());
  for (const auto& rule : options.symbols.rules) append_rule(out, rule);
  return out;
}

Result<void> take_published_options(std::string_view text, SessionOptions& options) {
  auto taken = options;
  taken.data_types.clear();
  taken.book_series.clear();
  taken.symbols.rules.clear();
  while (!text.empty()) {
    auto value = cut(text, '\n');
    const std::string line(value);
    const auto key = cut(value, ' ');
    if (!read_line(key, value, taken)) return Error{Errc::bad_value, "configuration in the journal", line};
  }
  options = std::move(taken);
  return {};
}

}  // namespace mp
