// marketprism journal: list, print, verify and convert raw captures.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "base/text.hpp"
#include "exchanges/exchange.hpp"
#include "journal/byte_source.hpp"
#include "journal/convert.hpp"
#include "journal/inspect.hpp"
#include "journal/recordings.hpp"
#include "sinks/jetstream/cursor.hpp"

namespace mp::app {
namespace {

namespace fs = std::filesystem;
using namespace mp::journal;

constexpr std::string_view kExamples =
    "  marketprism journal ls data/journal\n"
    "  marketprism journal cat data/journal/live --exchange binance --from 2026-11-22T17:00:00Z | head\n"
    "  marketprism journal cat data/journal/live/2026-11-22/00000012.mpj > raw.jsonl\n"
    "  marketprism journal verify data/journal\n"
    "  marketprism journal convert --to capture data/journal/live -o raw.jsonl\n"
    "  marketprism journal convert --to journal monday.jsonl tuesday.jsonl -o data/journal/recorded\n"
    "  marketprism journal join monday.jsonl monday-evening.jsonl -o whole.jsonl\n"
    "  marketprism journal convert --to journal other.jsonl --exchange binance --market spot -o data/journal/other\n";
constexpr const char* kPathHelp =
    "a journal directory (data/journal/live), a folder of such, a day's folder in one, or a segment file (*.mpj)";

struct Settings {
  std::string path;
  std::string from, to, market;
  std::vector<std::string> exchanges;
  std::uint32_t segment = 0;
  bool quiet = false;
  std::string target;
  std::string output;
  std::string exchange;
  std::vector<std::string> inputs;
};

int fail_with(const Error& error) { return fail("journal", error.text()); }

int usage(const std::string& text) {
  fmt::print(stderr, "marketprism journal: {} (see --help)\n", text);
  return 2;
}

// What cannot be found as the user named it is the user's mistake; the rest is not.
int refuse(const Error& error) {
  return error.code == Errc::usage ? usage(error.where + ": " + error.seen) : fail_with(error);
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (bytes < 10'000'000) return fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3);
  if (bytes < 10'000'000'000) return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
  return fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

std::string short_time(const std::optional<WallTime>& t) { return t ? iso(*t).substr(0, 23) + "Z" : "-"; }

std::string state_of(const SegmentSummary& summary) {
  std::string state = summary.closed ? "closed" : "open or cut off";
  if (summary.torn_bytes > 0) state += fmt::format(", {} bytes of an unfinished group", summary.torn_bytes);
  if (summary.damages > 0) state += ", DAMAGED";
  return state;
}

void print_title(const JournalFiles& journal) {
  fmt::print("{}  id {}\n", journal.directory.string(), journal.id ? journal.id->text() : "unknown");
}

// --- ls --------------------------------------------------------------------------------------------------------

int run_ls(const Settings& settings) {
  const auto journals = find_journals(settings.path);
  if (!journals) return refuse(journals.error());
  int status = 0;
  for (const auto& journal : *journals) {
    print_title(journal);
    fmt::print("{:>8}  {:<10}  {:>10}  {:>10}  {:>6}  {:<24}  {:<24}  {}\n", "SEGMENT", "DAY", "RECORDS", "SIZE",
               "RATIO", "FIRST", "LAST", "STATE");
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    for (const auto& file : journal.segments) {
      bytes += file.bytes;
      const auto summary = summarize(file);
      if (!summary) {
        status = 1;
        fmt::print("{:>8}  {:<10}  {:>10}  {:>10}  {:>6}  {:<24}  {:<24}  DAMAGED: {}\n", file.number, file.day, "-",
                   human_bytes(file.bytes), "-", "-", "-", summary.error().text());
        continue;
      }
      records += summary->records;
      fmt::print("{:>8}  {:<10}  {:>10}  {:>10}  {:>6.1f}  {:<24}  {:<24}  {}\n", file.number, file.day,
                 summary->records, human_bytes(file.bytes),
                 static_cast<double>(summary->raw_bytes) / static_cast<double>(file.bytes),
                 short_time(summary->first_time), short_time(summary->last_time), state_of(*summary));
    }
    fmt::print("{} segments, {} records, {}\n", journal.segments.size(), records, human_bytes(bytes));
  }
  return status;
}

// --- cat, convert --to capture ---------------------------------------------------------------------------------

Result<WallTime> parse_time(const std::string& text) {
  if (text.find('T') != text.npos || text.find('-') != text.npos) {
    const auto whole_day = text.size() == 10 ? text + "T00:00:00Z" : text;
    return parse_iso(whole_day);
  }
  return parse_epoch_seconds(text);
}

// Of the exchanges that are named, or of any.
Result<void> check_market(const Settings& settings) {
  if (settings.market.empty()) return {};
  std::vector<std::string> known;
  for (const auto& exchange : exchanges()) {
    if (!settings.exchanges.empty() && std::ranges::find(settings.exchanges, exchange.name) == settings.exchanges.end())
      continue;
    for (const auto& market : exchange.markets)
      if (!market.empty() && std::ranges::find(known, market) == known.end()) known.push_back(market);
  }
  if (std::ranges::find(known, settings.market) != known.end()) return {};
  const auto of = settings.exchanges.empty() ? std::string("the exchanges")
                                             : fmt::format("{}", fmt::join(settings.exchanges, " and "));
  if (known.empty()) return Error{Errc::usage, "--market", no_such_market(of, {""}, settings.market)};
  const auto near = nearest(settings.market, known);
  return Error{Errc::usage, "--market",
               fmt::format("'{}' is no market of {}: {}{}", shortened(settings.market, 60), of, fmt::join(known, ", "),
                           near.empty() ? "" : "; did you mean '" + near + "'?")};
}

Result<RecordSelection> selection_of(const Settings& settings) {
  RecordSelection selection;
  const auto read = [](const std::string& option, const std::string& text,
                       std::optional<WallTime>& to) -> Result<void> {
    if (text.empty()) return {};
    const auto time = parse_time(text);
    if (!time)
      return Error{
          Errc::usage, option,
          "\"" + shortened(text) + "\" is no time; write 2026-11-22T17:44:30Z, 2026-11-22 or seconds since 1970"};
    to = *time;
    return {};
  };
  if (auto from = read("--from", settings.from, selection.from); !from) return from.error();
  if (auto to = read("--to", settings.to, selection.to); !to) return to.error();
  if (selection.from && selection.to && *selection.from >= *selection.to)
    return Error{Errc::usage, "--from and --to",
                 fmt::format("{} is not before {}: no record can be between them", settings.from, settings.to)};
  for (const auto& name : settings.exchanges) {
    if (const auto known = find_exchange(name); !known)
      return Error{Errc::usage, "--exchange: " + known.error().where, known.error().seen};
  }
  selection.exchanges = {settings.exchanges.begin(), settings.exchanges.end()};
  if (auto known = check_market(settings); !known) return known.error();
  if (!settings.market.empty()) selection.market = settings.market;
  if (settings.segment != 0) selection.segment = settings.segment;
  return selection;
}

// Damage is told on standard error; the exit status says that not everything is there.
int tell_losses(const PrintedRecords& printed) {
  for (const auto& loss : printed.losses) fmt::print(stderr, "marketprism journal: {}\n", loss);
  return printed.losses.empty() ? 0 : 1;
}

int print_to(std::FILE* out, const std::string& name, const std::vector<JournalFiles>& journals,
             const RecordSelection& selection) {
  int status = 0;
  int write_error = 0;
  for (const auto& journal : journals) {
    if (selection.segment && std::none_of(journal.segments.begin(), journal.segments.end(),
                                          [&](const auto& file) { return file.number == *selection.segment; }))
      return usage(fmt::format("--segment {}: {} has no such segment", *selection.segment, journal.directory.string()));
    const auto printed = print_capture_lines(journal, selection, [&](std::string_view lines) {
      if (std::fwrite(lines.data(), 1, lines.size(), out) == lines.size()) return true;
      write_error = errno;
      return false;
    });
    if (!printed) return fail_with(printed.error());
    if (write_error != 0) break;
    status = std::max(status, tell_losses(*printed));
  }
  if (write_error == 0 && std::fflush(out) != 0) write_error = errno;
  if (write_error == EPIPE) return status;  // the reader has seen enough
  if (write_error != 0) return fail("journal", fmt::format("cannot write {}: {}", name, std::strerror(write_error)));
  return status;
}

// One segment for itself has no later one that says where it must end: without its seal it may have been cut short.
void tell_cut_short(const std::string& path, const std::vector<JournalFiles>& journals) {
  if (!fs::is_regular_file(path)) return;
  for (const auto& journal : journals) {
    for (const auto& file : journal.segments) {
      const auto summary = summarize(file);
      if (!summary || summary->closed) continue;
      fmt::print(
          stderr,
          "marketprism journal: {} ends without its seal{}: it is being written, or its writer was killed, or the file was cut short and records are missing\n",
          name_of(file),
          summary->torn_bytes > 0 ? fmt::format(", after {} bytes of an unfinished group", summary->torn_bytes) : "");
    }
  }
}

int run_cat(const Settings& settings) {
  const auto selection = selection_of(settings);
  if (!selection) return refuse(selection.error());
  const auto journals = find_journals(settings.path);
  if (!journals) return refuse(journals.error());
  const int status = print_to(stdout, "standard output", *journals, *selection);
  tell_cut_short(settings.path, *journals);
  return status;
}

int convert_to_capture(const Settings& settings) {
  if (!settings.exchange.empty() || !settings.market.empty())
    return usage(
        "--exchange and --market say whose data a capture holds: they go with --to journal (see `cat` to select records)");
  std::vector<JournalFiles> journals;
  for (const auto& input : settings.inputs) {
    auto found = find_journals(input);
    if (!found) return refuse(found.error());
    journals.insert(journals.end(), found->begin(), found->end());
  }
  if (settings.output.empty() || settings.output == "-") return print_to(stdout, "standard output", journals, {});
  std::error_code ignored;
  const auto there = fs::status(settings.output, ignored);
  const bool is_device = fs::is_character_file(there) || fs::is_fifo(there);
  // x: never over a file that is there.
  std::FILE* out = std::fopen(settings.output.c_str(), is_device ? "wb" : "wbx");
  if (out == nullptr && errno == EEXIST)
    return fail("journal", settings.output + " is there already and is not written over; name another file");
  if (out == nullptr) return fail("journal", fmt::format("cannot write {}: {}", settings.output, std::strerror(errno)));
  const int status = print_to(out, settings.output, journals, {});
  if (std::fclose(out) != 0 && status == 0)
    return fail("journal", fmt::format("cannot write {}: {}", settings.output, std::strerror(errno)));
  return status;
}

// --- convert --to journal --------------------------------------------------------------------------------------

// The source that --exchange and --market name; nothing without them.
Result<std::optional<Source>> named_source(const Settings& settings) {
  if (settings.exchange.empty()) {
    if (settings.market.empty()) return std::optional<Source>();
    return Error{Errc::usage, "--market", "needs --exchange"};
  }
  const auto exchange = find_exchange(settings.exchange);
  if (!exchange) return exchange.error();
  const auto& markets = (*exchange)->markets;
  if (settings.market.empty() && markets.size() == 1) return std::optional(Source{settings.exchange, markets.front()});
  if (std::find(markets.begin(), markets.end(), settings.market) != markets.end())
    return std::optional(Source{settings.exchange, settings.market});
  return Error{Errc::usage, "--market", no_such_market(settings.exchange, markets, settings.market)};
}

int convert_to_journal(const Settings& settings) {
  if (settings.output.empty()) return usage("--to journal needs -o DIR, the directory to make");
  const auto named = named_source(settings);
  if (!named) return refuse(named.error());
  SourceOfUrl of_url = [](std::string_view url) { return source_of_url(url); };
  if (*named) of_url = [source = **named](std::string_view) { return std::optional(source); };
  const auto converted =
      write_captures_as_journal({settings.inputs.begin(), settings.inputs.end()}, of_url, settings.output);
  if (!converted) return refuse(converted.error());
  if (converted->skipped_lines > 0) {
    std::string urls;
    for (const auto& url : converted->skipped_urls) urls += "\n  " + url;
    fmt::print(
        stderr,
        "marketprism journal: {} lines are left out, since their addresses are no known exchange's; say whose they are with "
        "--exchange (and --market). The first addresses:{}\n",
        converted->skipped_lines, urls);
  }
  for (const auto& error : converted->broken) fmt::print(stderr, "marketprism journal: {}\n", error.text());
  if (converted->broken_lines > 0)
    fmt::print(stderr, "marketprism journal: {} lines cannot be read; the others are in the journal\n",
               converted->broken_lines);
  fmt::print("{}  id {}\n{} records, {} of payload, in {} segments of {}\n", settings.output, converted->id.text(),
             converted->records, human_bytes(converted->payload_bytes), converted->segments,
             human_bytes(converted->bytes));
  return converted->skipped_lines + converted->broken_lines > 0 ? 1 : 0;
}

int run_convert(const Settings& settings) {
  return settings.target == "capture" ? convert_to_capture(settings) : convert_to_journal(settings);
}

// --- join ------------------------------------------------------------------------------------------------------

// Copies [from, to) of the file; to the end where `to` is not reached before it. The error of writing, by errno, or of
// reading.
Result<int> copy_bytes(const fs::path& path, std::uint64_t from, std::uint64_t to, std::FILE* out) {
  const auto source = open_file_source(path);
  if (!source) return source.error();
  std::string chunk(1u << 20, '\0');
  while (from < to) {
    const auto got = (*source)->read_at(from, std::span(chunk).first(std::min<std::uint64_t>(chunk.size(), to - from)));
    if (!got) return got.error();
    if (*got == 0) break;
    if (std::fwrite(chunk.data(), 1, *got, out) != *got) return errno;
    from += *got;
  }
  return 0;
}

int run_join(const Settings& settings) {
  if (settings.inputs.size() != 2) return usage("join takes two captures, the earlier one first");
  const fs::path earlier = settings.inputs[0];
  const fs::path later = settings.inputs[1];
  const auto joined = join_captures(earlier, later);
  if (!joined) return refuse(joined.error());
  std::FILE* out = std::fopen(settings.output.c_str(), "wbx");  // never over a file that is there
  if (out == nullptr && errno == EEXIST)
    return fail("journal", settings.output + " is there already and is not written over; name another file");
  if (out == nullptr) return fail("journal", fmt::format("cannot write {}: {}", settings.output, std::strerror(errno)));
  auto copied = copy_bytes(earlier, 0, joined->earlier_bytes, out);
  if (copied && *copied == 0 && !joined->earlier_ends_its_line && std::fputc('\n', out) == EOF) copied = errno;
  if (copied && *copied == 0) copied = copy_bytes(later, joined->later_from, UINT64_MAX, out);
  if (std::fclose(out) != 0 && copied && *copied == 0) copied = errno;
  if (!copied) return fail_with(copied.error());
  if (*copied != 0) return fail("journal", fmt::format("cannot write {}: {}", settings.output, std::strerror(*copied)));
  fmt::print("{}: {} lines stand in both; {} follows {} from byte {} on\n", settings.output, joined->common,
             later.string(), earlier.string(), joined->later_from);
  return 0;
}

// --- verify ----------------------------------------------------------------------------------------------------

struct Totals {
  std::uint64_t segments = 0, records = 0, bytes = 0, lost = 0, damages = 0;
  std::uint64_t unsealed = 0;  // last segments without a closing note: no later one says what they must hold
};

// "all good" only where it is known.
std::string conclusion(const Totals& totals) {
  if (totals.damages > 0) return fmt::format("{} damages, at least {} records lost", totals.damages, totals.lost);
  if (totals.unsealed == 0) return "all good";
  const auto which =
      totals.unsealed == 1 ? "the last segment ends" : fmt::format("{} last segments end", totals.unsealed);
  return fmt::format(
      "no damage found, but {} without a seal: being written, or the writer was killed, or the file was "
      "cut short (nothing that is there can tell which)",
      which);
}

void print_verdict(const SegmentVerdict& verdict, bool quiet) {
  const auto& summary = verdict.summary;
  const bool good = verdict.damages.empty();
  if (quiet && good) return;
  fmt::print("{} {}: {} records in {} groups and {} blocks, {}, checkpoint {}, {} to {}\n",
             good ? "good   " : "DAMAGED", verdict.file.path.string(), summary.records, verdict.groups, verdict.blocks,
             human_bytes(verdict.file.bytes), human_bytes(verdict.checkpoint_bytes), short_time(summary.first_time),
             short_time(summary.last_time));
  for (const auto& damage : verdict.damages) fmt::print("  damage: {}\n", damage);
  if (!quiet)
    for (const auto& note : verdict.notes) fmt::print("  note: {}\n", note);
}

// The last record that a collector has noted as published of this journal, and the note's file.
struct Published {
  fs::path file;
  RecordPosition through;
};
std::optional<Published> published(const JournalFiles& journal) {
  std::optional<Published> last;
  std::error_code error;
  for (fs::directory_iterator at(journal.directory, error), end; !error && at != end; at.increment(error)) {
    if (!at->path().filename().string().starts_with("cursor-") || !at->is_regular_file()) continue;
    std::ifstream in(at->path());
    const auto cursor = jetstream::Cursor::parse(std::string(std::istreambuf_iterator<char>(in), {}));
    // One that cannot be read is the collector's to tell: it says nothing of the segments.
    if (!cursor || !journal.id || cursor->journal != journal.id->text() || cursor->history.empty()) continue;
    const auto& through = cursor->history.back().through;
    if (!last || last->through < through) last = Published{at->path(), through};
  }
  return last;
}

// A journal that ends before what was published of it was cut short: nothing in the segments themselves can tell.
std::optional<std::string> cut_end(const Published& told, const std::optional<SegmentReached>& reached,
                                   std::uint64_t& lost) {
  const auto& through = told.through;
  if (through.segment == 0 || (reached && reached->segment > through.segment)) return std::nullopt;
  const auto note = fmt::format("by {} record {} of segment {} is published", told.file.filename().string(),
                                through.record, through.segment);
  if (!reached || reached->segment < through.segment) {
    ++lost;
    return fmt::format("{}, and the journal ends with {}: its end is missing", note,
                       reached ? fmt::format("segment {}", reached->segment) : "no segment");
  }
  if (!reached->records || *reached->records > through.record) return std::nullopt;
  const auto missing = through.record + 1 - *reached->records;
  lost += missing;
  return fmt::format("{}, and that segment ends after {} records: its end is cut off, at least {} records with it",
                     note, *reached->records, missing);
}

int run_verify(const Settings& settings) {
  const auto journals = find_journals(settings.path);
  if (!journals) return refuse(journals.error());
  Totals totals;
  for (const auto& journal : *journals) {
    // Before the segments: a collector may be writing both.
    const auto noted = journal.whole ? published(journal) : std::nullopt;
    if (!settings.quiet) print_title(journal);
    if (journal.whole && !journal.id) {
      fmt::print("  damage: {} is missing or holds no journal id\n", (journal.directory / kIdFile).string());
      ++totals.damages;
    }
    std::optional<SegmentReached> before;
    for (const auto& file : journal.segments) {
      const auto verdict = verify_segment(journal, file, before);
      print_verdict(verdict, settings.quiet);
      ++totals.segments;
      totals.records += verdict.summary.records;
      totals.bytes += file.bytes;
      totals.lost += verdict.summary.lost_records;
      totals.damages += verdict.damages.size();
      const bool is_last = file.number == journal.segments.back().number;
      if (is_last && verdict.damages.empty() && !verdict.summary.closed) ++totals.unsealed;
    }
    if (const auto cut = noted ? cut_end(*noted, before, totals.lost) : std::nullopt) {
      fmt::print("  damage: {}\n", *cut);
      ++totals.damages;
    }
  }
  fmt::print("{} segments, {} records, {}: {}\n", totals.segments, totals.records, human_bytes(totals.bytes),
             conclusion(totals));
  return totals.damages == 0 ? 0 : 1;
}

// --- the command line ------------------------------------------------------------------------------------------

struct Subcommands {
  CLI::App* ls;
  CLI::App* cat;
  CLI::App* verify;
  CLI::App* convert;
  CLI::App* join;
};

Subcommands add_subcommands(CLI::App& app, Settings& settings) {
  app.require_subcommand(1);
  Subcommands sub{
      app.add_subcommand("ls", "list segments: number, day, records, size, first and last receive time, state"),
      app.add_subcommand("cat", "print records as capture lines (JSON), in order"),
      app.add_subcommand("verify", "check every checksum, count and order; exit status 1 when something is damaged"),
      app.add_subcommand("convert", "captures into a journal, or a journal into a capture"),
      app.add_subcommand("join", "two captures whose lines overlap as one, each line once")};
  for (auto* each : {sub.ls, sub.cat, sub.verify}) each->add_option("PATH", settings.path, kPathHelp)->required();
  sub.cat->add_option(
      "--from", settings.from,
      "records received at this time or later: 2026-11-22T17:44:30Z, 2026-11-22, or seconds since 1970");
  sub.cat->add_option("--to", settings.to, "records received before this time");
  sub.cat->add_option("--exchange", settings.exchanges, "records of this exchange only; may be repeated");
  sub.cat->add_option("--market", settings.market, "records of this market only, e.g. spot");
  sub.cat->add_option("--segment", settings.segment, "one segment, by its number");
  sub.verify->add_flag("--quiet", settings.quiet, "print damaged segments and the last line only");
  sub.convert->add_option("--to", settings.target, "journal or capture")
      ->required()
      ->check(CLI::IsMember({"journal", "capture"}));
  sub.convert
      ->add_option("INPUT", settings.inputs, "capture files (--to journal), or journals as in `cat` (--to capture)")
      ->required();
  sub.convert->add_option("-o,--output", settings.output,
                          "the journal directory to make; the capture file to write (default: standard output)");
  sub.convert->add_option("--exchange", settings.exchange,
                          "whose data the lines are that do not say so themselves (default: known by their addresses)");
  sub.convert->add_option("--market", settings.market, "with --exchange: its market, e.g. spot, where it has several");
  sub.join->add_option("CAPTURE", settings.inputs, "the earlier capture, and the later one")->required()->expected(2);
  sub.join->add_option("-o,--output", settings.output, "the capture file to make")->required();
  return sub;
}

}  // namespace

int run_journal(int argc, char** argv) {
  Settings settings;
  const auto app =
      make_cli("journal", "List, print, verify and convert raw captures (docs/journal.md).", std::string(kExamples));
  const auto sub = add_subcommands(*app, settings);
  if (const auto status = parse_cli(*app, argc, argv)) return *status;
  if (sub.ls->parsed()) return run_ls(settings);
  if (sub.cat->parsed()) return run_cat(settings);
  if (sub.verify->parsed()) return run_verify(settings);
  if (sub.join->parsed()) return run_join(settings);
  return run_convert(settings);
}

}  // namespace mp::app
