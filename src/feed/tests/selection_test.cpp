#include "feed/selection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "feed/checkpoint.hpp"

namespace mp {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Verdict = Unresolved::Verdict;
using Names = std::vector<std::string>;

struct Pair {
  std::string base, quote;
  MarketType kind = MarketType::spot;
};
ListedInstrument listed(const Pair& pair) {
  ListedInstrument out;
  const bool spot = pair.kind == MarketType::spot;
  out.id = {"", pair.kind, pair.base + "-" + pair.quote, pair.base + "-" + pair.quote + (spot ? "" : "-SWAP")};
  out.definition.base_asset = pair.base;
  out.definition.quote_asset = pair.quote;
  return out;
}
constexpr auto kPerpetual = MarketType::perpetual;
const std::vector<Pair> kSpot{{"BTC", "USDT"}, {"ETH", "USDT"}, {"ETH", "BTC"}, {"SOL", "USDT"}};
const std::vector<Pair> kSwaps{{"BTC", "USDT", kPerpetual}, {"ETH", "USDT", kPerpetual}, {"BTC", "USD", kPerpetual}};

// A venue with two lists.
struct Venue {
  Catalogue catalogue{"okx"};
  Chooser chooser;

  explicit Venue(Selection selection) : chooser(std::move(selection)) { chooser.begin(catalogue); }

  Names take(const std::string& name, const std::vector<Pair>& pairs) {
    std::vector<ListedInstrument> list;
    for (const auto& pair : pairs) list.push_back(listed(pair));
    std::vector<Chooser::Index> changed;
    chooser.take(name, list, catalogue, changed);
    return symbols(changed);
  }
  void volumes(const std::vector<std::pair<const char*, const char*>>& all) {
    std::vector<InstrumentVolume> answer;
    for (const auto& [instrument, volume] : all) answer.push_back({instrument, Decimal::parse(volume).value()});
    chooser.volumes(answer);
  }
  Names chosen() const { return symbols(chooser.chosen()); }
  Names symbols(const std::vector<Chooser::Index>& indices) const {
    Names out;
    for (const auto index : indices) out.push_back(catalogue.ref(index)->instrument);
    return out;
  }
};

TEST(Glob, StarsAndQuestionMarks) {
  EXPECT_TRUE(glob_matches("BTC-USDT", "BTC-USDT"));
  EXPECT_FALSE(glob_matches("BTC-USDT", "BTC-USDT-SWAP"));
  EXPECT_TRUE(glob_matches("*-USDT", "BTC-USDT"));
  EXPECT_FALSE(glob_matches("*-USDT", "BTC-USDT-20261225"));
  EXPECT_TRUE(glob_matches("BTC-*", "BTC-"));
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("?-USDT", "T-USDT"));
  EXPECT_FALSE(glob_matches("?-USDT", "-USDT"));
  EXPECT_TRUE(glob_matches("*BTC*2026*-C", "XBTC-BTC-USD-20261225-65000-C"));
  EXPECT_FALSE(glob_matches("btc*", "BTC-USDT"));
  EXPECT_FALSE(glob_matches("", "x"));
  EXPECT_FALSE(glob_matches(std::string(60, '*') + "b", std::string(10'000, 'a'))) << "and quickly";
}

TEST(Selection, NoRuleIsEverything) {
  Venue v{Selection{}};
  EXPECT_THAT(v.take("SPOT", kSpot), ElementsAre("BTC-USDT", "ETH-USDT", "ETH-BTC", "SOL-USDT"));
  EXPECT_THAT(v.chosen(), IsEmpty()) << "nothing is subscribed";
  EXPECT_THAT(v.chooser.unresolved(v.catalogue), IsEmpty());
}

TEST(Selection, NamesInEitherSpellingInTheirOrder) {
  Venue v({"SOL-USDT", "BTC-USDT"});
  EXPECT_THAT(v.take("SPOT", kSpot), ElementsAre("BTC-USDT", "SOL-USDT")) << "definitions in the list's order";
  EXPECT_THAT(v.chosen(), ElementsAre("SOL-USDT", "BTC-USDT"));
  EXPECT_THAT(v.take("SWAP", kSwaps), ElementsAre("BTC-USDT-SWAP")) << "the canonical symbol of the perpetual";
  EXPECT_THAT(v.chosen(), ElementsAre("SOL-USDT", "BTC-USDT", "BTC-USDT-SWAP"));
  EXPECT_THAT(v.take("SPOT", kSpot), IsEmpty()) << "known as they are";
}

TEST(Selection, PatternsAndConditions) {
  Venue patterns({"ETH-*"});
  EXPECT_THAT(patterns.take("SPOT", kSpot), ElementsAre("ETH-USDT", "ETH-BTC"));
  Venue quotes(std::vector<SelectionRule>{{.quote = "BTC"}});
  EXPECT_THAT(quotes.take("SPOT", kSpot), ElementsAre("ETH-BTC"));
  Venue kinds(
      std::vector<SelectionRule>{{.symbol = "BTC-USDT", .kind = kPerpetual}, {.kind = kPerpetual, .base = "ETH"}});
  EXPECT_THAT(kinds.take("SPOT", kSpot), IsEmpty());
  EXPECT_THAT(kinds.take("SWAP", kSwaps), ElementsAre("BTC-USDT-SWAP", "ETH-USDT-SWAP"));
}

TEST(Selection, TheTopByVolumeOfEachList) {
  Venue v(std::vector<SelectionRule>{{.quote = "USDT", .top = 2}});
  EXPECT_TRUE(v.chooser.selection().by_volume());
  v.volumes({{"BTC-USDT", "5"}, {"ETH-USDT", "70.5"}, {"SOL-USDT", "6"}, {"ETH-BTC", "1000"}, {"BTC-USDT-SWAP", "1"}});
  EXPECT_THAT(v.take("SPOT", kSpot), ElementsAre("ETH-USDT", "SOL-USDT"));
  EXPECT_THAT(v.take("SWAP", kSwaps), ElementsAre("BTC-USDT-SWAP")) << "one without a volume is not ranked";
}

TEST(Selection, WithoutVolumesATopRuleChoosesNothing) {
  Venue v(std::vector<SelectionRule>{{.top = 2}, {.symbol = "SOL-USDT"}});
  EXPECT_THAT(v.take("SPOT", kSpot), ElementsAre("SOL-USDT"));
  v.volumes({{"BTC-USDT", "5"}, {"ETH-USDT", "5"}, {"SOL-USDT", "5"}, {"ETH-BTC", "5"}});
  EXPECT_THAT(v.take("SPOT", kSpot), ElementsAre("BTC-USDT", "ETH-BTC")) << "equal ones by name";
}

TEST(Selection, WhatWasChosenStaysUntilACollectorBeginsAgain) {
  Venue v(std::vector<SelectionRule>{{.quote = "USDT", .top = 1}});
  v.volumes({{"BTC-USDT", "5"}, {"ETH-USDT", "1"}});
  v.take("SPOT", kSpot);
  v.volumes({{"ETH-USDT", "9"}});
  v.take("SPOT", kSpot);
  EXPECT_THAT(v.chosen(), ElementsAre("BTC-USDT", "ETH-USDT"));
  v.chooser.begin(v.catalogue);
  EXPECT_THAT(v.chosen(), ElementsAre("BTC-USDT", "ETH-USDT")) << "need not wait for the list";
  v.take("SWAP", kSwaps);
  EXPECT_THAT(v.chosen(), ElementsAre("BTC-USDT", "ETH-USDT")) << "of another list";
  v.take("SPOT", kSpot);
  EXPECT_THAT(v.chosen(), ElementsAre("ETH-USDT"));
}

TEST(Selection, NamesThatTheVenueDoesNotHave) {
  Venue v({"BTC-USTD", "SOL-USDT", "DOGE-*"});
  v.take("SPOT", kSpot);
  v.take("SWAP", kSwaps);
  const auto unresolved = v.chooser.unresolved(v.catalogue);
  ASSERT_EQ(unresolved.size(), 2u);
  EXPECT_EQ(unresolved[0].rule, "BTC-USTD");
  EXPECT_EQ(unresolved[0].verdict, Verdict::unknown);
  ASSERT_FALSE(unresolved[0].near.empty());
  EXPECT_THAT(unresolved[0].near, testing::Contains("BTC-USDT"));
  EXPECT_LE(unresolved[0].near.size(), 3u);
  EXPECT_EQ(unresolved[1].rule, "DOGE-*");
  EXPECT_EQ(unresolved[1].verdict, Verdict::no_match);
}

TEST(Selection, ANameThatWasThereOnceIsDelisted) {
  Venue v({"SOL-USDT", "BTC-USDT"});
  v.take("SPOT", kSpot);
  EXPECT_THAT(v.chooser.unresolved(v.catalogue), IsEmpty());
  v.chooser.begin(v.catalogue);
  v.take("SPOT", {{"BTC", "USDT"}});
  const auto unresolved = v.chooser.unresolved(v.catalogue);
  ASSERT_EQ(unresolved.size(), 1u);
  EXPECT_EQ(unresolved[0].rule, "SOL-USDT");
  EXPECT_EQ(unresolved[0].verdict, Verdict::delisted);
  EXPECT_THAT(v.chosen(), ElementsAre("BTC-USDT")) << "the others go on";
}

std::string saved(const Venue& venue) {
  std::string bytes;
  StateWriter writer(bytes, "test", 1);
  venue.catalogue.save(writer);
  venue.chooser.save(writer);
  return bytes;
}
Result<void> restore(Venue& venue, const std::string& bytes) {
  StateReader reader(bytes, "test", 1);
  venue.catalogue.restore(reader);
  venue.chooser.restore(reader, venue.catalogue);
  return reader.finish();
}

TEST(Selection, RestoredItChoosesTheSame) {
  Venue v(std::vector<SelectionRule>{{.top = 1}});
  v.volumes({{"ETH-USDT", "9"}, {"BTC-USDT-SWAP", "3"}});
  v.take("SPOT", kSpot);
  Venue again(std::vector<SelectionRule>{{.top = 1}});
  ASSERT_TRUE(restore(again, saved(v)));
  EXPECT_EQ(again.chosen(), v.chosen());
  EXPECT_THAT(again.take("SWAP", kSwaps), ElementsAre("BTC-USDT-SWAP")) << "by the volumes of before";
  EXPECT_EQ(v.take("SWAP", kSwaps), Names{"BTC-USDT-SWAP"});
  EXPECT_EQ(saved(again), saved(v));
}

TEST(Selection, RestoredWithOtherRulesItKeepsWhatTheyWouldChoose) {
  Venue v({"SOL-USDT", "BTC-USDT"});
  v.take("SPOT", kSpot);
  Venue other({"BTC-*"});
  ASSERT_TRUE(restore(other, saved(v)));
  other.chooser.begin(other.catalogue);
  EXPECT_THAT(other.chosen(), ElementsAre("BTC-USDT"));
}

TEST(Selection, AStateThatNamesAnInstrumentThatIsNotThereIsRefused) {
  Venue v({"BTC-USDT"});
  v.take("SPOT", kSpot);
  std::string bytes;
  {
    StateWriter writer(bytes, "test", 1);
    Catalogue("okx").save(writer);
    v.chooser.save(writer);
  }
  Venue other({"BTC-USDT"});
  EXPECT_FALSE(restore(other, bytes));
}

TEST(Selection, WhatIsListedNoMoreIsToldSoOnce) {
  Venue v({"BTC-USDT", "SOL-USDT"});
  v.take("SPOT", kSpot);
  v.take("SWAP", kSwaps);
  const auto status = [&](const char* name) { return v.catalogue.definition(*v.catalogue.find(name)).status; };
  EXPECT_THAT(v.take("SPOT", {{"BTC", "USDT"}}), ElementsAre("SOL-USDT"));
  EXPECT_EQ(status("SOL-USDT"), "delisted");
  EXPECT_EQ(status("BTC-USDT"), "");
  EXPECT_EQ(status("BTC-USDT-SWAP"), "") << "of another list";
  EXPECT_THAT(v.take("SPOT", {{"BTC", "USDT"}}), IsEmpty()) << "told";
  EXPECT_THAT(v.take("SPOT", {}), IsEmpty()) << "an empty list says nothing";
  EXPECT_THAT(v.chosen(), testing::Contains("SOL-USDT")) << "streams end as the venue ends them";
  EXPECT_THAT(v.take("SPOT", kSpot), ElementsAre("SOL-USDT")) << "listed again";
  EXPECT_EQ(status("SOL-USDT"), "");
}

TEST(Selection, AnExpiredInstrumentIsToldAsExpired) {
  Catalogue catalogue("deribit");
  Chooser chooser(Selection({"BTC-*"}));
  chooser.begin(catalogue);
  const auto take = [&](std::int64_t at, std::vector<const char*> names) {
    std::vector<ListedInstrument> list;
    for (const auto* name : names) {
      ListedInstrument each;
      each.id = {"", MarketType::futures, name, name};
      each.definition.expiry = wall_from_nanos(100);
      each.definition.status = "open";
      each.definition.meta.timestamp = each.definition.meta.received_at = wall_from_nanos(at);
      list.push_back(std::move(each));
    }
    std::vector<Chooser::Index> changed;
    chooser.take("", list, catalogue, changed);
    return changed;
  };
  take(50, {"BTC-A", "BTC-B"});
  ASSERT_EQ(take(150, {"BTC-B"}).size(), 1u);
  const auto& gone = catalogue.definition(*catalogue.find("BTC-A"));
  EXPECT_EQ(gone.status, "expired");
  EXPECT_EQ(gone.meta.received_at, wall_from_nanos(150));
}

TEST(Selection, RulesAsText) {
  EXPECT_EQ((SelectionRule{.symbol = "BTC-USDT"}).text(), "BTC-USDT");
  EXPECT_EQ((SelectionRule{.kind = kPerpetual, .quote = "USDT", .top = 50}).text(), "kind=perpetual quote=USDT top=50");
}

TEST(Chooser, OtherRulesLetGoOfWhatTheyDoNotChooseAndKeepTheRest) {
  Venue venue({"BTC-USDT", "ETH-USDT"});
  venue.take("SPOT", kSpot);
  venue.chooser.reselect({"ETH-USDT", "SOL-USDT"}, venue.catalogue);
  EXPECT_THAT(venue.chosen(), ElementsAre("ETH-USDT")) << "what is new waits for the list";
  const auto bitcoin = *venue.catalogue.find("BTC-USDT");
  EXPECT_FALSE(venue.chooser.collects(bitcoin)) << "it is in the catalogue, and may still come for a moment";
  EXPECT_TRUE(venue.chooser.collects(*venue.catalogue.find("ETH-USDT")));
  EXPECT_THAT(venue.take("SPOT", kSpot), ElementsAre("SOL-USDT"));
  EXPECT_THAT(venue.chosen(), ElementsAre("ETH-USDT", "SOL-USDT"));
}

TEST(Chooser, ARuleByVolumeThatStaysIsNotRankedAnewAndOneThatIsNewIs) {
  const SelectionRule top{.quote = "USDT", .top = 1};
  Venue venue(Selection(std::vector<SelectionRule>{top}));
  venue.volumes({{"BTC-USDT", "9"}, {"ETH-USDT", "8"}, {"SOL-USDT", "7"}});
  venue.take("SPOT", kSpot);
  EXPECT_THAT(venue.chosen(), ElementsAre("BTC-USDT"));
  venue.chooser.reselect(Selection(std::vector<SelectionRule>{top, {.symbol = "SOL-USDT"}}), venue.catalogue);
  venue.volumes({{"BTC-USDT", "1"}});
  venue.take("SPOT", kSpot);
  EXPECT_THAT(venue.chosen(), testing::UnorderedElementsAre("BTC-USDT", "ETH-USDT", "SOL-USDT"));
  venue.chooser.reselect(Selection(std::vector<SelectionRule>{{.quote = "USDT", .top = 2}}), venue.catalogue);
  venue.take("SPOT", kSpot);
  EXPECT_THAT(venue.chosen(), testing::UnorderedElementsAre("ETH-USDT", "SOL-USDT"));
}

TEST(Chooser, WhatIsCollectedIsPartOfTheState) {
  Venue venue({"BTC-USDT", "ETH-USDT"});
  venue.take("SPOT", kSpot);
  venue.chooser.reselect({"ETH-USDT"}, venue.catalogue);
  std::string state;
  {
    StateWriter out(state, "test", 1);
    venue.catalogue.save(out);
    venue.chooser.save(out);
  }
  Venue other({"ETH-USDT"});
  StateReader in(state, "test", 1);
  other.catalogue.restore(in);
  other.chooser.restore(in, other.catalogue);
  ASSERT_TRUE(in.finish());
  EXPECT_FALSE(other.chooser.collects(*other.catalogue.find("BTC-USDT")));
  EXPECT_TRUE(other.chooser.collects(*other.catalogue.find("ETH-USDT")));
}

}  // namespace
}  // namespace mp
