#include "exchanges/router.hpp"

#include <gmock/gmock.h>

#include "exchanges/binance/tests/support.hpp"
#include "feed/checkpoint.hpp"
#include "feed/published_options.hpp"

namespace mp {
namespace {

using namespace std::chrono_literals;
using binance::fixture;
using binance::kStart;
using binance::Padded;

const Source kSpot{"binance", "spot"};
const Source kUsdm{"binance", "derivatives"};

struct Routed {
  explicit Routed(std::string journal = "")
      : router(
            [](const Source& source) {
              auto options = binance::options_for(source.market);
              options.source = source;
              return options;
            },
            std::move(journal)) {}

  void feed(RecordKind kind, const Source* source, const std::string& url, const std::string& payload, int ms) {
    const Padded padded(payload);
    RawRecord record;
    record.kind = kind;
    record.connection = 1;
    record.source = source;
    record.received_at = kStart + ms * 1ms;
    record.status = 200;
    record.url = url;
    record.payload = padded.view();
    router.route(record, {7, ++number}, MonoTime{},
                 [&](const Source& from, Outbox& out, std::span<const EventPosition> at) {
                   ASSERT_EQ(out.events.size(), at.size());
                   reached.push_back(from);
                   for (std::size_t i = 0; i < at.size(); ++i) {
                     positions.push_back(at[i]);
                     events.push_back(std::move(out.events[i]));
                   }
                 });
  }
  Router router;
  std::uint32_t number = 0;
  std::vector<Source> reached;
  std::vector<EventPosition> positions;
  std::vector<MarketEvent> events;
};

TEST(Router, MakesSessionsOnDemandAndCountsOrdinalsPerSubject) {
  Routed r("journal");
  r.feed(RecordKind::start, nullptr, "", "", 0);
  EXPECT_TRUE(r.reached.empty());
  r.feed(RecordKind::rest, &kSpot, binance::kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 0);
  ASSERT_EQ(r.positions.size(), 3u);
  for (const auto& position : r.positions) EXPECT_EQ(position, (EventPosition{{7, 2}, 0})) << "three subjects";
  r.positions.clear();
  r.feed(RecordKind::text, &kSpot, "", binance::spot_update(101, 105, 1), 1);
  r.feed(RecordKind::text, &kSpot, "", binance::spot_update(106, 106, 2), 2);
  EXPECT_TRUE(r.positions.empty());
  r.feed(RecordKind::rest, &kSpot, binance::kSpotDepthUrl, binance::depth_reply(103), 3);
  ASSERT_EQ(r.positions.size(), 3u) << "the snapshot's record released the updates too";
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(r.positions[i], (EventPosition{{7, 5}, i}));
}

TEST(Router, GapsAreNamedByJournalAndPosition) {
  Routed r("ab12");
  r.feed(RecordKind::rest, &kSpot, binance::kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 0);
  r.feed(RecordKind::text, &kSpot, "", binance::agg_trade(1, 1), 1);
  r.feed(RecordKind::text, &kSpot, "", binance::agg_trade(5, 2), 2);
  const auto gaps = binance::only<Gap>(r.events);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].gap_id, "ab12-7-3-0");
}

TEST(Router, ABooksGapKeepsItsNameUntilItIsClosed) {
  const auto told = [](const std::string& journal) {
    Routed r(journal);
    r.feed(RecordKind::rest, &kSpot, binance::kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 0);
    r.feed(RecordKind::rest, &kSpot, binance::kSpotDepthUrl, binance::depth_reply(5), 1);
    r.feed(RecordKind::text, &kSpot, "", binance::spot_update(8, 9, 2), 2);
    r.feed(RecordKind::rest, &kSpot, binance::kSpotDepthUrl, binance::depth_reply(9), 3);
    return binance::only<Gap>(r.events);
  };
  const auto gaps = told("ab12");
  ASSERT_EQ(gaps.size(), 2u);
  EXPECT_TRUE(gaps[0].gap_id.starts_with("ab12-")) << gaps[0].gap_id;
  EXPECT_EQ(gaps[0].gap_id, gaps[1].gap_id);
  EXPECT_LT(gaps[0].meta.received_at, gaps[1].meta.received_at);
  for (const auto& gap : told("")) EXPECT_EQ(gap.gap_id, "") << "offline there is no journal";
}

TEST(Router, AStartReachesEverySessionAndSessionsStayApart) {
  Routed r;
  ASSERT_TRUE(r.router.add(kSpot));
  ASSERT_TRUE(r.router.add(kUsdm));
  r.feed(RecordKind::start, nullptr, "", "", 0);
  EXPECT_EQ(r.reached, (std::vector{kUsdm, kSpot}));
  r.feed(RecordKind::rest, &kUsdm, binance::kUsdmInfoUrl, fixture("usdm_rest_exchange_info.json"), 1);
  r.feed(RecordKind::text, &kSpot, "", binance::agg_trade(1, 2), 2);
  EXPECT_EQ(binance::only<Rejected>(r.events).size(), 1u) << "spot has no catalogue yet";
}

TEST(Router, ALineOfARecordingThatCannotBeReadIsARejectOfItsSource) {
  for (const Source& source : {kSpot, kUsdm, Source{"okx", ""}, Source{"deribit", ""}}) {
    Router router(
        [](const Source& of) {
          SessionOptions options;
          options.source = of;
          options.data_source = DataSource::replay;
          options.conversing = false;
          return options;
        },
        "journal");
    const std::string raw("{\"t\":1\xff\x00", 8);
    const Padded padded(raw);
    RawRecord record;
    record.kind = RecordKind::unreadable;
    record.source = &source;
    record.received_at = kStart;
    record.url = "not JSON: line 7";
    record.payload = padded.view();
    std::vector<MarketEvent> events;
    router.route(record, {1, 2}, MonoTime{}, [&](const Source&, Outbox& out, auto) { events = out.events; });
    const auto rejected = binance::only<Rejected>(events);
    ASSERT_EQ(rejected.size(), 1u) << source.text();
    EXPECT_EQ(rejected[0].exchange, source.exchange);
    EXPECT_EQ(rejected[0].reason, "not JSON: line 7");
    EXPECT_EQ(rejected[0].raw, raw);
    EXPECT_EQ(rejected[0].meta.received_at, kStart);
  }
}

TEST(Router, UnknownVenuesAndMarketsAreNamed) {
  Routed r;
  const auto venue = r.router.add({"binanse", "spot"});
  ASSERT_FALSE(venue);
  EXPECT_THAT(venue.error().text(), testing::HasSubstr("did you mean binance?"));
  EXPECT_FALSE(r.router.add({"binance", "coins"}));
  const Source nowhere{"nowhere", ""};
  r.feed(RecordKind::text, &nowhere, "", "{}", 0);
  EXPECT_EQ(r.router.unroutable(), 1u);
}

TEST(Router, SavedStateIsWholeOrRefused) {
  Routed r;
  r.feed(RecordKind::rest, &kSpot, binance::kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 0);
  r.feed(RecordKind::rest, &kSpot, binance::kSpotDepthUrl, binance::depth_reply(103), 3);
  r.feed(RecordKind::rest, &kUsdm, binance::kUsdmInfoUrl, fixture("usdm_rest_exchange_info.json"), 4);
  std::string saved;
  r.router.save(saved);
  for (std::size_t n = 0; n < saved.size(); ++n) {
    Routed fresh;
    ASSERT_FALSE(fresh.router.restore(std::string_view(saved).substr(0, n))) << n;
  }
  Routed fresh;
  ASSERT_TRUE(fresh.router.restore(saved));
  std::string again;
  fresh.router.save(again);
  EXPECT_EQ(again, saved);
}

SessionOptions publishing(const std::string& symbol) {
  auto options = binance::options_for("spot", {symbol});
  options.conversing = false;
  return options;
}

TEST(Router, AConfigurationInTheJournalHoldsForWhatComesAfterIt) {
  Routed r("ab12");
  r.feed(RecordKind::configured, &kSpot, "", published_options(publishing("BTC-USDT")), 0);
  r.feed(RecordKind::start, nullptr, "", "", 0);
  r.feed(RecordKind::rest, &kSpot, binance::kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 1);
  EXPECT_EQ(binance::only<Instrument>(r.events).size(), 1u);
  r.feed(RecordKind::text, &kSpot, "", binance::agg_trade(1, 2), 2);
  r.events.clear();
  r.positions.clear();
  r.feed(RecordKind::configured, &kSpot, "", published_options(publishing("ETH-USDT")), 3);
  const auto gaps = binance::only<Gap>(r.events);
  ASSERT_EQ(gaps.size(), 2u);
  for (const auto& gap : gaps) EXPECT_EQ(gap.cause, GapCause::end);
  EXPECT_NE(gaps[0].gap_id, gaps[1].gap_id);
  EXPECT_TRUE(gaps[0].gap_id.starts_with("ab12-7-5-")) << gaps[0].gap_id << ": the place of the record";
  EXPECT_EQ(r.router.published_options_of(kSpot), published_options(publishing("ETH-USDT")));

  std::string saved;
  r.router.save(saved);
  Routed other("ab12");
  ASSERT_TRUE(other.router.restore(saved));
  EXPECT_EQ(other.router.published_options_of(kSpot), published_options(publishing("ETH-USDT")))
      << "not what is configured now";
}

TEST(Router, OfflineEverythingIsDecodedWhateverACollectorPublished) {
  Routed r;
  r.feed(RecordKind::configured, &kSpot, "", published_options(publishing("BTC-USDT")), 0);
  r.feed(RecordKind::rest, &kSpot, binance::kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 1);
  EXPECT_EQ(binance::only<Instrument>(r.events).size(), 3u);
}

TEST(Router, AConfigurationThatCannotBeReadChangesNothing) {
  Routed r("ab12");
  r.feed(RecordKind::configured, &kSpot, "", published_options(publishing("BTC-USDT")), 0);
  const auto before = r.router.published_options_of(kSpot);
  r.feed(RecordKind::configured, &kSpot, "", "data nonsense\n", 1);
  EXPECT_EQ(r.router.published_options_of(kSpot), before);
  EXPECT_EQ(r.router.unroutable(), 1u);
}

TEST(Router, StateOfAnEarlierVersionIsTaken) {
  Routed r;
  r.feed(RecordKind::rest, &kSpot, binance::kSpotInfoUrl, fixture("spot_rest_exchange_info.json"), 0);
  std::string of_session, saved;
  r.router.session(kSpot)->save(of_session);
  {
    StateWriter writer(saved, "router", 1);
    writer.put(std::uint64_t{1});
    writer.put(std::string_view{"binance"});
    writer.put(std::string_view{"spot"});
    writer.put(std::string_view{of_session});
  }
  Routed fresh;
  const auto restored = fresh.router.restore(saved);
  ASSERT_TRUE(restored) << restored.error().text();
  ASSERT_NE(fresh.router.session(kSpot), nullptr);
}

TEST(Registry, UrlsTellTheirSource) {
  EXPECT_EQ(source_of_url("wss://stream.binance.com:9443/stream?streams=x"), kSpot);
  EXPECT_EQ(source_of_url("https://api.binance.com/api/v3/depth"), kSpot);
  EXPECT_EQ(source_of_url("wss://fstream.binance.com/market/stream"), kUsdm);
  EXPECT_EQ(source_of_url("https://fapi.binance.com/fapi/v1/depth?symbol=A"), kUsdm);
  EXPECT_EQ(source_of_url("wss://dstream.binance.com/ws"), std::nullopt);
  EXPECT_EQ(source_of_url("wss://stream.binance.com.example.org/ws"), std::nullopt);
  EXPECT_EQ(source_of_url("ws://127.0.0.1:9443/stream"), std::nullopt);
}

}  // namespace
}  // namespace mp
