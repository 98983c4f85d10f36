// What the journal costs: microseconds for each append (encode, compress, checksum, one write() to the page cache)
// and bytes on disk for each record, by group size and compression level; and how fast it is read again.
//
//   build/release/bin/journal_append                      on messages made here
//   MP_CAPTURE=FILE build/release/bin/journal_append      on the frames of a capture
//
// docs/journal.md has the figures.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "journal/capture_line.hpp"
#include "journal/cursor.hpp"
#include "journal/journal.hpp"

namespace {

using namespace mp;
using namespace mp::journal;

const Source kSource{"binance", "derivatives"};

// Depth updates of a few symbols: ids and times count up, prices and quantities wander.
std::vector<std::string> made_messages() {
  std::vector<std::string> messages;
  std::uint64_t random = 1;
  const auto next = [&random](std::uint64_t below) {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    return (random >> 33) % below;
  };
  const char* symbols[] = {"BTCUSDT", "ETHUSDT", "SOLUSDT", "KEEPUSDT"};
  std::uint64_t id = 600859600000;
  const auto levels = [&] {
    std::string text = "[";
    for (auto count = 1 + next(3); count > 0; --count) {
      text += "[\"" + std::to_string(65000 + next(300)) + "." + std::to_string(next(10)) + "0\",\"" +
              std::to_string(next(40)) + "." + std::to_string(100 + next(900)) + "\"]";
      if (count > 1) text += ",";
    }
    return text + "]";
  };
  for (int i = 0; i < 20'000; ++i) {
    const std::string symbol = symbols[next(4)];
    const auto time = std::to_string(1700000000000 + i * 2);
    const auto first = id + 1;
    id += 1 + next(40);
    messages.push_back(R"({"stream":"x@depth@100ms","data":{"e":"depthUpdate","E":)" + time + R"(,"T":)" + time +
                       R"(,"s":")" + symbol + R"(","U":)" + std::to_string(first) + R"(,"u":)" + std::to_string(id) +
                       R"(,"pu":)" + std::to_string(first - 1) + R"(,"b":)" + levels() + R"(,"a":)" + levels() + "}}");
  }
  return messages;
}

std::vector<std::string> captured_messages(const char* path) {
  std::vector<std::string> messages;
  std::ifstream in(path);
  CaptureLineReader reader;
  std::string text;
  for (std::uint64_t n = 1; std::getline(in, text); ++n) {
    const auto size = text.size();
    text.resize(size + RawRecord::kFramePadding);
    const auto line = reader.read(std::string_view(text).substr(0, size), n);
    if (line && line->kind == RecordKind::text) messages.emplace_back(line->payload);
  }
  return messages;
}

const std::vector<std::string>& messages() {
  static const auto all = [] {
    const char* path = std::getenv("MP_CAPTURE");
    auto found = path == nullptr ? made_messages() : captured_messages(path);
    if (found.empty()) {
      std::cerr << "no frames in MP_CAPTURE=" << path << "\n";
      std::exit(1);
    }
    return found;
  }();
  return all;
}

struct Directory {
  Directory() : path(std::filesystem::temp_directory_path() / ("mp_bench_" + std::to_string(::getpid()))) {}
  ~Directory() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

RawRecord record_of(std::size_t n) {
  const auto& all = messages();
  return {RecordKind::text,
          1,
          &kSource,
          wall_from_nanos(1'700'000'000'000'000'000 + static_cast<std::int64_t>(n) * 61'234),
          0,
          {},
          all[n % all.size()]};
}

std::unique_ptr<Journal> begin(const Directory& directory, int level) {
  JournalOptions options;
  options.directory = directory.path;
  options.compression_level = level;
  auto journal = std::move(Journal::open(options).value());
  if (!journal->start_segment("", wall_from_nanos(0))) std::abort();
  const RawRecord opened{
      RecordKind::opened, 1, &kSource, wall_from_nanos(0), 0, "wss://fstream.binance.com/stream", {}};
  if (!journal->append({&opened, 1})) std::abort();
  return journal;
}

void append(benchmark::State& state) {
  const auto group = static_cast<std::size_t>(state.range(0));
  const Directory directory;
  const auto journal = begin(directory, static_cast<int>(state.range(1)));
  const auto before = journal->counters();
  std::size_t n = 0;
  std::size_t payload = 0;
  std::vector<RawRecord> records;
  for (auto _ : state) {
    records.clear();
    for (std::size_t i = 0; i < group; ++i) {
      records.push_back(record_of(n++));
      payload += records.back().payload.size();
    }
    if (journal->needs_new_segment(wall_from_nanos(0)) && !journal->start_segment("", wall_from_nanos(0))) std::abort();
    if (!journal->append(records)) std::abort();
  }
  const auto after = journal->counters();
  state.SetItemsProcessed(static_cast<std::int64_t>(n));
  state.counters["payload_B/record"] = static_cast<double>(payload) / static_cast<double>(n);
  state.counters["disk_B/record"] =
      static_cast<double>(after.written_bytes - before.written_bytes) / static_cast<double>(n);
}
BENCHMARK(append)
    ->ArgNames({"group", "level"})
    ->ArgsProduct({{1, 2, 8, 64, 512}, {-1, 1, 3}})
    ->Unit(benchmark::kMicrosecond);

void read(benchmark::State& state) {
  const auto group = static_cast<std::size_t>(state.range(0));
  const Directory directory;
  const auto journal = begin(directory, 1);
  constexpr std::size_t kRecords = 200'000;
  std::vector<RawRecord> records;
  for (std::size_t n = 0; n < kRecords;) {
    records.clear();
    for (std::size_t i = 0; i < group; ++i) records.push_back(record_of(n++));
    if (!journal->append(records)) std::abort();
  }
  std::size_t bytes = 0;
  for (auto _ : state) {
    auto cursor = std::move(Cursor::open(directory.path, {}).value());
    while (true) {
      const auto found = cursor.next();
      if (found == CursorState::at_head) break;
      if (found == CursorState::record) bytes += cursor.record().payload.size();
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(kRecords) * state.iterations());
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(read)->ArgName("group")->Arg(1)->Arg(8)->Arg(64)->Unit(benchmark::kMillisecond);

void read_capture_lines(benchmark::State& state) {
  std::string text;
  std::vector<std::pair<std::size_t, std::size_t>> lines;
  for (std::size_t n = 0; n < 20'000; ++n) {
    const auto at = text.size();
    append_capture_line(text, capture_line_of(record_of(n), "wss://fstream.binance.com/stream", "1"));
    lines.emplace_back(at, text.size() - at - 1);
  }
  text.resize(text.size() + RawRecord::kFramePadding);
  CaptureLineReader reader;
  std::size_t payload = 0;
  for (auto _ : state) {
    std::uint64_t number = 0;
    for (const auto& [at, size] : lines) {
      const auto line = reader.read(std::string_view(text).substr(at, size), ++number);
      if (!line) std::abort();
      payload += line->payload.size();
    }
  }
  benchmark::DoNotOptimize(payload);
  state.SetItemsProcessed(static_cast<std::int64_t>(lines.size()) * state.iterations());
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * state.iterations());
}
BENCHMARK(read_capture_lines)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
