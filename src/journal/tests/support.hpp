#pragma once
// What the journal's tests share: temporary directories, records to write, records as read.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "journal/cursor.hpp"
#include "journal/journal.hpp"

namespace mp::journal::testing_support {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    auto pattern = (std::filesystem::temp_directory_path() / "mp_journal_XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A record that owns what it refers to.
struct OwnedRecord {
  RecordKind kind{};
  ConnectionId connection = 0;
  std::optional<Source> source;
  std::int64_t time = 0;
  int status = 0;
  std::string url;
  std::string payload;

  friend bool operator==(const OwnedRecord&, const OwnedRecord&) = default;

  RawRecord view() const {
    return {kind, connection, source ? &*source : nullptr, wall_from_nanos(time), status, url, payload};
  }
};

inline OwnedRecord owned(const RawRecord& record) {
  return {record.kind,
          record.connection,
          record.source == nullptr ? std::nullopt : std::optional(*record.source),
          nanos_since_epoch(record.received_at),
          record.status,
          std::string(record.url),
          std::string(record.payload)};
}

inline std::ostream& operator<<(std::ostream& out, const OwnedRecord& r) {
  return out << "kind " << static_cast<int>(r.kind) << " connection " << r.connection << " "
             << (r.source ? r.source->text() : "-") << " at " << r.time << " status " << r.status << " url " << r.url
             << " payload " << r.payload.substr(0, 60);
}

inline const Source kSpot{"binance", "spot"};
inline const Source kOkx{"okx", ""};
inline constexpr std::int64_t kStartTime = 1'700'000'000'000'000'000;

// A text payload that differs for each number and compresses about as market data does.
inline std::string trade_text(std::uint64_t n) {
  const auto mixed = n * 6364136223846793005ull + 1442695040888963407ull;
  return R"({"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","t":)" + std::to_string(n) + R"(,"p":")" +
         std::to_string(60000 + mixed % 5000) + "." + std::to_string(mixed >> 57) + R"(","q":"0.)" +
         std::to_string(mixed >> 40) + R"("}})";
}

inline OwnedRecord text_record(std::uint64_t n, ConnectionId connection = 1) {
  return {RecordKind::text, connection, kSpot, kStartTime + static_cast<std::int64_t>(n) * 1'000'003, 0, "",
          trade_text(n)};
}

// Every kind of record, with odd values among them.
inline std::vector<OwnedRecord> assorted_records() {
  const std::string binary(
      "\xff\x00\xa7"
      "B\x00\x01",
      6);
  return {
      {RecordKind::start, 0, std::nullopt, kStartTime, 0, "", ""},
      {RecordKind::opened, 1, kSpot, kStartTime + 5, 0, "wss://stream.example/stream?streams=a@b/c@d", ""},
      {RecordKind::sent, 1, kSpot, kStartTime + 6, 0, "", R"({"method":"SUBSCRIBE"})"},
      {RecordKind::text, 1, kSpot, kStartTime + 7, 0, "", R"({"result":null})"},
      {RecordKind::opened, 2, kOkx, kStartTime + 9, 0, "wss://ws.example:8443/ws/v5/public", ""},
      {RecordKind::binary, 2, kOkx, kStartTime + 8, 0, "", binary},
      {RecordKind::rest, 0, kSpot, kStartTime + 10, 200, "https://api.example/depth?symbol=BTCUSDT&limit=1000", "{}"},
      {RecordKind::rest, 0, kOkx, kStartTime + 11, 429, "https://ws.example/api", ""},
      {RecordKind::rest_failed, 0, kOkx, kStartTime + 12, 0, "https://ws.example/api", "time-out after 10 s"},
      {RecordKind::flush, 0, kSpot, kStartTime + 13, 0, "", ""},
      {RecordKind::configured, 0, kSpot, kStartTime + 13, 0, "", "data trade\nsymbol symbol=BTC-USDT\n"},
      {RecordKind::unreadable, 0, kSpot, kStartTime + 13, 0, "line 7: not JSON", "{\"t\":17"},
      {RecordKind::text, 1, kSpot, kStartTime - 1'000'000'000, 0, "", trade_text(1)},
      {RecordKind::closed, 2, kOkx, kStartTime + 14, 0, "", "peer closed: 1006"},
      {RecordKind::text, 1, kSpot, 0, 0, "", ""},
      {RecordKind::text, 1, kSpot, INT64_MAX, 0, "", "x"},
      {RecordKind::stop, 0, std::nullopt, kStartTime + 15, 0, "", ""},
  };
}

inline std::vector<RawRecord> views(const std::vector<OwnedRecord>& records) {
  std::vector<RawRecord> out;
  for (const auto& record : records) out.push_back(record.view());
  return out;
}

inline RecordPosition append_one(Journal& journal, const OwnedRecord& record) {
  const auto view = record.view();
  const auto position = journal.append({&view, 1});
  EXPECT_TRUE(position.has_value()) << position.error().text();
  return position.has_value() ? *position : RecordPosition{};
}

inline std::unique_ptr<Journal> open_journal(JournalOptions options) {
  auto journal = Journal::open(std::move(options));
  EXPECT_TRUE(journal.has_value()) << (journal ? "" : journal.error().text());
  if (!journal) throw std::runtime_error("no journal");
  return std::move(*journal);
}

// As opened by a collector: one segment begun.
inline std::unique_ptr<Journal> started_journal(JournalOptions options, std::string_view checkpoint = "state") {
  auto journal = open_journal(std::move(options));
  const auto started = journal->start_segment(checkpoint, wall_from_nanos(kStartTime));
  EXPECT_TRUE(started.has_value()) << (started ? "" : started.error().text());
  return journal;
}

struct ReadBack {
  std::vector<OwnedRecord> records;
  std::vector<RecordPosition> positions;
  std::vector<std::uint32_t> segments;
  std::vector<std::string> losses;
  std::uint64_t lost_records = 0;
};

// Everything up to the head.
inline ReadBack read_all(const std::filesystem::path& directory, RecordPosition from = {}) {
  ReadBack read;
  auto cursor = Cursor::open(directory, from);
  EXPECT_TRUE(cursor.has_value()) << (cursor ? "" : cursor.error().text());
  while (cursor) {
    switch (cursor->next()) {
      case CursorState::record:
        read.records.push_back(owned(cursor->record()));
        read.positions.push_back(cursor->position());
        continue;
      case CursorState::segment: read.segments.push_back(cursor->header().segment); continue;
      case CursorState::loss: read.losses.push_back(cursor->loss()); continue;
      case CursorState::failed: ADD_FAILURE() << cursor->error().text(); break;
      case CursorState::at_head: break;
    }
    read.lost_records = cursor->lost_records();
    break;
  }
  return read;
}

inline std::string file_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::filesystem::path only_segment(const std::filesystem::path& directory) {
  const auto files = list_segments(directory);
  EXPECT_TRUE(files.has_value());
  EXPECT_EQ(files->size(), 1u);
  return files->at(0).path;
}

}  // namespace mp::journal::testing_support
