// marketprism normalize: captured raw messages in, normalised events out. Offline and deterministic.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "base/text.hpp"
#include "exchanges/router.hpp"
#include "journal/capture_line.hpp"
#include "wire/json.hpp"

namespace mp::app {
namespace {

constexpr std::string_view kExamples =
    "  marketprism normalize --exchange binance --market spot recording.jsonl > events.jsonl\n"
    "  zcat hour-*.jsonl.gz | marketprism normalize --exchange binance --market derivatives --orderbooks\n"
    "  marketprism normalize --exchange binance --market spot --instruments exchange_info.jsonl part2.jsonl\n";
constexpr std::string_view kDescription =
    "Reads captured raw messages (JSON lines: {\"t\":…,\"dir\":\"recv\",\"transport\":\"ws\",\"url\":…,\"raw\":…}) and "
    "writes one normalised event per line on standard output, in the order in which the events become valid. Gaps and "
    "rejected messages are events too. What is not mapped is counted on standard error. A line that cannot be read is "
    "told there with its file and number and skipped; the exit status is 1 only when no line could be read at all, or "
    "a file could not be opened.";

// UTF-8's, which some editors put in front of a file.
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct Settings {
  std::string exchange;
  std::string market;
  std::string instruments;
  bool orderbooks = false;
  std::vector<std::string> files;
};

// What came in may be shown, not done: a terminal obeys control characters.
std::string escaped(std::string_view text) {
  const bool is_text = is_valid_utf8(text);
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (!is_text && byte >= 0x80))
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

class Normalizer {
 public:
  explicit Normalizer(Source source, bool orderbooks)
      : source_(std::move(source)), router_([orderbooks](const Source& each) { return options(each, orderbooks); }) {}

  // False when the file cannot be opened. "-" is standard input.
  bool read(const std::string& file, bool rest_only) {
    std::ifstream opened;
    const std::string name = file == "-" ? "standard input" : file;
    if (file != "-") {
      if (std::error_code ignored; std::filesystem::is_directory(file, ignored)) {
        fmt::print(stderr, "marketprism normalize: {} is a folder; name the files in it\n", file);
        return false;
      }
      opened.open(file, std::ios::binary);
      if (!opened) {
        fmt::print(stderr, "marketprism normalize: cannot open {}\n", file);
        return false;
      }
    }
    std::istream& in = file == "-" ? std::cin : opened;
    begin_file();
    std::uint64_t number = 0;
    while (next_line(in)) {
      ++number;
      if (line_.size() > journal::kMaxCaptureLine) {
        complain(file, {Errc::out_of_range, fmt::format("line {}", number),
                        fmt::format("longer than the {} bytes that a line may have", journal::kMaxCaptureLine)});
        line_.clear();
        line_.shrink_to_fit();
        continue;
      }
      if (number == 1 && line_.starts_with(kByteOrderMark)) line_.erase(0, kByteOrderMark.size());
      if (!line_.empty() && line_.back() == '\r') line_.pop_back();
      if (line_.empty()) continue;
      const std::size_t size = line_.size();
      line_.append(RawRecord::kFramePadding, ' ');
      const auto read = reader_.read({line_.data(), size}, number);
      if (!read) {
        complain(file, read.error());
        continue;
      }
      ++lines_read_;
      take(*read, rest_only);
    }
    if (in.bad()) {
      fmt::print(stderr, "marketprism normalize: reading {} failed after line {}\n", name, number);
      return false;
    }
    return true;
  }

  // What waited for its conflation interval comes out at the end of the input.
  void finish() {
    if (!begun_) return;
    RawRecord flush;
    flush.kind = RecordKind::flush;
    flush.source = &source_;
    flush.received_at = last_received_ + std::chrono::hours{1};
    route(flush);
    write_out();
  }

  // Nothing of it was of this exchange and market: a mistaken option or file, and no success.
  bool failed() const { return write_failed_ || lines_read_ == elsewhere_; }
  std::string failure() const {
    if (lines_read_ == 0 && lines_refused_ == 0) return "the input has no line";
    if (lines_read_ == 0) return fmt::format("none of the {} lines could be read", lines_refused_);
    return fmt::format("all {} lines that could be read are of another exchange or market (the first: {}) than {}",
                       lines_read_, first_elsewhere_, name_of(source_));
  }
  bool write_failed() const { return write_failed_; }

  void report() {
    fmt::print(stderr, "lines read: {}\n", lines_read_);
    if (lines_refused_ > 0) fmt::print(stderr, "lines refused: {}\n", lines_refused_);
    if (elsewhere_ > 0) fmt::print(stderr, "lines of another exchange or market, skipped: {}\n", elsewhere_);
    for (const auto& [type, count] : events_) fmt::print(stderr, "events {}: {}\n", type, count);
    auto* session = router_.session(source_);
    if (!session) return;
    const auto counters = session->counters();
    if (counters.duplicates > 0) fmt::print(stderr, "seen already, dropped: {}\n", counters.duplicates);
    for (const auto& [name, count] : counters.unmapped) fmt::print(stderr, "not mapped, {}: {}\n", name, count);
    for (const auto& [name, count] : counters.unknown) fmt::print(stderr, "new to us, {}: {}\n", name, count);
  }

 private:
  static std::string name_of(const Source& source) {
    return source.exchange + (source.market.empty() ? "" : " " + source.market);
  }

  static SessionOptions options(const Source& source, bool orderbooks) {
    SessionOptions out;
    out.source = source;
    out.data_source = DataSource::replay;
    out.min_interval = {};
    out.max_clock_distance = std::chrono::hours{0};
    out.conversing = false;
    if (!orderbooks) std::erase(out.data_types, DataType::orderbook);
    return out;
  }

  // The next line, or what it takes to know that it is too long: input without line ends must not fill the memory.
  bool next_line(std::istream& in) {
    line_.clear();
    for (;;) {
      in.getline(piece_.data(), static_cast<std::streamsize>(piece_.size()));
      const auto size = static_cast<std::size_t>(in.gcount());
      const bool is_full = in.fail() && !in.eof() && !in.bad() && size + 1 == piece_.size();
      if (size == 0 && !is_full) return !line_.empty() && !in.bad();
      const bool has_end = !in.fail() && !in.eof();  // it is counted and not stored
      if (line_.size() <= journal::kMaxCaptureLine) line_.append(piece_.data(), has_end ? size - 1 : size);
      if (!is_full) return !in.bad();
      in.clear(in.rdstate() & ~std::ios::failbit);
    }
  }

  void complain(const std::string& file, const Error& error) {
    constexpr std::uint64_t kTold = 10;
    if (++lines_refused_ <= kTold)
      fmt::print(stderr, "marketprism normalize: {}: {}\n", file == "-" ? "standard input" : file,
                 escaped(error.text()));
    else if (lines_refused_ == kTold + 1)
      fmt::print(stderr, "marketprism normalize: further lines that cannot be read are only counted\n");
  }

  // Connection names are a file's own.
  void begin_file() {
    connections_.clear();
    RawRecord start;
    start.kind = RecordKind::start;
    start.received_at = last_received_;
    route(start);
  }

  ConnectionId connection_of(std::string_view name) {
    if (name.empty()) return 0;
    const auto [found, is_new] = connections_.emplace(name, 0);
    if (is_new) found->second = ++last_connection_;
    return found->second;
  }

  void take(const journal::CaptureLine& line, bool rest_only) {
    if (rest_only && line.kind != RecordKind::rest) return;
    if (!line.exchange.empty()
            ? line.exchange != source_.exchange || (!line.market.empty() && line.market != source_.market)
            : is_elsewhere(line.url)) {
      if (++elsewhere_ == 1) {
        const auto known = source_of_url(line.url);
        first_elsewhere_ = !line.exchange.empty() ? name_of({std::string(line.exchange), std::string(line.market)})
                           : known                ? name_of(*known)
                                                  : std::string(line.url);
      }
      return;
    }
    RawRecord record;
    record.kind = line.kind;
    record.connection = connection_of(line.conn);
    record.source = &source_;
    record.received_at = line.received_at;
    record.status = line.status;
    record.url = line.url;
    record.payload = line.payload;
    last_received_ = line.received_at;
    begun_ = true;
    route(record);
  }

  // A url that we do not know (a proxy, the simulator) is taken as what the user says it is.
  bool is_elsewhere(std::string_view url) const {
    const auto known = source_of_url(url);
    return known && *known != source_;
  }

  void route(const RawRecord& record) {
    router_.route(record, {}, MonoTime{}, [this](const Source&, Outbox& out, auto) {
      for (const auto& event : out.events) {
        wire::append_json(text_, event);
        text_.push_back('\n');
        ++events_[to_string(type_of(event))];
      }
    });
    constexpr std::size_t kEnough = 1 << 16;
    if (text_.size() >= kEnough) write_out();
  }

  void write_out() {
    if (!text_.empty() && std::fwrite(text_.data(), 1, text_.size(), stdout) != text_.size()) write_failed_ = true;
    text_.clear();
    if (std::fflush(stdout) != 0) write_failed_ = true;
  }

  Source source_;
  Router router_;
  journal::CaptureLineReader reader_;
  std::string line_;
  std::string piece_ = std::string(64 * 1024, '\0');
  std::string text_;
  std::map<std::string, ConnectionId, std::less<>> connections_;
  ConnectionId last_connection_ = 0;
  WallTime last_received_;
  bool begun_ = false;
  bool write_failed_ = false;
  std::uint64_t lines_read_ = 0;
  std::uint64_t lines_refused_ = 0;
  std::uint64_t elsewhere_ = 0;
  std::string first_elsewhere_;
  std::map<std::string, std::uint64_t> events_;
};

int usage(const std::string& text) {
  fmt::print(stderr, "marketprism normalize: {} (see --help)\n", text);
  return 2;
}

// The source that the options name, or what is wrong with them.
Result<Source> source_of(const Settings& settings) {
  const auto exchange = find_exchange(settings.exchange);
  if (!exchange) return exchange.error();
  const auto& markets = (*exchange)->markets;
  if (settings.market.empty() && markets.size() == 1) return Source{settings.exchange, markets.front()};
  if (std::ranges::find(markets, settings.market) != markets.end()) return Source{settings.exchange, settings.market};
  if (settings.market.empty())
    return Error{Errc::usage, settings.exchange + " needs --market", fmt::format("{}", fmt::join(markets, " or "))};
  return Error{Errc::usage, "--market", no_such_market(settings.exchange, markets, settings.market)};
}

}  // namespace

int run_normalize(int argc, char** argv) {
  Settings settings;
  auto app = make_cli("normalize", std::string(kDescription), std::string(kExamples));
  app->add_option("--exchange", settings.exchange, "whose messages these are, e.g. binance")->required();
  app->add_option("--market", settings.market, "spot or derivatives; needed where the markets share message names");
  app->add_option("--instruments", settings.instruments,
                  "a capture whose REST lines tell the instruments, for input that lacks them");
  app->add_flag("--orderbooks", settings.orderbooks, "write conflated orderbook events too");
  app->add_option("files", settings.files, "captures, read in this order; '-' or none: standard input");
  if (const auto status = parse_cli(*app, argc, argv)) return *status;

  const auto source = source_of(settings);
  if (!source) return usage(source.error().text());
  if (settings.files.empty()) settings.files.emplace_back("-");

  Normalizer normalizer(*source, settings.orderbooks);
  bool all_opened = true;
  if (!settings.instruments.empty()) all_opened = normalizer.read(settings.instruments, true);
  for (const auto& file : settings.files) all_opened = normalizer.read(file, false) && all_opened;
  normalizer.finish();
  normalizer.report();
  if (normalizer.write_failed()) return fail("normalize", "standard output could not be written");
  if (all_opened && normalizer.failed()) return fail("normalize", normalizer.failure());
  return all_opened ? 0 : 1;
}

}  // namespace mp::app
