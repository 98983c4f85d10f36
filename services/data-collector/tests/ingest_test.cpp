#include "ingest.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>

#include <unistd.h>

#include "feed/published_options.hpp"
#include "journal/directory.hpp"
#include "net/clock.hpp"

namespace mp::collector {
namespace {

namespace fs = std::filesystem;

// A bus in memory. Like the real one it knows by position what it has; it can be full, and it can die.
class MemorySink final : public EventSink {
 public:
  using Stored = std::map<std::pair<std::string, EventPosition>, std::string>;

  explicit MemorySink(Stored& stored) : stored_(stored) {}

  void set_callbacks(Callbacks callbacks) override { callbacks_ = std::move(callbacks); }
  bool fits(std::string_view line) const override { return line.size() <= largest; }
  Offer offer(std::string_view subject, EventPosition position, std::string_view line) override {
    EXPECT_LE(line.size(), largest);
    if (room == 0) return Offer::full;
    --room;
    const auto [at, is_new] = stored_.try_emplace({std::string(subject), position}, line);
    if (!is_new) {
      ++offered_again;
      EXPECT_EQ(at->second, line) << "an event changed between two decodings";
    }
    auto& last = last_[std::string(subject)];
    EXPECT_LT(last, std::pair(position, true)) << "positions fall within " << subject;
    last = {position, true};
    return Offer::taken;
  }
  void offered_through(RecordPosition position) override {
    EXPECT_LE(acked_, position);
    acked_ = position;
  }
  RecordPosition acked_through() const override { return acked_; }
  SinkStatus status() const override { return {}; }
  void stop() override {}

  void make_room(std::size_t events) {
    room = events;
    callbacks_.ready_for_more();
  }
  void lose_everything_after(RecordPosition position) {
    std::erase_if(stored_, [&](const auto& entry) { return entry.first.second.record > position; });
    last_.clear();
    acked_ = position;
    callbacks_.rewind(position);
  }
  void start_at(RecordPosition acked) { acked_ = acked; }

  std::size_t room = SIZE_MAX;
  std::size_t largest = SIZE_MAX;
  std::size_t offered_again = 0;

 private:
  Stored& stored_;
  Callbacks callbacks_;
  RecordPosition acked_;
  std::map<std::string, std::pair<EventPosition, bool>> last_;
};

class IngestTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "mp-ingest-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    start();
  }
  void TearDown() override {
    ingest_.reset();
    sink_.reset();
    journal_.reset();
    fs::remove_all(directory_);
  }

  static SessionOptions options(const Source& source) {
    SessionOptions options;
    options.source = source;
    options.data_source = DataSource::simulated;
    options.max_clock_distance = std::chrono::hours(0);
    options.conversing = false;
    return options;
  }

  void start(RecordPosition acked = {}) {
    journal::JournalOptions journal;
    journal.directory = directory_;
    journal.write = [this](int fd, const void* bytes, std::size_t count) -> ssize_t {
      if (!disk_is_full_) return ::write(fd, bytes, count);
      errno = ENOSPC;
      return -1;
    };
    if (small_segments_) journal.segment_bytes = 1;  // each group begins a new one
    auto opened = journal::Journal::open(std::move(journal));
    ASSERT_TRUE(opened) << opened.error().text();
    journal_ = std::move(*opened);
    sink_ = std::make_unique<MemorySink>(stored_);
    sink_->start_at(acked);
    sink_->room = room_at_start_;
    Ingest::Callbacks callbacks;
    callbacks.outbox = [this](const Source&, const RawRecord*, Outbox& out) {
      closes_.insert(closes_.end(), out.closes.begin(), out.closes.end());
    };
    callbacks.group_done = [](std::chrono::nanoseconds) {};
    ingest_ = std::make_unique<Ingest>(*journal_, options, options, *sink_, loop_, std::move(callbacks));
    ASSERT_TRUE(ingest_->recover());
    trades_after_recovery_ = stored_trades();
    caught_up_after_recovery_ = ingest_->is_caught_up();
    record(RecordKind::start, {}, {});
    run();
  }

  // As after SIGKILL: nothing is closed in order.
  void die() {
    ingest_.reset();
    journal_.reset();
  }

  void record(RecordKind kind, std::string_view url, std::string_view payload) {
    RawRecord record;
    record.kind = kind;
    record.source = kind == RecordKind::start ? nullptr : &source_;
    record.connection = kind == RecordKind::rest ? 0 : 7;
    record.status = kind == RecordKind::rest ? 200 : 0;
    record.received_at = now_ += std::chrono::milliseconds(1);
    record.url = url;
    record.payload = payload;
    ingest_->add(record);
  }
  void instruments() {
    record(RecordKind::rest, "https://api.binance.com/api/v3/exchangeInfo",
           R"({"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[)"
           R"({"filterType":"PRICE_FILTER","tickSize":"0.01"},{"filterType":"LOT_SIZE","stepSize":"0.00001"}]}]})");
    record(RecordKind::opened, "wss://stream.binance.com:9443/stream", "");
    run();
  }
  void configure(std::vector<DataType> types) {
    SessionOptions wanted = options(source_);
    wanted.symbols = Selection{"BTC-USDT"};
    wanted.data_types = std::move(types);
    record(RecordKind::configured, {}, published_options(wanted));
    run();
  }
  void trade(int id) {
    received_[id] = now_ + std::chrono::milliseconds(1);
    record(
        RecordKind::text, {},
        fmt::format(R"({{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":1790000000123,"s":"BTCUSDT","a":{},)"
                    R"("p":"64250.10000000","q":"0.01000000","f":{},"l":{},"T":1790000000120,"m":false,"M":true}}}})",
                    id, id, id));
  }
  void run() {
    ingest_->commit();
    loop_.poll();
  }
  // What holds the record with this trade: a group of records, or its segment's checkpoint.
  void damage(int id, bool checkpoint = false) {
    const auto needle = fmt::format(R"("a":{},)", id);
    for (const auto& file : *journal::list_segments(directory_)) {
      auto reader = journal::SegmentReader::open(file.path);
      ASSERT_TRUE(reader);
      while (reader->next() == journal::ReadState::record) {
        if (reader->record().payload.find(needle) == std::string_view::npos) continue;
        std::fstream bytes(file.path, std::ios::in | std::ios::out | std::ios::binary);
        bytes.seekp(static_cast<std::streamoff>(checkpoint ? journal::kDataOffset : reader->offset() - 8));
        bytes.write("damaged!", 8);
        return;
      }
    }
    FAIL() << "no trade " << id;
  }
  std::vector<std::string> lost_by_the_journal() const {
    std::vector<std::string> types;
    for (const auto& [key, line] : stored_) {
      if (!key.first.starts_with("gap-data.") || line.find(R"("cause":"journal_lost")") == std::string::npos) continue;
      const auto at = line.find(R"("data_type":")") + 13;
      types.push_back(line.substr(at, line.find('"', at) - at));
    }
    std::ranges::sort(types);
    return types;
  }

  std::vector<int> stored_trades() const {
    std::vector<int> ids;
    for (const auto& [key, line] : stored_) {
      const auto at = line.find(R"("trade_id":")");
      if (key.first == "trade-data.binance.spot.BTC-USDT") ids.push_back(std::stoi(line.substr(at + 12)));
    }
    return ids;
  }
  std::size_t stored_gaps() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(stored_, [](const auto& entry) { return entry.first.first.starts_with("gap-data."); }));
  }
  static std::vector<int> numbers(int first, int last) {
    std::vector<int> all;
    for (int i = first; i <= last; ++i) all.push_back(i);
    return all;
  }

  fs::path directory_;
  bool small_segments_ = false;
  bool disk_is_full_ = false;
  std::vector<CloseSocket> closes_;  // that were asked for
  std::size_t room_at_start_ = SIZE_MAX;
  std::vector<int> trades_after_recovery_;
  bool caught_up_after_recovery_ = false;
  std::map<int, WallTime> received_;  // by trade
  WallTime now_ = wall_from_nanos(1'790'000'000'200'000'000);
  Source source_{"binance", "spot"};
  net::Loop loop_;
  MemorySink::Stored stored_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<MemorySink> sink_;
  std::unique_ptr<Ingest> ingest_;
};

TEST_F(IngestTest, EachEventIsOfferedOnceAndTheHeadIsReported) {
  instruments();
  for (int id = 1; id <= 50; ++id) trade(id);
  run();
  EXPECT_EQ(stored_trades(), numbers(1, 50));
  EXPECT_EQ(sink_->offered_again, 0u);
  EXPECT_EQ(sink_->acked_through(), ingest_->head());
  EXPECT_TRUE(ingest_->is_caught_up());
  EXPECT_EQ(stored_gaps(), 0u);
}

TEST_F(IngestTest, AFullBusIsServedFromTheJournalLater) {
  instruments();
  sink_->room = 5;
  for (int id = 1; id <= 20; ++id) trade(id);
  run();
  EXPECT_EQ(stored_trades(), numbers(1, 5));
  EXPECT_FALSE(ingest_->is_caught_up());
  sink_->make_room(7);  // full again in the middle of catching up
  run();
  for (int id = 21; id <= 30; ++id) trade(id);
  run();
  EXPECT_EQ(stored_trades(), numbers(1, 12));
  sink_->make_room(SIZE_MAX);
  run();
  EXPECT_EQ(stored_trades(), numbers(1, 30));
  EXPECT_EQ(sink_->offered_again, 0u);
  EXPECT_TRUE(ingest_->is_caught_up());
  trade(31);
  run();
  EXPECT_EQ(stored_trades(), numbers(1, 31));
}

TEST_F(IngestTest, WhatTheBusHasNotTakenIsCountedFromTheJournal) {
  instruments();
  EXPECT_EQ(ingest_->count_unpublished(std::chrono::seconds(10)).events, 0u);
  sink_->room = 5;
  for (int id = 1; id <= 20; ++id) trade(id);
  trade(25);  // with a gap
  run();
  const auto left = ingest_->count_unpublished(std::chrono::seconds(10));
  EXPECT_EQ(left.events, 15u + 2u);
  EXPECT_EQ(left.gaps, 1u);
  EXPECT_TRUE(left.all_counted);
  EXPECT_EQ(stored_trades(), numbers(1, 5)) << "counting publishes nothing";
  EXPECT_FALSE(ingest_->count_unpublished(std::chrono::seconds(0)).all_counted);
  sink_->make_room(SIZE_MAX);
  run();
  EXPECT_EQ(ingest_->count_unpublished(std::chrono::seconds(10)).events, 0u);
}

// The bus says "before record 0 of this segment" by the highest number of the one before.
TEST_F(IngestTest, WhatIsBeforeASegmentIsNotCountedWithIt) {
  TearDown();
  small_segments_ = true;
  SetUp();
  instruments();
  for (int id = 1; id <= 3; ++id) {
    trade(id);
    run();
  }
  const auto last = ingest_->head().segment;
  sink_->start_at({last - 1, UINT32_MAX});
  EXPECT_EQ(ingest_->count_unpublished(std::chrono::seconds(5)).events, 1u);
}

TEST_F(IngestTest, AfterDyingAnywhereTheRestIsPublishedAndNothingIsDoubtful) {
  for (const bool small : {false, true}) {
    for (int died_after = 0; died_after <= 12; ++died_after) {
      SCOPED_TRACE(fmt::format("small segments {}, died after {} events", small, died_after));
      TearDown();
      stored_.clear();
      small_segments_ = small;
      SetUp();
      instruments();
      sink_->room = static_cast<std::size_t>(died_after);
      for (int id = 1; id <= 6; ++id) {
        trade(id);
        run();
      }
      const auto acked = sink_->acked_through();
      die();
      start(acked);
      for (int id = 7; id <= 9; ++id) trade(id);
      run();
      EXPECT_EQ(stored_trades(), numbers(1, 9));
      EXPECT_EQ(stored_gaps(), 0u) << "ids go on without a hole, so nothing was lost";
      EXPECT_TRUE(ingest_->is_caught_up());
    }
  }
}

// The sessions read the journal's end anyway: a second reader would only keep the venues waiting.
TEST_F(IngestTest, RecoveryReadsTheJournalOnceAndOffersWhatIsLeft) {
  instruments();
  sink_->room = 3;
  for (int id = 1; id <= 6; ++id) {
    trade(id);
    run();
  }
  const auto acked = sink_->acked_through();
  die();
  start(acked);
  EXPECT_EQ(trades_after_recovery_, numbers(1, 6));
  EXPECT_TRUE(caught_up_after_recovery_);
  EXPECT_EQ(sink_->offered_again, 0u);
  EXPECT_EQ(sink_->acked_through(), ingest_->head());
}

TEST_F(IngestTest, WhatDoesNotFitAtRecoveryIsCaughtUpWith) {
  instruments();
  sink_->room = 1;
  for (int id = 1; id <= 6; ++id) trade(id);
  run();
  const auto acked = sink_->acked_through();
  die();
  room_at_start_ = 2;
  start(acked);
  EXPECT_EQ(trades_after_recovery_, numbers(1, 3));
  EXPECT_FALSE(caught_up_after_recovery_);
  trade(7);
  run();
  EXPECT_EQ(stored_trades(), numbers(1, 3));
  sink_->make_room(SIZE_MAX);
  run();
  EXPECT_EQ(stored_trades(), numbers(1, 7));
  EXPECT_EQ(sink_->offered_again, 0u);
  EXPECT_TRUE(ingest_->is_caught_up());
}

TEST_F(IngestTest, AnEventAcknowledgedButNotYetNotedIsOfferedAgainWithTheSamePosition) {
  instruments();
  for (int id = 1; id <= 6; ++id) trade(id);
  run();
  const auto before = stored_;
  die();
  start({});  // the note was lost
  EXPECT_EQ(sink_->offered_again, before.size());
  EXPECT_EQ(stored_trades(), numbers(1, 6));
}

// One trade with a long id among others: too large for this bus, told by a rejected event and a gap, the same
// wherever publishing was interrupted.
TEST_F(IngestTest, AnEventTooLargeForTheBusIsReplacedByWhatTellsOfIt) {
  MemorySink::Stored whole;
  for (std::size_t room = 0; room <= 12; ++room) {
    if (room > 0) {
      TearDown();
      stored_.clear();
      now_ = wall_from_nanos(1'790'000'000'200'000'000);
      SetUp();
    }
    sink_->largest = 70'000;
    sink_->room = room == 0 ? SIZE_MAX : room;
    instruments();
    trade(1);
    record(RecordKind::text, {}, "{\"" + std::string(100'000, 'x') + "\":");  // rejected, and too large for it
    trade(2);
    run();
    if (room > 0) sink_->make_room(SIZE_MAX);
    run();
    EXPECT_EQ(stored_trades(), numbers(1, 2)) << room;
    if (room == 0) whole = stored_;
    EXPECT_GE(ingest_->counters().too_large, 1u) << room;
    std::size_t replaced = 0;
    for (const auto& [key, line] : stored_) {
      if (key.first != "rejected-data.binance.spot") continue;
      ++replaced;
      EXPECT_EQ(key.second.ordinal, kFirstReplacement);
    }
    EXPECT_EQ(replaced, 1u);
  }
}

TEST(Replacements, ADeltaBecomesARejectedEventAndAGap) {
  OrderBookDelta delta;
  delta.meta = {std::make_shared<InstrumentId>(InstrumentId{"binance", MarketType::spot, "BTC-USDT", "BTCUSDT"}),
                wall_from_nanos(3), wall_from_nanos(5), DataSource::live};
  delta.first_update_id = 11;
  delta.last_update_id = 19;
  std::string text(kKeptOfText - 1, 'a');
  text += "\u00e9\u00e9";  // the limit is inside the first of them
  const auto events = replacements_of(delta, 2'000'000, text, "j-1-2-9");
  ASSERT_EQ(events.size(), 2u);
  const auto& rejected = std::get<Rejected>(events[0]);
  EXPECT_EQ(rejected.exchange, "binance");
  EXPECT_EQ(rejected.data_type, DataType::orderbook_delta);
  EXPECT_NE(rejected.reason.find("2000000 bytes"), std::string::npos);
  EXPECT_EQ(rejected.raw, std::string(kKeptOfText - 1, 'a'));
  const auto& gap = std::get<Gap>(events[1]);
  EXPECT_EQ(gap.data_type, DataType::orderbook_delta);
  EXPECT_EQ(gap.cause, GapCause::overflow);
  EXPECT_EQ(gap.gap_start, wall_from_nanos(3));
  EXPECT_EQ(gap.last_id, "10");
  EXPECT_EQ(gap.next_id, "20");
  EXPECT_EQ(gap.gap_id, "j-1-2-9");
}

TEST_F(IngestTest, WhatTheBusLostIsOfferedAgain) {
  instruments();
  for (int id = 1; id <= 6; ++id) trade(id);
  run();
  sink_->lose_everything_after({1, 4});
  trade(7);  // while the rest is being offered again
  run();
  EXPECT_EQ(stored_trades(), numbers(1, 7));
  EXPECT_TRUE(ingest_->is_caught_up());
  EXPECT_EQ(sink_->offered_again, 0u);
}

TEST_F(IngestTest, AFullDiskLosesRecordsLoudlyAndTheHoleBecomesAGap) {
  instruments();
  trade(1);
  run();
  disk_is_full_ = true;
  trade(2);
  run();
  EXPECT_TRUE(ingest_->journal_is_failing());
  EXPECT_EQ(ingest_->counters().records_dropped, 1u);
  disk_is_full_ = false;
  trade(3);
  run();
  EXPECT_FALSE(ingest_->journal_is_failing());
  EXPECT_EQ(stored_trades(), (std::vector<int>{1, 3}));
  EXPECT_EQ(stored_gaps(), 1u);
}

TEST_F(IngestTest, WhatSessionsMustKnowOutlivesAFullDisk) {
  ingest_->keep_what_sessions_must_know();
  instruments();
  trade(1);
  run();
  disk_is_full_ = true;
  record(RecordKind::closed, {}, "network: cut");
  record(RecordKind::opened, "wss://stream.binance.com:9443/stream", "");  // and this one ends before it is known
  run();
  record(RecordKind::closed, {}, "network: cut again");
  record(RecordKind::rest, "https://api.binance.com/api/v3/depth?symbol=BTCUSDT", "{}");
  record(RecordKind::rest, "https://api.binance.com/api/v3/depth?symbol=BTCUSDT", "{}");
  run();
  record(RecordKind::opened, "wss://stream.binance.com:9443/stream", "");
  run();
  EXPECT_TRUE(ingest_->journal_is_failing());
  EXPECT_EQ(ingest_->counters().records_dropped, 2u);  // the answers
  disk_is_full_ = false;
  const auto journalled = ingest_->counters().records;
  ingest_->tick(source_, net::now());  // nothing else comes
  EXPECT_FALSE(ingest_->journal_is_failing());
  EXPECT_EQ(ingest_->counters().records - journalled, 3u);  // closed, rest_failed, opened
  trade(3);
  run();
  EXPECT_EQ(ingest_->counters().records_dropped, 2u);
  EXPECT_EQ(stored_trades(), (std::vector<int>{1, 3}));
  EXPECT_EQ(stored_gaps(), 1u);

  std::vector<RecordKind> kinds;
  auto cursor = journal::Cursor::open(directory_, {});
  ASSERT_TRUE(cursor);
  for (auto state = cursor->next(); state != journal::CursorState::at_head; state = cursor->next())
    if (state == journal::CursorState::record) kinds.push_back(cursor->record().kind);
  EXPECT_EQ(kinds, (std::vector{RecordKind::start, RecordKind::rest, RecordKind::opened, RecordKind::text,
                                RecordKind::closed, RecordKind::rest_failed, RecordKind::opened, RecordKind::text}));
}

// Liquidations and the like have no numbers that would show a hole: the connection ends, and its outage is told.
TEST_F(IngestTest, AConnectionThatLostFramesEndsAndWhatStillComesOfItIsDropped) {
  ingest_->keep_what_sessions_must_know();
  instruments();
  trade(1);
  run();
  disk_is_full_ = true;
  trade(2);
  trade(3);
  run();
  ASSERT_EQ(closes_.size(), 1u);
  EXPECT_EQ(closes_[0].reason, CloseReason::not_recorded);
  disk_is_full_ = false;
  trade(4);  // before the connection has ended
  run();
  EXPECT_EQ(ingest_->counters().records_dropped, 3u);
  EXPECT_EQ(stored_trades(), (std::vector<int>{1}));
  record(RecordKind::closed, {}, "not_recorded: ");
  trade(5);
  run();
  EXPECT_EQ(stored_trades(), (std::vector<int>{1, 5}));
  EXPECT_EQ(stored_gaps(), 1u);
}

TEST_F(IngestTest, ACrashThatCostsTradesLeavesAGap) {
  instruments();
  trade(1);
  run();
  die();
  start(sink_->acked_through());
  trade(5);
  run();
  ASSERT_EQ(stored_gaps(), 1u);
  for (const auto& [key, line] : stored_) {
    if (!key.first.starts_with("gap-data.")) continue;
    EXPECT_NE(line.find(R"("cause":"collector_down")"), std::string::npos) << line;
    EXPECT_NE(line.find(R"("last_id":"1","next_id":"5")"), std::string::npos) << line;
  }
}

// Every stream that was collected, since nothing else would show what is missing.
TEST_F(IngestTest, WhatTheJournalLostBeforeItWasPublishedIsAGapOfEachStream) {
  TearDown();
  small_segments_ = true;
  SetUp();
  configure(collectable_types());
  instruments();
  trade(1);
  run();
  sink_->room = 0;
  for (int id = 2; id <= 5; ++id) {
    trade(id);
    run();
  }
  damage(3);
  sink_->make_room(SIZE_MAX);
  run();
  EXPECT_TRUE(ingest_->is_caught_up());
  EXPECT_EQ(stored_trades(), (std::vector<int>{1, 2, 4, 5}));
  // The next segment's checkpoint knows of trade 3: no number shows that it is missing.
  EXPECT_EQ(lost_by_the_journal(), (std::vector<std::string>{"orderbook", "orderbook_delta", "trade"}));
  for (const auto& [key, line] : stored_) {
    if (line.find("journal_lost") == std::string::npos) continue;
    EXPECT_NE(line.find(fmt::format(R"("gap_start":"{}","gap_end":"{}")", iso(received_.at(2)), iso(received_.at(4)))),
              std::string::npos)
        << line;
  }
}

// Without its state a segment's frames are of unknown instruments.
TEST_F(IngestTest, WhatASegmentWithoutItsCheckpointCannotTellIsAGapOfEachStream) {
  TearDown();
  small_segments_ = true;
  SetUp();
  configure(collectable_types());
  instruments();
  trade(1);
  run();
  sink_->room = 0;
  for (int id = 2; id <= 5; ++id) {
    trade(id);
    run();
  }
  for (const int id : {2, 3, 4}) damage(id, true);
  sink_->make_room(SIZE_MAX);
  run();
  EXPECT_EQ(stored_trades(), (std::vector<int>{1, 5}));
  EXPECT_EQ(lost_by_the_journal(), (std::vector<std::string>{"orderbook", "orderbook_delta", "trade"}));
  for (const auto& [key, line] : stored_) {
    if (line.find("journal_lost") == std::string::npos) continue;
    EXPECT_EQ(line.find(fmt::format(R"("gap_start":"{}")", iso(received_.at(5)))), std::string::npos)
        << "from the first of these segments on: " << line;
  }
}

TEST_F(IngestTest, WhatTheJournalLostInTheMidstOfASegmentIsAGapToo) {
  configure(collectable_types());
  instruments();
  trade(1);
  run();
  const auto acked = sink_->acked_through();
  sink_->room = 0;
  for (int id = 2; id <= 5; ++id) {
    trade(id);
    // Blocks of their own: what continues a block is lost with it.
    record(RecordKind::binary, {}, std::string(1'000'000, 'x'));
    run();
  }
  const auto live = journal_->next_position();
  die();
  damage(3);
  start(acked);
  EXPECT_EQ(trades_after_recovery_, (std::vector<int>{1, 2, 4, 5}));
  EXPECT_LT(live.segment, journal_->next_position().segment);
  EXPECT_EQ(lost_by_the_journal(), (std::vector<std::string>{"orderbook", "orderbook_delta", "trade"}));
}

TEST_F(IngestTest, AHoleAtTheJournalsHeadIsAGapToo) {
  configure(collectable_types());
  instruments();
  trade(1);
  run();
  sink_->room = 0;
  for (int id = 2; id <= 3; ++id) {
    trade(id);
    record(RecordKind::binary, {}, std::string(1'000'000, 'x'));
    run();
  }
  damage(3);
  sink_->make_room(SIZE_MAX);
  run();
  EXPECT_TRUE(ingest_->is_caught_up());
  EXPECT_EQ(stored_trades(), (std::vector<int>{1, 2}));
  EXPECT_EQ(lost_by_the_journal(), (std::vector<std::string>{"orderbook", "orderbook_delta", "trade"}));
}

// The configuration is part of the journal: whenever the bus takes the events, and whatever is configured by then, what
// was received under one configuration is published under it.
TEST_F(IngestTest, AConfigurationHoldsFromItsRecordOnHoweverLateItIsPublished) {
  const auto play = [&](std::size_t room, bool dies) {
    TearDown();
    stored_.clear();
    now_ = wall_from_nanos(1'790'000'000'200'000'000);
    SetUp();
    configure({DataType::trade});
    sink_->room = room;
    instruments();
    for (int id = 1; id <= 3; ++id) trade(id);
    run();
    configure({});
    for (int id = 4; id <= 6; ++id) trade(id);
    run();
    configure({DataType::trade});
    for (int id = 8; id <= 9; ++id) trade(id);
    run();
    if (dies) {
      const auto acked = sink_->acked_through();
      die();
      start(acked);
    } else {
      sink_->make_room(SIZE_MAX);
    }
    run();
    EXPECT_TRUE(ingest_->is_caught_up());
    std::vector<std::string> lines;
    for (const auto& [key, line] : stored_) {
      // The journal's id is another one each time.
      const auto id = line.find(R"("gap_id":")");
      lines.push_back(id == std::string::npos ? line : line.substr(0, id) + line.substr(id + 10 + 32));
    }
    return lines;
  };
  const auto whole = play(SIZE_MAX, false);
  EXPECT_EQ(stored_trades(), (std::vector<int>{1, 2, 3, 8, 9}));
  EXPECT_EQ(stored_gaps(), 1u) << "the end; going on later is no loss";
  for (std::size_t room = 0; room <= 6; ++room) {
    SCOPED_TRACE(room);
    EXPECT_EQ(play(room, false), whole);
    EXPECT_EQ(play(room, true), whole);
  }
}

}  // namespace
}  // namespace mp::collector
