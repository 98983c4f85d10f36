#include "app/launcher/status.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace mp::launcher {
namespace {

using namespace std::chrono_literals;
constexpr auto kRateWindow = 5s;

std::string count(const std::optional<std::uint64_t>& value) { return value ? std::to_string(*value) : "-"; }
std::string rate(const std::optional<double>& value) { return value ? fmt::format("{:.0f}", *value) : "-"; }

std::string clock_text(std::chrono::seconds uptime) {
  const auto s = uptime.count();
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string flow_text(const FlowStatus& flow) {
  return fmt::format("events/s {}  rows/s {}  events {}  rows {}  waiting {}  gaps {}  rejected {}",
                     rate(flow.events_per_second), rate(flow.rows_per_second), count(flow.events), count(flow.rows),
                     count(flow.waiting), count(flow.gaps), count(flow.rejected));
}

}  // namespace

std::string status_table(const Status& status) {
  std::string text = fmt::format("  {:<11} {:<11} {:>8} {:>9}\n", "part", "state", "pid", "restarts");
  for (const auto& part : status.parts) {
    text +=
        fmt::format("  {:<11} {:<11} {:>8} {:>9}  {}\n", part.name, to_string(part.view.state),
                    part.pid == 0 ? "-" : std::to_string(part.pid), part.view.restarts, shortened(part.problem, 60));
  }
  const auto streams = status.flow.streams ? fmt::format("  streams {}/{} live", count(status.flow.live_streams),
                                                         count(status.flow.streams))
                                           : "";
  text += fmt::format("  up {}{}\n  {}\n", clock_text(status.uptime), streams, flow_text(status.flow));
  return text;
}

std::string status_line(const Status& status) {
  std::string parts;
  for (const auto& part : status.parts) {
    const bool plain = part.view.state == PartState::running && part.problem.empty();
    if (!plain)
      parts += fmt::format("  {} {}{}", part.name, to_string(part.view.state),
                           part.problem.empty() ? "" : " (" + shortened(part.problem, 60) + ")");
  }
  return fmt::format("{}  {}{}", clock_text(status.uptime), flow_text(status.flow), parts);
}

void Rate::add(std::optional<std::uint64_t> value, MonoTime at) {
  if (!value) return;
  if (!readings_.empty() && *value < readings_.back().count) readings_.clear();
  if (!readings_.empty() && at <= readings_.back().at) return;
  readings_.push_back({*value, at});
  while (readings_.size() > 2 && at - readings_[1].at >= kRateWindow) readings_.erase(readings_.begin());
}

std::optional<double> Rate::per_second() const {
  if (readings_.size() < 2) return std::nullopt;
  const std::chrono::duration<double> time = readings_.back().at - readings_.front().at;
  return static_cast<double>(readings_.back().count - readings_.front().count) / time.count();
}

}  // namespace mp::launcher
