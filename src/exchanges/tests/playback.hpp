#pragma once
// Plays recorded sessions (../shared/captures, where that folder is there) and made ones through a Router.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "exchanges/router.hpp"
#include "exchanges/tests/padded_text.hpp"
#include "journal/capture_line.hpp"

namespace mp {

struct Line {
  RecordKind kind;
  WallTime received_at;
  std::string url;
  std::string payload;
  ConnectionId connection;
  int status;
};

// All lines of a capture; `name`: "binance_spot.jsonl".
inline std::vector<Line> capture(const std::string& name) {
  const std::string path = std::string(MP_SHARED_DIR) + "/captures/" + name;
  std::vector<Line> out;
  std::ifstream in(path);
  journal::CaptureLineReader reader;
  std::string text;
  for (std::uint64_t number = 1; std::getline(in, text); ++number) {
    const PaddedText padded(text);
    const auto line = reader.read(padded.view(), number);
    EXPECT_TRUE(line) << line.error().text();
    if (!line) break;
    out.push_back({line->kind, line->received_at, std::string(line->url), std::string(line->payload),
                   line->conn.empty() ? 0u : 1u, line->status});
  }
  return out;
}

// One source's records through a router that publishes and asks for nothing.
struct Playback {
  explicit Playback(const Source& where, bool pictures = false) : source(where) {
    options.source = where;
    options.data_source = DataSource::replay;
    options.max_clock_distance = std::chrono::hours{0};
    options.conversing = false;
    if (!pictures) std::erase(options.data_types, DataType::orderbook);
    router = fresh();
  }
  std::unique_ptr<Router> fresh() const {
    return std::make_unique<Router>([this](const Source&) { return options; });
  }
  static void feed(Router& router, const Source& source, const Line& line, std::vector<MarketEvent>& events) {
    const PaddedText padded(line.payload);
    RawRecord record;
    record.kind = line.kind;
    record.connection = line.connection;
    record.source = &source;
    record.received_at = line.received_at;
    record.status = line.status;
    record.url = line.url;
    record.payload = padded.view();
    router.route(record, {}, MonoTime{}, [&](const Source&, Outbox& out, auto) {
      for (auto& event : out.events) events.push_back(std::move(event));
    });
  }
  void feed_all(const std::vector<Line>& lines) {
    for (const auto& line : lines) feed(*router, source, line, events);
  }
  Source source;
  SessionOptions options;
  std::unique_ptr<Router> router;
  std::vector<MarketEvent> events;
};

struct Counts {
  std::size_t trades, deltas, snapshots, gaps, rejected;
  friend bool operator==(const Counts&, const Counts&) = default;
};
inline Counts count(const std::vector<MarketEvent>& events) {
  Counts counts{};
  for (const auto& event : events) {
    counts.trades += std::holds_alternative<Trade>(event);
    counts.gaps += std::holds_alternative<Gap>(event);
    counts.rejected += std::holds_alternative<Rejected>(event);
    if (const auto* delta = std::get_if<OrderBookDelta>(&event))
      ++(delta->is_snapshot ? counts.snapshots : counts.deltas);
  }
  return counts;
}

}  // namespace mp
