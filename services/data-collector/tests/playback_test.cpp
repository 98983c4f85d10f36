#include "playback.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include <unistd.h>

#include "exchanges/exchange.hpp"
#include "journal/capture_line.hpp"

namespace mp::collector {
namespace {

namespace fs = std::filesystem;

// A bus in memory that takes everything, by where it stands.
class MemorySink final : public EventSink {
 public:
  using Stored = std::map<std::pair<std::string, EventPosition>, std::string>;
  explicit MemorySink(Stored& stored) : stored_(stored) {}

  void set_callbacks(Callbacks) override {}
  bool fits(std::string_view) const override { return true; }
  Offer offer(std::string_view subject, EventPosition position, std::string_view line) override {
    const auto [at, is_new] = stored_.try_emplace({std::string(subject), position}, line);
    EXPECT_TRUE(is_new || at->second == line) << "an event changed between two decodings";
    return Offer::taken;
  }
  void offered_through(RecordPosition position) override { acked_ = position; }
  RecordPosition acked_through() const override { return acked_; }
  SinkStatus status() const override { return {}; }
  void stop() override {}
  void start_at(RecordPosition acked) { acked_ = acked; }

 private:
  Stored& stored_;
  RecordPosition acked_;
};

constexpr auto kStart = std::chrono::sys_days(std::chrono::year(2026) / 11 / 1);

// Lines of a recording of Binance spot.
class Recording {
 public:
  std::string text;

  void add(RecordKind kind, std::string_view conn, std::string_view url, std::string_view payload) {
    journal::CaptureLine line;
    line.kind = kind;
    line.received_at = at_ += std::chrono::milliseconds(7);
    line.conn = conn;
    line.url = url;
    line.payload = payload;
    line.status = kind == RecordKind::rest ? 200 : 0;
    line.exchange = "binance";
    line.market = "spot";
    journal::append_capture_line(text, line);
  }
  void instruments() {
    add(RecordKind::rest, "", "https://api.binance.com/api/v3/exchangeInfo",
        R"({"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[)"
        R"({"filterType":"PRICE_FILTER","tickSize":"0.01"},{"filterType":"LOT_SIZE","stepSize":"0.00001"}]}]})");
  }
  void open(std::string_view conn) { add(RecordKind::opened, conn, kUrl, ""); }
  void trade(std::string_view conn, int id) {
    add(RecordKind::text, conn, kUrl,
        fmt::format(
            R"({{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":1790000000123,"s":"BTCUSDT","a":{},"p":"64250.10","q":"0.01",)"
            R"("f":{},"l":{},"T":1790000000120,"m":false,"M":true}}}})",
            id, id, id));
  }
  void snapshot(int last) {
    add(RecordKind::rest, "", "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000",
        fmt::format(R"({{"lastUpdateId":{},"bids":[["100.00","1.0"]],"asks":[["101.00","1.0"]]}})", last));
  }
  void update(std::string_view conn, int id) {
    add(RecordKind::text, conn, kUrl,
        fmt::format(
            R"({{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1790000000123,"s":"BTCUSDT","U":{},"u":{},"b":[["100.00","{}.5"]],"a":[]}}}})",
            id, id, id));
  }

 private:
  static constexpr std::string_view kUrl = "wss://stream.binance.com:9443/stream";
  WallTime at_ = kStart;
};

class PlaybackTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "mp-playback-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(directory_); }

  static SessionOptions options(const Source& source) {
    SessionOptions options;
    options.source = source;
    options.data_source = DataSource::replay;
    options.max_clock_distance = std::chrono::hours(0);
    options.conversing = false;
    return options;
  }

  fs::path write(std::string_view text) {
    const auto path = directory_ / "recording.jsonl";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  // Plays the file as lanes.cpp does. `turns`: then the process is killed; whether it was done before.
  bool play(std::string_view text, int turns = INT_MAX) {
    const auto plan = journal::plan_recordings({write(text)}, source_of_url, directory_ / "journal");
    EXPECT_TRUE(plan) << plan.error().text();
    if (!plan || plan->groups.empty()) return true;
    auto recording = plan->groups[0][0];
    journal::JournalOptions at;
    at.directory = recording.directory;
    at.id = recording.id;
    auto opened = journal::Journal::open(std::move(at));
    EXPECT_TRUE(opened) << opened.error().text();
    journal_ = std::move(*opened);
    net::Loop loop;
    MemorySink sink(stored_);
    Ingest::Callbacks none;
    none.outbox = [](const Source&, const RawRecord*, Outbox&) {};
    none.group_done = [](std::chrono::nanoseconds) {};
    bool done = false;
    {
      Ingest ingest(*journal_, options, options, sink, loop, std::move(none));
      EXPECT_TRUE(ingest.recover());
      if (recording.is_new_part) {
        EXPECT_TRUE(journal::claim_recording(recording));
      }
      auto capture = journal::CaptureSet::open_part(recording.path, recording.boundaries(), source_of_url);
      EXPECT_TRUE(capture) << capture.error().text();
      Playback::Callbacks callbacks;
      callbacks.settled = [&](std::uint64_t bytes, bool closed) -> Result<void> {
        if (turns-- <= 0) return Error{Errc::io, "killed", "before the note"};
        EXPECT_TRUE(journal_->sync());
        if (closed) ++closed_ends_;
        return journal::settle_recording(recording, bytes, closed);
      };
      callbacks.done = [&] { done = true; };
      Playback playback(recording, std::make_unique<journal::CaptureSet>(std::move(*capture)), 0,
                        journal_->recovered().records, ingest, loop, std::move(callbacks));
      if (turns > 0) playback.start();
      while (!done && turns-- > 0) loop.poll();
      done = done && !playback.failure();
      if (done) ingest.commit();
    }
    records_ = journal_->recovered().records + journal_->counters().records;
    journal_.reset();
    return done;
  }

  // Subject and content of each event, without what belongs to the position.
  std::vector<std::string> events() const {
    std::vector<std::string> out;
    for (const auto& [key, line] : stored_)
      if (!key.first.starts_with("orderbook-data."))
        out.push_back(key.first + " " + line.substr(0, line.find("\"gap_id\"")));
    std::ranges::sort(out);
    return out;
  }

  fs::path directory_;
  MemorySink::Stored stored_;
  std::unique_ptr<journal::Journal> journal_;
  int closed_ends_ = 0;
  std::uint64_t records_ = 0;  // in the journal
};

Recording session(int trades) {
  Recording recording;
  recording.instruments();
  recording.open("1");
  recording.snapshot(10);
  for (int i = 1; i <= trades; ++i) {
    recording.trade("1", i);
    recording.update("1", 10 + i);
  }
  return recording;
}

TEST_F(PlaybackTest, InPiecesAndKilledOnTheWayItGivesWhatItGivesAtOnce) {
  const auto whole = session(150).text;
  ASSERT_TRUE(play(whole));
  const auto wanted = events();
  ASSERT_GT(wanted.size(), 300u);
  const auto line_end = [&](std::size_t near) { return whole.find('\n', near) + 1; };
  const std::vector<std::vector<std::size_t>> pieces{
      {whole.size() / 3, whole.size()},  // in the middle of a line
      {line_end(whole.size() / 4), line_end(whole.size() / 2), whole.size()},
      {line_end(whole.size() / 2) - 1, whole.size() / 2 + 300, whole.size()},  // without its line end
  };
  for (std::size_t piece = 0; piece < pieces.size(); ++piece) {
    const auto& ends = pieces[piece];
    for (int turns = static_cast<int>(piece); turns < 14; turns += 5) {
      fs::remove_all(directory_ / "journal");
      stored_.clear();
      for (const auto end : ends) {
        // Killed twice on the way through each piece, and the last time not played to its end before it grows.
        play(std::string_view(whole).substr(0, end), turns);
        if (turns % 2 == 0) play(std::string_view(whole).substr(0, end), turns / 2 + 1);
      }
      ASSERT_TRUE(play(whole));
      ASSERT_EQ(events(), wanted) << "killed after " << turns << " turns";
      const auto before = stored_.size();
      ASSERT_TRUE(play(whole));
      ASSERT_TRUE(play(std::string_view(whole).substr(0, ends[0])));
      ASSERT_EQ(stored_.size(), before) << "played again";
    }
  }
  EXPECT_EQ(closed_ends_, 0) << "nothing waits at these ends";
}

// A hole that another connection might fill is told when that is over: at an end that may be the last one, then.
TEST_F(PlaybackTest, WhatWaitsForAnotherConnectionComesOutAtTheEnd) {
  Recording recording;
  recording.instruments();
  recording.open("1");
  for (int i = 1; i <= 5; ++i) recording.trade("1", i);
  recording.open("2");
  recording.trade("2", 5);
  recording.trade("2", 8);
  ASSERT_TRUE(play(recording.text));
  EXPECT_EQ(closed_ends_, 1);
  const auto gaps = [&] {
    return std::ranges::count_if(stored_, [](const auto& each) { return each.first.first.starts_with("gap-data."); });
  };
  const auto trades = [&] {
    return std::ranges::count_if(stored_, [](const auto& each) { return each.first.first.starts_with("trade-data."); });
  };
  EXPECT_EQ(gaps(), 1);
  EXPECT_EQ(trades(), 6);
  ASSERT_TRUE(play(recording.text));
  EXPECT_EQ(gaps(), 1);
  for (int i = 9; i <= 12; ++i) recording.trade("2", i);
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(play(recording.text));
    EXPECT_EQ(trades(), 10);
    EXPECT_EQ(gaps(), 1);
  }
}

TEST_F(PlaybackTest, KilledBetweenTheClosingAndItsNoteItIsKnownFromTheJournal) {
  Recording recording;
  recording.instruments();
  recording.open("1");
  recording.trade("1", 1);
  recording.open("2");
  recording.trade("2", 4);
  auto longer = recording;
  longer.trade("2", 5);
  ASSERT_TRUE(play(recording.text));
  ASSERT_TRUE(play(longer.text));
  const auto records = records_;
  for (int turns = 0; turns < 6; ++turns) {
    fs::remove_all(directory_ / "journal");
    stored_.clear();
    play(recording.text, turns);
    ASSERT_TRUE(play(longer.text));
    EXPECT_EQ(records_, records) << turns;
    const auto first = events();
    EXPECT_EQ(std::ranges::count_if(first, [](const auto& each) { return each.starts_with("trade-data."); }), 3)
        << turns;
    EXPECT_EQ(std::ranges::count_if(first, [](const auto& each) { return each.starts_with("gap-data."); }), 1) << turns;
    ASSERT_TRUE(play(longer.text));
    EXPECT_EQ(events(), first);
  }
}

TEST_F(PlaybackTest, ALineThatCannotBeReadIsCountedAndRejectedOnce) {
  auto text = session(20).text;
  const auto at = text.find('\n', text.size() / 2) + 1;
  text.insert(at, "{\"t\":1,\n");
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(play(text));
    EXPECT_EQ(
        std::ranges::count_if(stored_, [](const auto& each) { return each.first.first.starts_with("rejected-data."); }),
        1);
  }
}

}  // namespace
}  // namespace mp::collector
