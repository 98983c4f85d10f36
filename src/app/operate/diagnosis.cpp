// What a diagnosis looks like, and the judgements that need nothing but values.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>

#include "app/launcher/plan.hpp"
#include "app/operate/doctor.hpp"
#include "app/operate/export.hpp"
#include "app/operate/status_view.hpp"
#include "base/text.hpp"

namespace mp::operate {
namespace {

constexpr double kClockTolerance = 1.0;
constexpr std::uint64_t kDiskFullBytes = 1ull << 30;
constexpr double kDiskFullShare = 0.02;
constexpr double kDiskLowShare = 0.1;
constexpr double kStartUpSeconds = 60;
constexpr double kSilentSeconds = 15;

std::string json_text(std::string_view value) {
  std::string out;
  append_json_string(out, is_valid_utf8(value) ? value : "(not UTF-8)");
  return out;
}

// In lines of at most `width`, the later ones begin with `indent`.
std::string wrapped(const std::string& text, std::size_t width, const std::string& indent) {
  std::string out, line;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find(' ', begin), text.size());
    const auto word = text.substr(begin, end - begin);
    if (!line.empty() && line.size() + 1 + word.size() > width) {
      out += line + "\n" + indent;
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    begin = end + 1;
  }
  return out + line;
}

const char* to_string(Check::Result result) {
  switch (result) {
    case Check::Result::fine: return "fine";
    case Check::Result::found: return "found";
    case Check::Result::skipped: return "skipped";
  }
  return "?";
}

bool is_stale(const StreamSeen& stream, std::uint64_t uptime_seconds) {
  if (stream.state == "live") return false;
  if (stream.state == "refused" || stream.state == "silent") return true;
  if (stream.last_event_age_seconds) return *stream.last_event_age_seconds > kSilentSeconds;
  return static_cast<double>(uptime_seconds) > kStartUpSeconds;
}

}  // namespace

const char* to_string(Severity severity) {
  switch (severity) {
    case Severity::note: return "note";
    case Severity::warning: return "warning";
    case Severity::error: return "error";
  }
  return "?";
}

int exit_status(const Diagnosis& diagnosis) {
  auto worst = Severity::note;
  for (const auto& finding : diagnosis.findings) worst = std::max(worst, finding.severity);
  switch (worst) {
    case Severity::note: return 0;
    case Severity::warning: return 3;
    case Severity::error: return 4;
  }
  return 4;
}

std::string diagnosis_text(const Diagnosis& diagnosis, const Screen& screen) {
  constexpr std::size_t kIndent = 9;
  const std::string indent(kIndent, ' ');
  const auto width = std::max<std::size_t>(screen.is_terminal ? screen.width : 120, 40) - kIndent;
  std::string out;
  for (const auto& finding : diagnosis.findings) {
    const auto colour = finding.severity == Severity::error     ? Colour::red
                        : finding.severity == Severity::warning ? Colour::yellow
                                                                : Colour::plain;
    out += painted(fmt::format("{:<9}", to_string(finding.severity)), colour, screen.has_colours) +
           painted(finding.id, Colour::bold, screen.has_colours) + "\n";
    out += indent + wrapped(finding.what, width, indent) + "\n" + indent +
           wrapped("cure: " + finding.cure, width, indent) + "\n";
    for (const auto& command : finding.commands) out += indent + "  $ " + command + "\n";
  }
  for (const auto& check : diagnosis.checks) {
    if (check.result == Check::Result::found) continue;
    const bool is_fine = check.result == Check::Result::fine;
    out += painted(fmt::format("{:<9}", is_fine ? "fine" : "skipped"), is_fine ? Colour::green : Colour::dim,
                   screen.has_colours) +
           fmt::format("{:<11} {}\n", check.name, check.detail);
  }
  return out;
}

std::string diagnosis_json(const Diagnosis& diagnosis) {
  std::string findings, checks;
  for (const auto& f : diagnosis.findings) {
    std::string commands;
    for (const auto& command : f.commands) commands += (commands.empty() ? "" : ",") + json_text(command);
    findings +=
        fmt::format(R"({}{{"id":{},"severity":"{}","what":{},"cure":{},"commands":[{}]}})", findings.empty() ? "" : ",",
                    json_text(f.id), to_string(f.severity), json_text(f.what), json_text(f.cure), commands);
  }
  for (const auto& c : diagnosis.checks)
    checks += fmt::format(R"({}{{"name":{},"result":"{}","detail":{}}})", checks.empty() ? "" : ",", json_text(c.name),
                          to_string(c.result), json_text(c.detail));
  return fmt::format(R"({{"at":"{}","exit_status":{},"findings":[{}],"checks":[{}]}})", iso(diagnosis.at),
                     exit_status(diagnosis), findings, checks);
}

std::vector<std::string> clock_commands(const ClockTools& tools) {
  if (tools.is_container) return {};
  const std::string sudo = tools.is_root ? "" : "sudo ";
  // makestep at once, where it knows the time already; one that is only started steps with its first answers.
  if (tools.has_chrony && tools.has_systemd) return {sudo + "systemctl start chrony", sudo + "chronyc makestep"};
  if (tools.has_chrony) return {"pidof chronyd || " + sudo + "chronyd", sudo + "chronyc makestep"};
  if (tools.has_timesyncd && tools.has_systemd) return {sudo + "timedatectl set-ntp true"};
  return {sudo + "apt-get install -y chrony"};  // starts it
}

std::optional<Finding> judge_clocks(const std::vector<ClockOffset>& offsets, std::optional<bool> is_synchronised,
                                    const std::vector<std::string>& commands) {
  // The middle one of those that say anything: a single peer may itself be wrong.
  std::vector<ClockOffset> off;
  for (const auto& each : offsets)
    if (std::abs(each.seconds) > kClockTolerance + each.doubt) off.push_back(each);
  const std::string where = commands.empty() ? " on the host of this container, whose clock it is" : "";
  if (!off.empty() && off.size() * 2 >= offsets.size()) {
    std::sort(off.begin(), off.end(), [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
    const auto& middle = off[off.size() / 2];
    std::string names;
    for (const auto& each : off) names += (names.empty() ? "" : ", ") + each.of;
    return Finding{
        "clock_off", Severity::error,
        fmt::format("this machine's clock is {:.1f} s {} by that of {}", std::abs(middle.seconds),
                    middle.seconds > 0 ? "ahead" : "behind", names),
        fmt::format(
            "start time synchronisation and set the clock once{} (what tells it may look back for two minutes); nothing "
            "has to be started again, and receive times that were stored meanwhile are wrong by as much, venue times "
            "are not",
            where),
        commands};
  }
  if (!is_synchronised || *is_synchronised) return std::nullopt;
  return Finding{"clock_not_synchronised", offsets.empty() ? Severity::warning : Severity::note,
                 "nothing keeps this machine's clock right (the kernel says that it is not synchronised)",
                 "start time synchronisation, by chrony or systemd-timesyncd" + where, commands};
}

std::optional<Finding> judge_disk(const std::vector<DiskUse>& uses, const DiskSeen& disk) {
  if (disk.total_bytes == 0) return std::nullopt;
  const double share = static_cast<double>(disk.free_bytes) / static_cast<double>(disk.total_bytes);
  const bool is_full = disk.free_bytes < kDiskFullBytes || share < kDiskFullShare;
  if (!is_full && share >= kDiskLowShare) return std::nullopt;
  std::vector<std::string> names;
  std::string folders;
  for (const auto& [use, folder] : uses) {
    if (std::find(names.begin(), names.end(), use) == names.end()) names.push_back(use);
    if (!folder.empty()) folders += " " + launcher::shell_quoted(folder);
  }
  Finding finding{
      is_full ? "disk_full" : "disk_low",
      is_full ? Severity::error : Severity::warning,
      fmt::format("{} free of {} on the disk of {} ({})", bytes_text(disk.free_bytes), bytes_text(disk.total_bytes),
                  fmt::join(names, ", "), disk.path),
      "make room there; segments of the journal that are not published are never to be removed. To keep less: journal.keep_bytes "
      "(MARKETPRISM_JOURNAL_KEEP_BYTES) of the collector, which then removes what is beyond it and published, some minutes after its "
      "next start; in ClickHouse days that nobody needs (ALTER TABLE … DROP PARTITION, the room is there within ten minutes): the cold "
      "database keeps all for ever, unless tiers.cold_url has another server for it",
      {}};
  if (folders.empty()) {
    finding.cure += "; it is a disk of ClickHouse's machine or container: df and du there";
    return finding;
  }
  finding.cure += "; the command lists what we have there, the largest first";
  // -l: a folder counts whole though another that is listed holds it.
  finding.commands.push_back(fmt::format("du -xshl{} | sort -rh", folders));
  return finding;
}

std::vector<Finding> judge_streams(const CollectorSeen& collector, const std::map<std::string, std::string>& reasons) {
  struct Source {
    std::size_t streams = 0, stale = 0;
    std::string example;
    std::optional<double> age;
  };
  std::map<std::pair<std::string, std::string>, Source> sources;
  for (const auto& stream : collector.streams) {
    auto& source = sources[{stream.exchange, market_of(stream.exchange, stream.market_type)}];
    ++source.streams;
    const auto age = stream.last_event_age_seconds;
    if (age && (!source.age || *age < *source.age)) source.age = age;
    if (!is_stale(stream, collector.uptime_seconds)) continue;
    ++source.stale;
    if (source.example.empty()) source.example = fmt::format("{} {} {}", stream.symbol, stream.data_type, stream.state);
  }
  std::vector<Finding> findings;
  for (const auto& [key, source] : sources) {
    if (source.stale == 0) continue;
    const bool is_all = source.stale == source.streams;
    const auto name = key.first + (key.second.empty() ? "" : " " + key.second);
    const auto reason = reasons.find(key.first);
    findings.push_back(
        {is_all ? "stale_source" : "stale_streams",
         is_all ? Severity::error : Severity::warning,
         fmt::format("{}: {} of {} streams bring nothing ({}){}{}", name, source.stale, source.streams, source.example,
                     source.age ? fmt::format("; its last event came {:.0f} s ago", *source.age)
                                : "; no event since the collector started",
                     reason == reasons.end() ? "" : "; " + reason->second),
         is_all || reason != reasons.end()
             ? "the collector connects again by itself as soon as the venue can be reached: see the venue's finding if there is one, "
               "its status page, and the collector's log"
             : "quiet instruments bring trades seldom; else the symbol may be suspended or delisted: see the venue's announcements, and "
               "take it out of the configuration",
         {}});
  }
  return findings;
}

std::optional<WallTime> parse_http_date(std::string_view text) {
  std::tm fields{};
  const std::string copy(text);
  const char* end = ::strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &fields);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return WallTime{std::chrono::seconds{::timegm(&fields)}};
}

}  // namespace mp::operate
