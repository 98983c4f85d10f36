#include "probe_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace mp::collector {
namespace {

using namespace std::chrono_literals;

// A clock further off than this spoils time stamps; the way to a venue takes less.
constexpr Nanos kClockTooLate = 2s;
constexpr Nanos kClockTooEarly = -100ms;

bool has_data(const ProbeSource& source, DataType type) {
  return std::ranges::any_of(source.streams,
                             [&](const ProbeStream& each) { return each.type == type && each.messages > 0; });
}

bool is_subscribed(StreamState state) { return state == StreamState::live || state == StreamState::resyncing; }

std::optional<std::string> fault_of_type(const ProbeSource& source, DataType type) {
  if (has_data(source, type)) return std::nullopt;
  const auto found = std::ranges::find(source.streams, type, &ProbeStream::type);
  if (found == source.streams.end()) return fmt::format("{}: nothing was subscribed", to_string(type));
  if (found->state == StreamState::refused) return fmt::format("{}: the venue refused it", to_string(type));
  if (is_occasional(type)) return std::nullopt;
  return fmt::format("{}: no data has come (state {})", to_string(type), to_string(found->state));
}

std::string clock_text(const ProbeSource& source) {
  if (!source.clock_offset) return "-";
  return fmt::format("{:+.1f} ms", std::chrono::duration<double, std::milli>(*source.clock_offset).count());
}

std::string milliseconds_text(const std::optional<std::chrono::milliseconds>& time) {
  return time ? fmt::format("{} ms", time->count()) : "-";
}

std::string subscribed_text(const ProbeStream& stream) {
  if (is_subscribed(stream.state) || stream.messages > 0) return "yes";
  return to_string(stream.state);
}

void append_field(std::string& out, const char* name, std::string_view text) {
  fmt::format_to(std::back_inserter(out), R"("{}":)", name);
  append_json_string(out, text);
}

void append_list(std::string& out, const char* name, const std::vector<std::string>& texts) {
  fmt::format_to(std::back_inserter(out), R"("{}":[)", name);
  for (const auto& text : texts) {
    if (out.back() != '[') out.push_back(',');
    append_json_string(out, text);
  }
  out.push_back(']');
}

void append_stream(std::string& out, const ProbeStream& stream) {
  out.push_back('{');
  append_field(out, "type", to_string(stream.type));
  out.push_back(',');
  append_field(out, "market_type", to_string(stream.instrument->market_type));
  out.push_back(',');
  append_field(out, "symbol", stream.instrument->symbol);
  out.push_back(',');
  append_field(out, "state", to_string(stream.state));
  fmt::format_to(std::back_inserter(out), R"(,"messages":{})", stream.messages);
  if (stream.first_data) fmt::format_to(std::back_inserter(out), R"(,"first_data_ms":{})", stream.first_data->count());
  out.push_back('}');
}

}  // namespace

bool is_occasional(DataType type) { return type == DataType::liquidation; }

std::vector<std::string> faults_of(const ProbeSource& source) {
  std::vector<std::string> faults;
  if (!source.connected) {
    faults.emplace_back("no connection was made");
    return faults;
  }
  for (const auto type : source.wanted)
    if (auto fault = fault_of_type(source, type)) faults.push_back(std::move(*fault));
  if (source.decode_failures > 0)
    faults.push_back(fmt::format("{} messages could not be read", source.decode_failures));
  if (source.clock_offset && (*source.clock_offset > kClockTooLate || *source.clock_offset < kClockTooEarly))
    faults.push_back(
        fmt::format("this machine's clock and the venue's differ by {}: synchronise it (NTP)", clock_text(source)));
  return faults;
}

std::string probe_table(const std::vector<ProbeSource>& sources) {
  constexpr auto kRow = "{:<20} {:<12} {:<28} {:<18} {:<12} {:>12} {:>10}\n";
  auto out = fmt::format(kRow, "SOURCE", "MARKET", "SYMBOL", "TYPE", "SUBSCRIBED", "FIRST DATA", "MESSAGES");
  for (const auto& source : sources) {
    for (const auto& stream : source.streams)
      out += fmt::format(kRow, source.source.text(), to_string(stream.instrument->market_type),
                         stream.instrument->symbol, to_string(stream.type), subscribed_text(stream),
                         milliseconds_text(stream.first_data), stream.messages);
  }
  for (const auto& source : sources) {
    out += fmt::format(
        "\n{}: connected after {}, {} frames, {} REST answers ({} failed), {} decode failures, "
        "{} unknown fields, clock offset {}\n",
        source.source.text(), milliseconds_text(source.connected), source.frames, source.rest_answers,
        source.rest_failures, source.decode_failures, source.unknown.size(), clock_text(source));
    for (const auto& [name, count] : source.unknown) out += fmt::format("  new to us: {} ({} times)\n", name, count);
    for (const auto& reason : source.failure_reasons) out += fmt::format("  not readable: {}\n", reason);
    for (const auto& problem : source.problems) out += fmt::format("  told: {}\n", problem);
    const auto faults = faults_of(source);
    for (const auto& fault : faults) out += fmt::format("  FAULT {}\n", fault);
    if (faults.empty()) out += "  good\n";
  }
  return out;
}

std::string probe_json(const std::vector<ProbeSource>& sources) {
  std::string out = R"({"sources":[)";
  for (const auto& source : sources) {
    if (out.back() != '[') out.push_back(',');
    out.push_back('{');
    append_field(out, "source", source.source.text());
    const auto faults = faults_of(source);
    fmt::format_to(std::back_inserter(out),
                   R"(,"good":{},"frames":{},"rest_answers":{},"rest_failures":{},"decode_failures":{})",
                   faults.empty(), source.frames, source.rest_answers, source.rest_failures, source.decode_failures);
    if (source.connected) fmt::format_to(std::back_inserter(out), R"(,"connected_ms":{})", source.connected->count());
    if (source.clock_offset)
      fmt::format_to(std::back_inserter(out), R"(,"clock_offset_ns":{})", source.clock_offset->count());
    out.push_back(',');
    append_list(out, "faults", faults);
    out.push_back(',');
    append_list(out, "failure_reasons", source.failure_reasons);
    out.push_back(',');
    append_list(out, "problems", source.problems);
    out += R"(,"unknown":{)";
    for (const auto& [name, count] : source.unknown) {
      if (out.back() != '{') out.push_back(',');
      append_json_string(out, name);
      fmt::format_to(std::back_inserter(out), ":{}", count);
    }
    out += R"(},"streams":[)";
    for (const auto& stream : source.streams) {
      if (out.back() != '[') out.push_back(',');
      append_stream(out, stream);
    }
    out += "]}";
  }
  out += "]}\n";
  return out;
}

}  // namespace mp::collector
