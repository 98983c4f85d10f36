// OKX's recorded session of 2022 and single messages of all years, read in place: counts, every number, checksums,
// books, and checkpoints at every record.
#include <gmock/gmock.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "exchanges/tests/playback.hpp"
#include "wire/json.hpp"

namespace mp {
namespace {

const Source kOkx{"okx", ""};

class OkxCaptures : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(std::string(MP_SHARED_DIR) + "/captures/okx_mixed.jsonl"))
      GTEST_SKIP() << "no captures at " << MP_SHARED_DIR << "/captures";
  }
};

template <class T>
std::vector<const T*> only(const std::vector<MarketEvent>& events) {
  std::vector<const T*> out;
  for (const auto& event : events)
    if (const auto* found = std::get_if<T>(&event)) out.push_back(found);
  return out;
}

std::string json(const std::vector<MarketEvent>& events) {
  std::string out;
  for (const auto& event : events) {
    wire::append_json(out, event);
    out += '\n';
  }
  return out;
}

// ---- an independent reading: regular expressions and long integers, not our decoder and not our decimals ---------

// "0.0500" -> {500, 4}: digits and how many of them stand behind the point, without zeros at the end.
struct Number {
  long long digits = 0;
  int scale = 0;
  friend bool operator==(const Number&, const Number&) = default;
};
Number number(std::string text) {
  Number out;
  const auto point = text.find('.');
  if (point != std::string::npos) {
    out.scale = static_cast<int>(text.size() - point - 1);
    text.erase(point, 1);
  }
  out.digits = std::stoll(text);
  while (out.scale > 0 && out.digits % 10 == 0) {
    out.digits /= 10;
    --out.scale;
  }
  return out.digits == 0 ? Number{} : out;
}
Number product(const Number& a, const Number& b) {
  Number out{a.digits * b.digits, a.scale + b.scale};
  while (out.scale > 0 && out.digits % 10 == 0) {
    out.digits /= 10;
    --out.scale;
  }
  return out.digits == 0 ? Number{} : out;
}

// What one unit of a size is, per instrument.
std::map<std::string, Number> sizes_in(const std::vector<Line>& lines) {
  std::map<std::string, Number> out;
  const std::regex entry(R"re("ctMult":"([0-9.]*)"[^{}]*"ctVal":"([0-9.]*)"[^{}]*"instId":"([^"]+)")re");
  for (const auto& line : lines) {
    if (line.kind != RecordKind::rest) continue;
    for (std::sregex_iterator i(line.payload.begin(), line.payload.end(), entry), end; i != end; ++i) {
      const bool spot = (*i)[2].str().empty();
      out[(*i)[3].str()] = spot ? Number{1, 0} : product(number((*i)[1].str()), number((*i)[2].str()));
    }
  }
  return out;
}

std::string part(const std::string& text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == std::string::npos) return "";
  const auto begin = at + from.size();
  return text.substr(begin, text.find(to, begin) - begin);
}

struct RawLevel {
  std::string price;
  std::string size;
};
std::vector<RawLevel> raw_levels(const std::string& side) {
  static const std::regex level(R"re(\["([0-9.]+)","([0-9.]+)")re");
  std::vector<RawLevel> out;
  for (std::sregex_iterator i(side.begin(), side.end(), level), end; i != end; ++i)
    out.push_back({(*i)[1].str(), (*i)[2].str()});
  return out;
}

void expect_levels(const std::vector<BookLevel>& got, const std::vector<RawLevel>& raw, const Number& size) {
  ASSERT_EQ(got.size(), raw.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(number(got[i].price.value.text()), number(raw[i].price));
    ASSERT_EQ(number(got[i].quantity.value.text()), product(number(raw[i].size), size));
  }
}

// zlib's CRC-32, bit by bit.
std::int32_t slow_crc(const std::string& text) {
  std::uint32_t value = 0xFFFFFFFF;
  for (const char c : text) {
    value ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0);
  }
  return static_cast<std::int32_t>(~value);
}

// A book as a map of the venue's own texts.
struct SlowBook {
  std::map<double, RawLevel, std::greater<>> bids;
  std::map<double, RawLevel> asks;
  template <class Side>
  static void apply(Side& side, const std::vector<RawLevel>& levels) {
    for (const auto& level : levels) {
      if (number(level.size).digits == 0)
        side.erase(std::stod(level.price));
      else
        side[std::stod(level.price)] = level;
    }
  }
  std::int32_t checksum() const {
    std::string text;
    auto bid = bids.begin();
    auto ask = asks.begin();
    const auto add = [&](const RawLevel& level) { text += (text.empty() ? "" : ":") + level.price + ":" + level.size; };
    for (int rank = 0; rank < 25; ++rank) {
      if (bid != bids.end()) add((bid++)->second);
      if (ask != asks.end()) add((ask++)->second);
    }
    return slow_crc(text);
  }
};

std::size_t callbacks(const std::string& kind) {
  std::ifstream in(std::string(MP_SHARED_DIR) + "/captures/EXPECTED_CALLBACKS.json", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto of_okx = part(text.substr(text.find("\"OKX\"")), "{", "}");
  return std::stoul(part(of_okx, "\"" + kind + "\":", ","));
}

// ---- the capture ----------------------------------------------------------------------------------------------

// What cryptofeed's own test fires on this capture (EXPECTED_CALLBACKS.json): one callback for each book message and
// each trade; and tickers, which are no type of ours. The checksum is the only proof that books of 2022 have, and its
// failure is a gap: 290 published books without a gap are 290 verified ones.
TEST_F(OkxCaptures, EveryTradeAndEveryBookMessageIsPublished) {
  const auto lines = capture("okx_mixed.jsonl");
  Playback run(kOkx);
  run.feed_all(lines);
  const auto counts = count(run.events);
  EXPECT_EQ(counts, (Counts{74, 287, 3, 0, 0}));
  EXPECT_EQ(counts.deltas + counts.snapshots, callbacks("l2_book"));
  EXPECT_EQ(counts.trades, callbacks("trades"));
  const auto counters = run.router->session(kOkx)->counters();
  EXPECT_THAT(counters.unmapped, testing::ElementsAre(testing::Pair("tickers", callbacks("ticker"))));
  EXPECT_TRUE(counters.unknown.empty());
  EXPECT_EQ(only<Instrument>(run.events).size(), 513u + 166u + 104u + 346u + 350u);
}

TEST_F(OkxCaptures, EveryChecksumIsThatOfTheTextsByAnIndependentCount) {
  std::map<std::string, SlowBook> books;
  std::size_t verified = 0;
  for (const auto& line : capture("okx_mixed.jsonl")) {
    if (line.kind != RecordKind::text || line.payload.find("\"channel\":\"books\"") == std::string::npos ||
        line.payload.find("\"action\"") == std::string::npos)
      continue;
    auto& book = books[part(line.payload, "\"instId\":\"", "\"")];
    if (line.payload.find("\"action\":\"snapshot\"") != std::string::npos) book = {};
    SlowBook::apply(book.asks, raw_levels(part(line.payload, "\"asks\":[", "\"bids\"")));
    SlowBook::apply(book.bids, raw_levels(part(line.payload, "\"bids\":[", "\"ts\"")));
    verified += book.checksum() == std::stol(part(line.payload, "\"checksum\":", "}"));
  }
  EXPECT_EQ(verified, 290u);
}

TEST_F(OkxCaptures, ADamagedBookMessageIsAGapOfThatBookOnly) {
  auto lines = capture("okx_mixed.jsonl");
  std::size_t seen = 0;
  for (auto& line : lines) {
    const auto at = line.payload.find("\"action\":\"update\"");
    if (line.kind != RecordKind::text || at == std::string::npos ||
        line.payload.find("\"instId\":\"BTC-USDT\"") == std::string::npos || ++seen != 20)
      continue;
    const auto checksum = line.payload.find("\"checksum\":") + 11;
    line.payload.insert(checksum + (line.payload[checksum] == '-'), "1");
  }
  Playback run(kOkx);
  run.feed_all(lines);
  const auto gaps = only<Gap>(run.events);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0]->cause, GapCause::checksum);
  EXPECT_EQ(gaps[0]->meta.instrument->instrument, "BTC-USDT");
  std::vector<OrderBook> held;
  run.router->session(kOkx)->books(1, held);
  EXPECT_EQ(held.size(), 2u);
}

TEST_F(OkxCaptures, EveryNumberEqualsItsInputAfterContractConversion) {
  const auto lines = capture("okx_mixed.jsonl");
  const auto sizes = sizes_in(lines);
  ASSERT_GT(sizes.size(), 1000u);
  Playback run(kOkx);
  run.feed_all(lines);

  auto trade = only<Trade>(run.events);
  auto delta = only<OrderBookDelta>(run.events);
  std::size_t trades = 0;
  std::size_t books = 0;
  for (const auto& line : lines) {
    if (line.kind != RecordKind::text || line.payload.find("\"data\"") == std::string::npos) continue;
    const auto instrument = part(line.payload, "\"instId\":\"", "\"");
    const auto& size = sizes.at(instrument);
    // Counting contracts in the quote currency, as the name says: a dated or perpetual contract against USD.
    const bool inverse = instrument.find("-USD-") != std::string::npos;
    if (line.payload.find("\"channel\":\"trades\"") != std::string::npos) {
      const auto& got = *trade.at(trades++);
      EXPECT_EQ(got.meta.instrument->instrument, instrument);
      EXPECT_EQ(got.trade_id, part(line.payload, "\"tradeId\":\"", "\""));
      EXPECT_EQ(number(got.price.value.text()), number(part(line.payload, "\"px\":\"", "\"")));
      EXPECT_EQ(number(got.quantity.value.text()), product(number(part(line.payload, "\"sz\":\"", "\"")), size));
      EXPECT_EQ(to_string(got.side), part(line.payload, "\"side\":\"", "\""));
      EXPECT_EQ(got.quantity_unit, inverse ? QuantityUnit::quote : QuantityUnit::base);
      EXPECT_EQ(got.contracts.has_value(), instrument != "BTC-USDT");
      if (got.contracts) {
        EXPECT_EQ(number(got.contracts->value.text()), number(part(line.payload, "\"sz\":\"", "\"")));
      }
      EXPECT_EQ(got.meta.received_at, line.received_at);
      EXPECT_EQ(nanos_since_epoch(got.meta.timestamp) / 1'000'000, std::stoll(part(line.payload, "\"ts\":\"", "\"")));
    } else if (line.payload.find("\"channel\":\"books\"") != std::string::npos) {
      const auto& got = *delta.at(books++);
      EXPECT_EQ(got.meta.instrument->instrument, instrument);
      EXPECT_EQ(got.quantity_unit, inverse ? QuantityUnit::quote : QuantityUnit::base);
      EXPECT_EQ(got.is_snapshot, line.payload.find("\"action\":\"snapshot\"") != std::string::npos);
      expect_levels(got.asks, raw_levels(part(line.payload, "\"asks\":[", "\"bids\"")), size);
      expect_levels(got.bids, raw_levels(part(line.payload, "\"bids\":[", "\"ts\"")), size);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_EQ(trades, 74u);
  EXPECT_EQ(books, 290u);
}

TEST_F(OkxCaptures, TheBooksHeldAreTheBooksPublished) {
  Playback run(kOkx);
  run.feed_all(capture("okx_mixed.jsonl"));
  std::map<std::string, std::pair<std::map<Decimal, Decimal>, std::map<Decimal, Decimal>>> rebuilt;
  const auto apply = [](std::map<Decimal, Decimal>& side, const std::vector<BookLevel>& levels) {
    for (const auto& level : levels) {
      if (level.quantity.value.is_zero())
        side.erase(level.price.value);
      else
        side[level.price.value] = level.quantity.value;
    }
  };
  for (const auto* delta : only<OrderBookDelta>(run.events)) {
    auto& [bids, asks] = rebuilt[delta->meta.instrument->instrument];
    if (delta->is_snapshot) {
      bids.clear();
      asks.clear();
    }
    apply(bids, delta->bids);
    apply(asks, delta->asks);
    ASSERT_TRUE(bids.empty() || asks.empty() || bids.rbegin()->first < asks.begin()->first);
  }
  std::vector<OrderBook> held;
  run.router->session(kOkx)->books(0, held);
  ASSERT_EQ(held.size(), 3u);
  for (const auto& book : held) {
    const auto& [bids, asks] = rebuilt.at(book.meta.instrument->instrument);
    ASSERT_EQ(book.bids.size(), bids.size());
    ASSERT_EQ(book.asks.size(), asks.size());
    auto bid = bids.rbegin();
    for (const auto& level : book.bids) EXPECT_EQ(level, (BookLevel{Price{bid->first}, Quantity{bid++->second}}));
    auto ask = asks.begin();
    for (const auto& level : book.asks) EXPECT_EQ(level, (BookLevel{Price{ask->first}, Quantity{ask++->second}}));
  }
}

TEST_F(OkxCaptures, ConnectionNamesAreNotNeeded) {
  auto lines = capture("okx_mixed.jsonl");
  Playback whole(kOkx);
  whole.feed_all(lines);
  std::erase_if(lines, [](const Line& line) { return line.kind == RecordKind::opened; });
  for (auto& line : lines) line.connection = 0;
  Playback bare(kOkx);
  bare.feed_all(lines);
  EXPECT_EQ(json(bare.events), json(whole.events));
}

TEST_F(OkxCaptures, ARunOverManyCheckpointsIsTheSameRun) {
  auto lines = capture("okx_mixed.jsonl");
  // Some frames are left out, so that gaps and waiting books are part of that state.
  std::size_t n = 0;
  std::erase_if(lines, [&](const Line& line) { return line.kind == RecordKind::text && ++n % 97 == 0; });
  const std::vector<std::string> recorded{"BTC-USD-220527", "UNI-USD-SWAP", "BTC-USDT"};
  Playback whole(kOkx, true);
  whole.options.symbols = recorded;
  whole.router = whole.fresh();
  whole.feed_all(lines);
  Playback hopping(kOkx, true);
  hopping.options.symbols = recorded;
  hopping.router = hopping.fresh();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i < 60 || i % 5 == 0) {
      std::string saved;
      hopping.router->save(saved);
      auto fresh = hopping.fresh();
      ASSERT_TRUE(fresh->restore(saved));
      std::string again;
      fresh->save(again);
      ASSERT_EQ(again, saved);
      hopping.router = std::move(fresh);
    }
    Playback::feed(*hopping.router, kOkx, lines[i], hopping.events);
  }
  EXPECT_EQ(json(hopping.events), json(whole.events));
  EXPECT_GT(only<Gap>(whole.events).size(), 0u);
  EXPECT_GT(only<OrderBook>(whole.events).size(), 50u);
}

// ---- single messages ------------------------------------------------------------------------------------------

Line message(RecordKind kind, std::string url, std::string payload) {
  return {kind, wall_from_nanos(1'790'000'000'000'000'000), std::move(url), std::move(payload), 1, 200};
}

std::string file(const std::string& name) {
  std::ifstream in(std::string(MP_SHARED_DIR) + "/messages/okx/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(OkxMessages, EveryMessageIsPublishedOrCountedAsNotMapped) {
  if (!std::filesystem::exists(std::string(MP_SHARED_DIR) + "/messages/okx"))
    GTEST_SKIP() << "no messages at " << MP_SHARED_DIR << "/messages/okx";
  const std::string rest = "https://www.okx.com/api/v5/";
  const auto instruments = [&](Playback& run) {
    for (const char* kind : {"spot", "margin", "swap", "futures", "option"})
      Playback::feed(*run.router, kOkx,
                     message(RecordKind::rest, rest + "public/instruments?instType=" + kind,
                             file(std::string("http_get_instruments_") + kind + ".json")),
                     run.events);
  };
  {
    Playback run(kOkx);
    instruments(run);
    EXPECT_EQ(count(run.events).rejected, 0u) << json(run.events);
    EXPECT_GE(only<Instrument>(run.events).size(), 15u);
  }
  struct Case {
    std::string name;
    std::string url;       // "" for a frame
    std::size_t events;    // beside instruments
    std::string unmapped;  // what it is counted as
    std::size_t rejected = 0;
  };
  // The recorded spot list has BTC-USD and no BTC-USDT: a message of an instrument that no list tells is rejected with
  // that reason.
  const std::vector<Case> cases{
      {"barter_trade_1.json", "", 0, "", 1},
      {"ws_trades.json", "", 1, ""},
      {"ws_books_snapshot.json", "", 0, "", 1},
      {"ws_books_update.json", "", 0, "", 1},
      {"ws_funding_rate.json", "", 1, ""},
      {"ws_instruments.json", "", 0, ""},
      {"ws_bbo_tbt.json", "", 0, "bbo-tbt"},
      {"ws_candle.json", "", 0, "candle1D"},
      {"ws_tickers.json", "", 0, "tickers"},
      // Its envelope was taken off: a bare list is no frame of OKX's.
      {"ws_opt_summary.json", "", 0, "", 1},
      {"http_get_funding_rate_history.json", "public/funding-rate-history?instId=BTC-USDT-SWAP", 2, ""},
      {"http_get_order_book.json", "market/books?instId=BTC-USDT-SWAP", 0, "REST market/books without seqId"},
      {"http_get_candlesticks.json", "market/candles?instId=BTC-USDT", 0, "REST market/candles"},
      {"http_get_candlesticks_full.json", "market/candles?instId=BTC-USDT", 0, "REST market/candles"},
      {"http_get_index_price.json", "market/index-tickers?instId=BTC-USDT", 0, "REST market/index-tickers"},
      {"http_get_mark_price.json", "public/mark-price?instId=BTC-USDT-SWAP", 0, "REST public/mark-price"},
      {"http_get_option_summary.json", "public/opt-summary?uly=BTC-USD", 0, "REST public/opt-summary"},
      {"http_get_position_tiers.json", "public/position-tiers?instType=MARGIN", 0, "REST public/position-tiers"},
      {"http_get_spreads.json", "sprd/spreads", 0, "REST sprd/spreads"},
      {"http_get_trades.json", "market/trades?instId=BTC-USDT", 0, "REST market/trades"},
  };
  std::set<std::string> covered{"http_get_instruments_spot.json", "http_get_instruments_margin.json",
                                "http_get_instruments_swap.json", "http_get_instruments_futures.json",
                                "http_get_instruments_option.json"};
  for (const auto& each : cases) {
    covered.insert(each.name);
    Playback run(kOkx);
    instruments(run);
    run.events.clear();
    const auto kind = each.url.empty() ? RecordKind::text : RecordKind::rest;
    Playback::feed(*run.router, kOkx, message(kind, each.url.empty() ? "" : rest + each.url, file(each.name)),
                   run.events);
    EXPECT_EQ(count(run.events).rejected, each.rejected) << each.name << "\n" << json(run.events);
    EXPECT_EQ(run.events.size() - count(run.events).rejected - only<Instrument>(run.events).size(), each.events)
        << each.name << "\n"
        << json(run.events);
    std::vector<std::string> unmapped;
    for (const auto& [name, counted] : run.router->session(kOkx)->counters().unmapped) unmapped.push_back(name);
    EXPECT_EQ(unmapped, each.unmapped.empty() ? std::vector<std::string>{} : std::vector{each.unmapped}) << each.name;
  }
  for (const auto& each : std::filesystem::directory_iterator(std::string(MP_SHARED_DIR) + "/messages/okx"))
    EXPECT_TRUE(covered.contains(each.path().filename().string())) << each.path() << " is not looked at";
}

// The same messages when the lists do tell their instruments: nothing of them is refused.
TEST(OkxMessages, BooksAndTradesOfAListedInstrumentAreTaken) {
  if (!std::filesystem::exists(std::string(MP_SHARED_DIR) + "/messages/okx"))
    GTEST_SKIP() << "no messages at " << MP_SHARED_DIR << "/messages/okx";
  Playback run(kOkx);
  Playback::feed(*run.router, kOkx,
                 message(RecordKind::rest, "https://www.okx.com/api/v5/public/instruments?instType=SPOT",
                         R"({"code":"0","msg":"","data":[{"instType":"SPOT","instId":"BTC-USDT","baseCcy":"BTC",)"
                         R"("quoteCcy":"USDT","state":"live","tickSz":"0.1","lotSz":"0.00000001"}]})"),
                 run.events);
  for (const char* name : {"barter_trade_1.json", "ws_books_snapshot.json", "ws_books_update.json"})
    Playback::feed(*run.router, kOkx, message(RecordKind::text, "", file(name)), run.events);
  const auto counts = count(run.events);
  EXPECT_EQ(counts.trades, 1u);
  EXPECT_EQ(counts.snapshots, 1u);
  EXPECT_EQ(counts.deltas, 1u);
  EXPECT_EQ(counts.gaps, 0u);
  EXPECT_EQ(counts.rejected, 0u) << json(run.events);
}

}  // namespace
}  // namespace mp
