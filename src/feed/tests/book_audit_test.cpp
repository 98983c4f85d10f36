#include "feed/book_audit.hpp"

#include <gmock/gmock.h>

#include "feed/chained_book.hpp"

namespace mp {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Verdict = AuditFinding::Verdict;
using Levels = std::vector<BookLevel>;

BookLevel level(const std::string& price, const std::string& quantity) {
  return {Price{Decimal::parse(price).value()}, Quantity{Decimal::parse(quantity).value()}};
}

const Levels kBids{level("100", "1"), level("99", "2"), level("98", "3")};
const Levels kAsks{level("101", "4"), level("102", "5"), level("103", "6")};

// An audit of the book above, at id 10.
struct Audit : BookAudit {
  explicit Audit(const KnownRange& known = {})
      : BookAudit(
            [] {
              book::Book book;
              book.assign(kBids, kAsks);
              return book;
            }(),
            10, known) {}
  Verdict verdict() const { return finding() ? finding()->verdict : Verdict{99}; }
  bool is_open() const { return !finding(); }
};

TEST(BookAudit, AnAnswerAtTheBooksOwnPlaceIsComparedAtOnceInAnyOrder) {
  Audit same;
  same.answered(10, {level("98", "3.0"), level("100", "1"), level("99", "2.00")}, kAsks, 0);
  EXPECT_EQ(same.verdict(), Verdict::agrees);
  EXPECT_EQ(same.finding()->compared, 6u);
  Audit other;
  other.answered(10, {level("100", "1"), level("99", "2.5"), level("97", "1")}, kAsks, 0);
  EXPECT_EQ(other.verdict(), Verdict::differs);
  EXPECT_EQ(other.finding()->compared, 7u);
  EXPECT_EQ(other.finding()->different, 3u) << "99 is another, 98 is not there, 97 is missing here";
  EXPECT_EQ(other.finding()->example, "bid 99 ours=2 theirs=2.5");
}

TEST(BookAudit, TheBookIsComparedAsItWasAtTheAnswersPlace) {
  Audit audit;
  audit.took(12, {level("100", "7")}, {});
  audit.took(14, {}, {level("101", "0")});
  audit.took(16, {level("99", "0")}, {});
  EXPECT_TRUE(audit.is_open());
  audit.answered(14, {level("100", "7"), level("99", "2"), level("98", "3")}, {level("102", "5"), level("103", "6")},
                 0);
  EXPECT_EQ(audit.verdict(), Verdict::agrees);
}

TEST(BookAudit, BetweenTwoUpdatesThePricesOfTheSecondAreLeftOut) {
  const Levels between{level("100", "1.5"), level("99", "2"), level("98", "3")};
  Audit audit;
  audit.answered(13, between, kAsks, 0);
  EXPECT_TRUE(audit.is_open()) << "nothing has shown yet where 13 stands";
  audit.took(15, {level("100", "2")}, {});
  EXPECT_EQ(audit.verdict(), Verdict::agrees);
  EXPECT_EQ(audit.finding()->compared, 5u);
  Audit wrong;
  wrong.took(15, {level("99", "9")}, {});
  wrong.answered(13, between, kAsks, 0);
  EXPECT_EQ(wrong.finding()->example, "bid 100 ours=1 theirs=1.5");
  EXPECT_EQ(wrong.verdict(), Verdict::undecided) << "an order may have come and gone between the two";
}

TEST(BookAudit, AnAnswerAheadWaitsForTheBook) {
  Audit audit;
  audit.answered(20, {level("100", "1"), level("98", "3")}, kAsks, 0);
  audit.took(15, {level("99", "0")}, {});
  EXPECT_TRUE(audit.is_open());
  audit.took(20, {level("98", "3")}, {});
  EXPECT_EQ(audit.verdict(), Verdict::agrees);
  EXPECT_EQ(audit.finding()->compared, 5u);
}

TEST(BookAudit, WhatTheAnswerOrTheBookDoesNotReachIsNotCompared) {
  Audit short_answer;
  short_answer.answered(10, {level("100", "1"), level("99", "2")}, {level("101", "4"), level("102", "5")}, 2);
  EXPECT_EQ(short_answer.verdict(), Verdict::agrees);
  EXPECT_EQ(short_answer.finding()->compared, 4u);
  Audit whole_answer;
  whole_answer.answered(10, {level("100", "1"), level("99", "2")}, kAsks, 50);
  EXPECT_EQ(whole_answer.verdict(), Verdict::differs) << "it could have had 98, and has it not";
  Audit short_book({.lowest_bid = kBids[1].price, .highest_ask = std::nullopt});
  short_book.answered(10, {level("100", "1"), level("99", "2"), level("98.5", "1"), level("98", "8")}, kAsks, 50);
  EXPECT_EQ(short_book.verdict(), Verdict::agrees) << "below 99 the book is not known";
  Audit empty;
  empty.answered(10, {}, {}, 50);
  EXPECT_EQ(empty.finding()->different, 6u);
}

TEST(BookAudit, WhatCannotBeDecidedIsNoDifference) {
  Audit old;
  old.answered(9, {}, {}, 0);
  EXPECT_EQ(old.verdict(), Verdict::undecided);
  Audit counted_anew;
  counted_anew.took(3, {}, {});
  counted_anew.answered(10, {}, {}, 0);
  EXPECT_EQ(counted_anew.verdict(), Verdict::undecided);
  Audit without_answer;
  for (std::uint64_t id = 11; id < 11 + BookAudit::kMostUpdates + 1; ++id) without_answer.took(id, {}, {});
  EXPECT_EQ(without_answer.verdict(), Verdict::undecided) << "what is kept is bounded";
}

// ---- in a book that is kept -------------------------------------------------------------------------------------

struct Kept {
  BookAudits audits;
  BookRules rules{.series = {{2, 100ms}}, .audits = &audits};
  KeptBook book{
      std::make_shared<const InstrumentId>(InstrumentId{"okx", MarketType::perpetual, "BTC-USD", "BTC-USD-SWAP"}),
      QuantityUnit::quote, rules};
  std::vector<MarketEvent> out;

  Kept() { assign(10, true); }
  void assign(std::uint64_t id, bool whole) {
    BookSnapshot snapshot{.id = id, .bids = kBids, .asks = kAsks, .whole = whole};
    book.assign(snapshot, out);
  }
  void apply(std::uint64_t id, Levels bids, Levels asks = {}) {
    BookUpdate update{.ids = {id, id, std::nullopt}, .bids = std::move(bids), .asks = std::move(asks)};
    book.apply(update, out);
  }
  void answer(std::uint64_t id, Levels bids, Levels asks = kAsks) {
    BookSnapshot snapshot{.id = id, .bids = std::move(bids), .asks = std::move(asks)};
    book.audit(snapshot);
  }
  BookAuditCounts counts() const {
    SessionCounters counters;
    audits.count(counters);
    return counters.audits;
  }
};

TEST(KeptBook, AnAuditIsCountedAndADifferenceToldAndNothingIsPublishedOfIt) {
  Kept kept;
  const auto before = kept.out.size();
  kept.answer(9, {});
  EXPECT_EQ(kept.counts().differed + kept.counts().undecided, 0u) << "none was begun";
  kept.book.begin_audit();
  kept.answer(10, kBids);
  EXPECT_EQ(kept.counts().agreed, 1u);
  EXPECT_EQ(kept.counts().levels_same, 6u);
  kept.book.begin_audit();
  kept.answer(12, {level("100", "9"), level("99", "2"), level("98", "3")});
  EXPECT_EQ(kept.out.size(), before);
  kept.apply(12, {level("98", "3")});
  EXPECT_EQ(kept.out.size(), before + 1) << "the update itself";
  EXPECT_EQ(kept.counts().differed, 1u);
  EXPECT_EQ(kept.counts().levels_different, 1u);
  std::vector<Notice> told;
  kept.audits.tell(told);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0].message, HasSubstr("differs from a fresh snapshot"));
  EXPECT_THAT(told[0].detail, HasSubstr("symbol=BTC-USD levels=6 different=1 first=\"bid 100 ours=1 theirs=9\""));
  kept.audits.tell(told);
  EXPECT_EQ(told.size(), 1u) << "told once";
  ASSERT_TRUE(kept.audits.doubted());
  EXPECT_EQ(kept.audits.doubted()->instrument, "BTC-USD-SWAP");
  EXPECT_TRUE(kept.book.refuted()) << "the venue's own at the same id is another one";
}

TEST(KeptBook, OnlyTheSameIdProvesAnything) {
  const Levels other{level("100", "9"), level("99", "2"), level("98", "3")};
  Kept older;
  older.answer(9, other);
  EXPECT_FALSE(older.book.refuted());
  Kept between;
  between.answer(11, other);
  between.apply(12, {level("98", "4")});
  EXPECT_FALSE(between.book.refuted()) << "an order may have come and gone between the two";
  between.apply(13, {level("98", "3")});
  EXPECT_FALSE(between.book.refuted());
  Kept anew;
  anew.answer(20, other);
  anew.apply(3, {level("98", "4")});
  anew.apply(20, {level("98", "3")});
  EXPECT_FALSE(anew.book.refuted()) << "an id of another count";
  Kept same;
  same.answer(12, {level("100", "1"), level("99", "2"), level("98", "7")});
  same.apply(12, {level("98", "7")});
  EXPECT_FALSE(same.book.refuted());
}

TEST(KeptBook, EveryAuditIsCountedOnce) {
  Kept kept;
  kept.book.begin_audit();
  kept.book.begin_audit();  // the first one's answer never came
  kept.assign(20, true);    // another book
  kept.answer(20, {});
  EXPECT_EQ(kept.counts().undecided, 2u);
  EXPECT_EQ(kept.counts().differed, 0u);
  kept.book.lose(GapCause::sequence, {}, {}, kept.out);
  kept.book.begin_audit();
  kept.answer(21, {});
  EXPECT_EQ(kept.counts().undecided + kept.counts().differed, 2u) << "a lost book is not audited";
}

TEST(KeptBook, NoPictureHasLevelsBetweenWhichOthersMayStand) {
  Kept kept;
  kept.assign(20, false);  // down to 98, up to 103
  kept.apply(21, {level("100", "0"), level("95", "1")}, {level("101", "0"), level("108", "1")});
  const auto picture = kept.book.picture(3);
  EXPECT_EQ(picture.bids, (Levels{level("99", "2"), level("98", "3")})) << "between 98 and 95 nothing is known";
  EXPECT_EQ(picture.asks, (Levels{level("102", "5"), level("103", "6")}));
  EXPECT_EQ(picture.depth, 3u);
  EXPECT_EQ(kept.book.picture(0).bids.size(), 3u) << "all that is held";
  kept.assign(30, true);
  kept.apply(31, {level("95", "1")});
  EXPECT_EQ(kept.book.picture(4).bids.size(), 4u);
}

// ---- whose turn it is ---------------------------------------------------------------------------------------------

TEST(AuditRound, OneBookAfterTheOtherAndOnlyThoseThatMay) {
  AuditRound round(30s);
  round.begin(MonoTime{} + 1h);
  std::vector<std::uint32_t> turns;
  for (auto t = 0s; t <= 150s; t += 1s)
    if (const auto index = round.due(4, {}, MonoTime{} + 1h + t, [](std::uint32_t each) { return each != 2; }))
      turns.push_back(*index);
  EXPECT_EQ(turns, (std::vector<std::uint32_t>{0, 1, 3, 0, 1}));
  EXPECT_FALSE(round.due(4, {}, MonoTime{} + 2h, [](std::uint32_t) { return false; }));
  EXPECT_FALSE(round.due(0, {}, MonoTime{} + 3h, [](std::uint32_t) { return true; }));
  AuditRound never(0s);
  never.begin({});
  EXPECT_FALSE(never.due(4, 1, MonoTime{} + 1000h, [](std::uint32_t) { return true; }));
}

TEST(AuditRound, OneThatIsDoubtedAgainAndAgainForAWhile) {
  AuditRound round(30s);
  round.begin(MonoTime{} + 1h);
  std::vector<std::uint32_t> turns;
  const auto all = [](std::uint32_t) { return true; };
  for (auto t = 0s; t <= 125s; t += 1s)
    if (const auto index =
            round.due(4, t < 10s ? std::nullopt : std::optional<std::uint32_t>{3}, MonoTime{} + 1h + t, all))
      turns.push_back(*index);
  EXPECT_EQ(std::ranges::count(turns, 3u), AuditRound::kMostAgain + 1) << "and once in its turn";
  EXPECT_EQ(std::ranges::count(turns, 0u), 1) << "the others have their turns";
  EXPECT_FALSE(round.due(4, 3, MonoTime{} + 1h + 126s, all));
  EXPECT_TRUE(round.due(4, 2, MonoTime{} + 1h + 127s, all)) << "another one";
}

}  // namespace
}  // namespace mp
