// marketprism export: a table's rows of a time range into a file.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stop_token>
#include <thread>

#include "app/commands.hpp"
#include "app/operate/export.hpp"
#include "app/operate/query.hpp"
#include "app/operate/terminal.hpp"
#include "app/target_cli.hpp"
#include "net/clock.hpp"

namespace mp::app {
namespace {

const std::string kDescription =
    "Writes a table's rows of a time range, ordered by time, to a Parquet, CSV or JSON-lines file. The range is half-open: --from\n"
    "belongs to it, --to does not, so that ranges that follow one another neither miss nor repeat a row. Numbers are exact:\n"
    "decimals in Parquet, digits in CSV, strings in JSON lines. The file gets its name when it is whole.";

const std::string kExamples =
    "  marketprism export --table trades --exchange binance --symbol BTC-USDT --from 2026-11-22 --to 2026-11-23 \\\n"
    "      --output btc-2026-11-22.parquet\n"
    "  marketprism export --table trades --last 2h --output trades.csv\n"
    "  marketprism export --table orderbooks --symbol BTC-USDT --symbol ETH-USDT --market-type perpetual --last 1h \\\n"
    "      --columns timestamp,symbol,best_bid_price,best_ask_price --output tops.jsonl\n"
    "  marketprism export --cold --table funding_rates --from 2026-01-01 --output funding.parquet --force\n"
    "  marketprism export --sim --table ohlcv_1m --output bars.csv\n";

struct Options {
  TargetOptions target;
  std::string table = "trades";
  std::vector<std::string> exchanges, market_types, symbols;
  std::string columns, from, to, last, format, output;
  bool force = false;
  bool quiet = false;
};

Error usage(const std::string& where, const std::string& what) { return {Errc::usage, where, what}; }

std::vector<std::string> split_all(const std::vector<std::string>& texts) {
  std::vector<std::string> items;
  for (const auto& text : texts) {
    for (std::size_t begin = 0; begin <= text.size();) {
      const auto comma = std::min(text.find(',', begin), text.size());
      auto item = text.substr(begin, comma - begin);
      item.erase(0, item.find_first_not_of(" \t"));
      item.erase(item.find_last_not_of(" \t") + 1);
      if (!item.empty()) items.push_back(std::move(item));
      begin = comma + 1;
    }
  }
  return items;
}

Result<operate::ExportFormat> format_of(const Options& o) {
  if (!o.format.empty()) return operate::export_format_from(o.format);
  const auto ending = std::filesystem::path(o.output).extension().string();
  if (ending == ".ndjson" || ending == ".json") return operate::ExportFormat::jsonl;
  if (!ending.empty())
    if (auto format = operate::export_format_from(ending.substr(1))) return *format;
  return usage("--format", fmt::format("parquet, csv or jsonl: the name {} does not tell", o.output));
}

Result<WallTime> moment(const char* option, const std::string& text, WallTime otherwise) {
  if (text.empty()) return otherwise;
  if (auto time = operate::parse_moment(text))
    return *time;
  else
    return usage(option, time.error().seen);
}

Result<operate::TimeRange> range_of(const Options& o, WallTime now) {
  if (!o.last.empty() && !o.from.empty()) return usage("--last", "and --from: one of them");
  const auto to = moment("--to", o.to, now);
  if (!to) return to.error();
  auto from = moment("--from", o.from, WallTime{});
  if (!from) return from.error();
  if (!o.last.empty()) {
    const auto length = parse_duration(o.last);
    if (!length || *length <= Nanos{0})
      return usage("--last", fmt::format("a time like 30m, 2h or 3d, saw '{}'", o.last));
    from = *to - *length;
  }
  if (*from >= *to) return usage("--from", fmt::format("{} is not before --to {}", iso(*from), iso(*to)));
  return operate::TimeRange{*from, *to};
}

// For tests, and for a server with little memory.
Result<std::uint64_t> piece_rows(std::uint64_t otherwise) {
  const char* variable = "MARKETPRISM_EXPORT_PIECE_ROWS";
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return otherwise;
  char* end = nullptr;
  const auto rows = std::strtoull(text, &end, 10);
  if (*end != '\0' || rows == 0) return usage(variable, fmt::format("a number of rows, saw '{}'", text));
  return std::uint64_t{rows};
}

Result<operate::ExportOptions> understand(const Options& o) {
  operate::ExportOptions options;
  if (o.output.empty()) return usage("--output", "the file to be written is not named");
  options.output = o.output;
  options.force = o.force;
  auto& r = options.request;
  r.table = o.table;
  r.exchanges = split_all(o.exchanges);
  r.market_types = split_all(o.market_types);
  r.symbols = split_all(o.symbols);
  r.columns = split_all({o.columns});
  const auto format = format_of(o);
  if (!format) return format.error();
  r.format = *format;
  const auto rows = piece_rows(options.piece_rows);
  if (!rows) return rows.error();
  options.piece_rows = *rows;
  const auto range = range_of(o, net::now().wall);
  if (!range) return range.error();
  r.from = range->from;
  r.to = range->to;
  return options;
}

// Ctrl-C ends the request that is under way, so that what was written beside the output can be removed.
class Interruptible {
 public:
  Interruptible() {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, signal);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::jthread([this](std::stop_token end) {
      const timespec pause{0, 100'000'000};
      while (!end.stop_requested())
        if (::sigtimedwait(&signals_, nullptr, &pause) > 0) stop_.request_stop();
    });
  }
  std::stop_token token() const { return stop_.get_token(); }

 private:
  sigset_t signals_{};
  std::stop_source stop_;
  std::jthread thread_;  // last: ends before what it uses
};

// A bar in a terminal, a line every five seconds elsewhere.
class ProgressLine {
 public:
  explicit ProgressLine(bool is_quiet) : screen_(operate::screen_of(STDERR_FILENO)), is_quiet_(is_quiet) {}
  void show(const operate::ExportProgress& progress) {
    if (is_quiet_) return;
    if (screen_.is_terminal) {
      const auto text = operate::progress_text(progress, 24);
      fmt::print(stderr, "\r{}\x1b[K", text.substr(0, screen_.width - 1));
      is_drawn_ = true;
    } else if (progress.elapsed - told_ >= std::chrono::seconds{5}) {
      told_ = progress.elapsed;
      fmt::print(stderr, "export: {}\n", operate::progress_text(progress, 0));
    }
    std::fflush(stderr);
  }
  void clear() {
    if (is_drawn_) fmt::print(stderr, "\r\x1b[K");
  }

 private:
  const operate::Screen screen_;
  const bool is_quiet_;
  bool is_drawn_ = false;
  std::chrono::milliseconds told_{0};
};

Result<operate::ExportDone> run(const Options& o, const operate::Target& target, operate::ExportOptions& options) {
  auto to = target.storage.clickhouse;
  to.query_timeout = std::chrono::milliseconds{0};
  clickhouse::Client client(to);
  options.request.database = target.storage.database;
  if (!target.database_is_named) {
    const auto found = operate::find_database(client);
    if (!found) return found.error();
    if (!found->name.empty()) options.request.database = found->name;
    if (!found->note.empty()) fmt::print(stderr, "marketprism export: {}\n", found->note);
  }
  const Interruptible interruptible;
  ProgressLine line(o.quiet);
  options.progress = [&](const auto& progress) { line.show(progress); };
  auto done = operate::run_export(client, options, interruptible.token());
  line.clear();
  return done;
}

}  // namespace

int run_export(int argc, char** argv) {
  Options o;
  auto cli = make_cli("export", kDescription, kExamples);
  cli->add_option("--table", o.table, "table or view: trades, orderbooks, gaps, ohlcv_1m, …");
  cli->add_option("--exchange", o.exchanges, "only these; repeatable, or separated by commas");
  cli->add_option("--market-type", o.market_types, "only these: spot, perpetual, futures, options");
  cli->add_option("--symbol", o.symbols, "only these, e.g. BTC-USDT");
  cli->add_option("--columns", o.columns, "only these columns, separated by commas; else all that the table stores");
  cli->add_option("--from", o.from, "first moment, UTC: 2026-11-22 or 2026-11-22T10:00:00.5Z; else from the beginning");
  cli->add_option("--to", o.to, "first moment that does not belong to it any more; else now");
  cli->add_option("--last", o.last, "instead of --from: so long before --to, e.g. 2h");
  cli->add_option("--format", o.format, "parquet, csv or jsonl; else by the ending of --output");
  cli->add_option("--output", o.output, "the file");
  cli->add_flag("--force", o.force, "replace the file if it exists");
  cli->add_flag("--quiet", o.quiet, "no progress");
  add_clickhouse_options(*cli, o.target);
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  auto options = understand(o);
  const auto target = options ? understand_target(o.target) : Result<operate::Target>(options.error());
  if (!target) {
    fail("export", target.error().text());
    return target.error().code == Errc::usage ? 2 : 1;
  }
  const auto done = run(o, *target, *options);
  if (!done) {
    fail("export", done.error().text());
    return done.error().code == Errc::usage ? 2 : 1;
  }
  const auto& r = options->request;
  if (done->rows == 0)
    fmt::print(stderr, "marketprism export: no row of {}.{} lies in that range\n", r.database, r.table);
  fmt::print("{}: {} rows, {}, {}.{} from {} to {}\n", o.output, done->rows, operate::bytes_text(done->bytes),
             r.database, r.table, r.from == WallTime{} ? "the beginning" : iso(r.from), iso(r.to));
  return 0;
}

}  // namespace mp::app
