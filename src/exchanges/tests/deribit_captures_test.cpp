// A real recorded session and real single messages of Deribit, read in place: counts, chains, numbers, checkpoints.
// Numbers are compared with an independent reading: cut out of the raw text, normalised here.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "exchanges/deribit/decode.hpp"
#include "exchanges/deribit/tests/support.hpp"
#include "exchanges/tests/playback.hpp"

namespace mp {
namespace {

using deribit::only;
using deribit::read_file;

const std::string kShared = MP_SHARED_DIR;

// "1.50e-3" -> "0.0015": without our decimals.
std::string plain(std::string text) {
  bool negative = text.starts_with('-');
  if (negative) text.erase(0, 1);
  int exponent = 0;
  if (const auto e = text.find_first_of("eE"); e != std::string::npos) {
    exponent = std::stoi(text.substr(e + 1));
    text.resize(e);
  }
  const auto point = text.find('.');
  std::string digits = text;
  auto whole = static_cast<int>(point == std::string::npos ? text.size() : point) + exponent;
  if (point != std::string::npos) digits.erase(point, 1);
  if (whole < 0) {
    digits.insert(0, static_cast<std::size_t>(-whole), '0');
    whole = 0;
  }
  if (static_cast<std::size_t>(whole) > digits.size()) digits.resize(static_cast<std::size_t>(whole), '0');
  std::string before = digits.substr(0, static_cast<std::size_t>(whole));
  std::string after = digits.substr(static_cast<std::size_t>(whole));
  before.erase(0, std::min(before.find_first_not_of('0'), before.size()));
  while (after.ends_with('0')) after.pop_back();
  if (before.empty()) before = "0";
  auto out = after.empty() ? before : before + "." + after;
  return negative && out != "0" ? "-" + out : out;
}

TEST(PlainNumbers, AreWhatTheTextSays) {
  EXPECT_EQ(plain("64250.0"), "64250");
  EXPECT_EQ(plain("6.55e-6"), "0.00000655");
  EXPECT_EQ(plain("1.5E3"), "1500");
  EXPECT_EQ(plain("-0.0"), "0");
  EXPECT_EQ(plain("0.10"), "0.1");
  EXPECT_EQ(plain("-12"), "-12");
}

// The value of a field in a raw text, "" when it is not there or null.
std::string field(const std::string& raw, const std::string& name) {
  std::smatch m;
  if (!std::regex_search(raw, m, std::regex("\"" + name + R"re("\s*:\s*(-?[0-9][0-9.eE+-]*|"[^"]*"))re"))) return "";
  auto text = m[1].str();
  return text.front() == '"' ? text.substr(1, text.size() - 2) : plain(text);
}

struct DeribitPlayback : Playback {
  explicit DeribitPlayback(bool pictures = false) : Playback({"deribit", ""}, pictures) { options.min_interval = {}; }
  void feed(const Line& line) { Playback::feed(*router, source, line, events); }
};

class DeribitCaptures : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kShared + "/captures/deribit_derivatives.jsonl"))
      GTEST_SKIP() << "no captures at " << kShared << "/captures";
  }
};

TEST_F(DeribitCaptures, GiveEveryMessageAndNoReject) {
  const auto expected = read_file(kShared + "/captures/EXPECTED_CALLBACKS.json");
  const auto ours = expected.substr(expected.find("\"DERIBIT\""));
  DeribitPlayback run;
  run.feed_all(capture("deribit_derivatives.jsonl"));
  EXPECT_TRUE(only<Rejected>(run.events).empty());
  EXPECT_TRUE(only<Gap>(run.events).empty()) << "every chain is whole";
  // One book callback for each message of a book, one ticker callback for each ticker: here open interest, since all
  // recorded instruments are options.
  EXPECT_EQ(std::to_string(only<OrderBookDelta>(run.events).size()), field(ours, "l2_book"));
  EXPECT_EQ(std::to_string(only<OpenInterest>(run.events).size()), field(ours, "ticker"));
  EXPECT_TRUE(only<FundingRate>(run.events).empty()) << "options have none";
  const auto snapshots = std::ranges::count_if(only<OrderBookDelta>(run.events), &OrderBookDelta::is_snapshot);
  EXPECT_EQ(snapshots, 10);
}

TEST_F(DeribitCaptures, NameTheInstrumentsOneToOne) {
  const auto lines = capture("deribit_derivatives.jsonl");
  DeribitPlayback run;
  run.feed_all(lines);
  std::size_t listed = 0;
  for (const auto& line : lines)
    for (auto at = line.payload.find("\"contract_size\""); line.kind == RecordKind::rest && at != std::string::npos;
         at = line.payload.find("\"contract_size\"", at + 1))
      ++listed;
  const auto instruments = only<Instrument>(run.events);
  EXPECT_EQ(instruments.size(), listed);
  std::set<std::string> symbols, names;
  for (const auto& each : instruments) {
    const auto& id = *each.meta.instrument;
    symbols.insert(std::string(to_string(id.market_type)) + " " + id.symbol);
    names.insert(id.instrument);
    // The day in the name is the day in the symbol: 9MAR24 and 20240309.
    std::smatch m;
    static const std::regex day(R"(-(\d+)([A-Z]{3})(\d\d)(-|$))");
    if (!std::regex_search(id.instrument, m, day)) continue;
    const std::string months = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
    const auto month = months.find(m[2].str()) / 3 + 1;
    const auto text = "-20" + m[3].str() + (month < 10 ? "0" : "") + std::to_string(month) +
                      (m[1].length() == 1 ? "0" : "") + m[1].str();
    EXPECT_NE(id.symbol.find(text), std::string::npos) << id.instrument << " " << id.symbol;
    EXPECT_EQ(iso(*each.expiry).substr(11), "08:00:00.000000000Z") << id.instrument;
  }
  EXPECT_EQ(symbols.size(), listed);
  EXPECT_EQ(names.size(), listed);
}

// ["new",0.0015,4714.0] -> "0.0015 4714", ["delete",0.001,0.0] -> "0.001 0"
std::vector<std::string> raw_levels(const std::string& raw, const std::string& side) {
  std::vector<std::string> out;
  auto from = raw.find("\"" + side + "\"");
  if (from == std::string::npos) return out;
  auto to = from;
  int depth = 0;
  do {  // to the end of the list
    if (raw[to] == '[') ++depth;
    if (raw[to] == ']' && --depth == 0) break;
  } while (++to < raw.size());
  const auto list = raw.substr(from, to - from);
  static const std::regex level(R"re(\[\s*"(\w+)"\s*,\s*([0-9.eE+-]+)\s*,\s*([0-9.eE+-]+)\s*\])re");
  for (std::sregex_iterator i(list.begin(), list.end(), level), end; i != end; ++i)
    out.push_back(plain((*i)[2].str()) + " " + ((*i)[1].str() == "delete" ? "0" : plain((*i)[3].str())));
  return out;
}

std::vector<std::string> levels(const std::vector<BookLevel>& side) {
  std::vector<std::string> out;
  for (const auto& each : side) out.push_back(each.price.value.text() + " " + each.quantity.value.text());
  return out;
}

void expect_same_book(const OrderBookDelta& delta, const std::string& raw) {
  EXPECT_EQ(levels(delta.bids), raw_levels(raw, "bids")) << raw;
  EXPECT_EQ(levels(delta.asks), raw_levels(raw, "asks")) << raw;
  EXPECT_EQ(std::to_string(delta.last_update_id), field(raw, "change_id"));
  EXPECT_EQ(delta.is_snapshot, raw.find("\"snapshot\"") != std::string::npos);
}

TEST_F(DeribitCaptures, KeepEveryNumberAsItWasWritten) {
  DeribitPlayback run;
  std::size_t books = 0;
  std::size_t tickers = 0;
  for (const auto& line : capture("deribit_derivatives.jsonl")) {
    run.events.clear();
    run.feed(line);
    if (line.kind != RecordKind::text) continue;
    for (const auto& delta : only<OrderBookDelta>(run.events)) {
      expect_same_book(delta, line.payload);
      ++books;
    }
    for (const auto& interest : only<OpenInterest>(run.events)) {
      EXPECT_EQ(interest.open_interest.value.text(), field(line.payload, "open_interest"));
      EXPECT_EQ(interest.meta.instrument->instrument, field(line.payload, "instrument_name"));
      EXPECT_EQ(interest.quantity_unit, QuantityUnit::base);
      ++tickers;
    }
  }
  EXPECT_EQ(books, 46u);
  EXPECT_EQ(tickers, 89u);
}

TEST_F(DeribitCaptures, BooksAreWhatTheirChangesMake) {
  DeribitPlayback run;
  run.feed_all(capture("deribit_derivatives.jsonl"));
  using Side = std::map<Decimal, Decimal>;
  std::map<std::string, std::pair<Side, Side>> rebuilt;
  for (const auto& delta : only<OrderBookDelta>(run.events)) {
    auto& [bids, asks] = rebuilt[delta.meta.instrument->symbol];
    if (delta.is_snapshot) {
      bids.clear();
      asks.clear();
    }
    const auto apply = [](Side& side, const std::vector<BookLevel>& changes) {
      for (const auto& each : changes) {
        side.erase(each.price.value);
        if (!each.quantity.value.is_zero()) side[each.price.value] = each.quantity.value;
      }
    };
    apply(bids, delta.bids);
    apply(asks, delta.asks);
  }
  std::vector<OrderBook> held;
  run.router->session(run.source)->books(0, held);
  ASSERT_EQ(held.size(), 10u);
  for (const auto& book : held) {
    const auto& [bids, asks] = rebuilt.at(book.meta.instrument->symbol);
    Side have_bids, have_asks;
    for (const auto& each : book.bids) have_bids[each.price.value] = each.quantity.value;
    for (const auto& each : book.asks) have_asks[each.price.value] = each.quantity.value;
    EXPECT_EQ(have_bids, bids) << book.meta.instrument->symbol;
    EXPECT_EQ(have_asks, asks) << book.meta.instrument->symbol;
  }
}

TEST_F(DeribitCaptures, AMissingChangeIsOneGapAndEndsThatBookOnly) {
  auto lines = capture("deribit_derivatives.jsonl");
  std::map<std::string, std::size_t> changes;
  for (const auto& line : lines)
    if (line.payload.find("\"prev_change_id\"") != std::string::npos) ++changes[field(line.payload, "instrument_name")];
  const auto busiest = std::ranges::max_element(changes, {}, [](const auto& each) { return each.second; })->first;
  ASSERT_GE(changes[busiest], 3u);
  std::size_t seen = 0;
  std::erase_if(lines, [&](const Line& line) {
    return line.payload.find("\"prev_change_id\"") != std::string::npos &&
           field(line.payload, "instrument_name") == busiest && ++seen == 2;
  });
  DeribitPlayback run;
  run.feed_all(lines);
  const auto gaps = only<Gap>(run.events);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].meta.instrument->instrument, busiest);
  EXPECT_EQ(gaps[0].cause, GapCause::sequence);
  std::vector<OrderBook> held;
  run.router->session(run.source)->books(1, held);
  EXPECT_EQ(held.size(), 9u);
}

TEST_F(DeribitCaptures, ConnectionIdsAndConnectLinesAreNotNeeded) {
  auto lines = capture("deribit_derivatives.jsonl");
  DeribitPlayback whole;
  whole.feed_all(lines);
  std::erase_if(lines, [](const Line& line) { return line.kind == RecordKind::opened; });
  for (auto& line : lines) line.connection = 0;
  DeribitPlayback bare;
  bare.feed_all(lines);
  EXPECT_EQ(deribit::json(bare.events), deribit::json(whole.events));
}

TEST_F(DeribitCaptures, ARunOverManyCheckpointsIsTheSameRun) {
  auto lines = capture("deribit_derivatives.jsonl");
  std::size_t n = 0;
  std::erase_if(lines, [&](const Line& line) { return line.kind == RecordKind::text && ++n % 23 == 0; });
  DeribitPlayback whole(true);
  whole.feed_all(lines);
  DeribitPlayback hopping(true);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i < 20 || i % 5 == 0) {
      std::string saved;
      hopping.router->save(saved);
      auto fresh = hopping.fresh();
      ASSERT_TRUE(fresh->restore(saved));
      std::string again;
      fresh->save(again);
      ASSERT_EQ(again, saved);
      hopping.router = std::move(fresh);
    }
    hopping.feed(lines[i]);
  }
  ASSERT_EQ(deribit::json(hopping.events), deribit::json(whole.events));
  EXPECT_GT(only<OrderBook>(whole.events).size(), 10u);
}

// ---- single messages ------------------------------------------------------------------------------------------

class DeribitMessages : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kShared + "/messages/deribit"))
      GTEST_SKIP() << "no messages at " << kShared << "/messages";
    for (const auto& each : std::filesystem::directory_iterator(kShared + "/messages/deribit"))
      files.push_back(each.path().filename().string());
    // Lists first, a book's snapshot before its changes.
    std::ranges::sort(files, {}, [](const std::string& name) {
      return std::tuple(!name.starts_with("http_get_instruments") && !name.starts_with("http_get_instrument"),
                        name.find("snapshot") == std::string::npos, name);
    });
  }
  std::vector<MarketEvent> feed(const std::string& name) {
    Line line{};
    line.received_at = wall_from_nanos(1'790'000'000'000'000'000);
    line.payload = read_file(kShared + "/messages/deribit/" + name);
    line.connection = 1;
    if (name.starts_with("http_")) {
      line.kind = RecordKind::rest;
      line.status = 200;
      line.url = "https://www.deribit.com/api/v2/public/" + method(name);
    } else {
      line.kind = RecordKind::text;
    }
    run.events.clear();
    run.feed(line);
    return run.events;
  }
  static std::string method(const std::string& name) {
    auto out = name.substr(5, name.size() - 10);
    if (out.starts_with("get_instruments")) return "get_instruments?currency=" + out;  // each a list of its own
    if (out.starts_with("get_instrument")) return "get_instrument?instrument_name=" + out;
    return out;
  }
  std::vector<std::string> files;
  DeribitPlayback run;
};

TEST_F(DeribitMessages, NoneIsRejectedAndEveryNumberIsAsItWasWritten) {
  std::map<std::string, std::size_t> counts;
  for (const auto& name : files) {
    const auto raw = read_file(kShared + "/messages/deribit/" + name);
    for (const auto& event : feed(name)) {
      ++counts[to_string(type_of(event))];
      EXPECT_FALSE(std::holds_alternative<Rejected>(event)) << name << " " << deribit::json(event);
      EXPECT_FALSE(std::holds_alternative<Gap>(event)) << name << " " << deribit::json(event);
      if (const auto* delta = std::get_if<OrderBookDelta>(&event)) expect_same_book(*delta, raw);
      if (const auto* funding = std::get_if<FundingRate>(&event)) {
        EXPECT_EQ(funding->funding_rate.value.text(), field(raw, "current_funding")) << name;
        EXPECT_EQ(funding->mark_price->value.text(), field(raw, "mark_price")) << name;
        EXPECT_EQ(funding->index_price->value.text(), field(raw, "index_price")) << name;
      }
      if (const auto* interest = std::get_if<OpenInterest>(&event)) {
        EXPECT_EQ(interest->open_interest.value.text(), field(raw, "open_interest")) << name;
        EXPECT_EQ(interest->quantity_unit, QuantityUnit::quote);
      }
      if (const auto* index = std::get_if<VolatilityIndex>(&event)) {
        EXPECT_EQ(index->index_value.value.text(), field(raw, "volatility")) << name;
      }
      if (const auto* trade = std::get_if<Trade>(&event)) {
        const auto row = raw.substr(0, raw.find("\"" + trade->trade_id + "\""));
        const auto own = row.substr(row.rfind('{'));
        EXPECT_EQ(trade->price.value.text(), field(own, "price")) << name;
        EXPECT_EQ(trade->quantity.value.text(), field(own, "amount")) << name;
        EXPECT_EQ(trade->contracts->value.text(), field(own, "contracts")) << name;
        EXPECT_EQ(to_string(trade->side), field(own, "direction")) << name;
      }
    }
  }
  EXPECT_EQ(counts["trade"], 2u);
  EXPECT_EQ(counts["orderbook_delta"], 2u);
  EXPECT_EQ(counts["funding_rate"], 1u);
  EXPECT_EQ(counts["open_interest"], 1u);
  EXPECT_EQ(counts["volatility_index"], 1u);
  EXPECT_GT(counts["instrument"], 2u);
}

TEST_F(DeribitMessages, WhatGivesNoEventIsCountedByName) {
  for (const auto& name : files) feed(name);
  std::set<std::string> names;
  for (const auto& [name, count] : run.router->session(run.source)->counters().unmapped) names.insert(name);
  for (const auto* name : {"quote", "chart.trades", "book (grouped)", "trades of combos (their legs are told)",
                           "instruments that are combos", "error answer", "REST get_order_book", "REST get_combos"})
    EXPECT_TRUE(names.contains(name)) << name;
  EXPECT_TRUE(run.router->session(run.source)->counters().unknown.empty());
}

TEST_F(DeribitMessages, EveryPrefixOfEveryOneIsSurvived) {
  for (const auto& name : files) feed(name);
  const auto step = [](std::size_t size) { return size < 1500 ? 1 : size / 1000; };
  for (const auto& name : files) {
    const auto raw = read_file(kShared + "/messages/deribit/" + name);
    for (std::size_t size = 0; size + 2 < raw.size(); size += step(raw.size())) {
      deribit::Decoder decoder;
      const deribit::Padded cut(raw.substr(0, size));
      EXPECT_FALSE(decoder.frame(cut.view())) << name << " at " << size;
    }
  }
}

}  // namespace
}  // namespace mp
