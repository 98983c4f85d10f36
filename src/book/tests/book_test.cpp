#include "book/book.hpp"

#include <gtest/gtest.h>

#include <random>

#include "reference_book.hpp"

namespace mp::book {
namespace {

BookLevel level(const std::string& price, const std::string& quantity) {
  return {*Price::parse(price), *Quantity::parse(quantity)};
}
std::vector<BookLevel> bids_of(const Book& book, std::size_t depth = 0) {
  std::vector<BookLevel> out;
  book.top_bids(depth, out);
  return out;
}
std::vector<BookLevel> asks_of(const Book& book, std::size_t depth = 0) {
  std::vector<BookLevel> out;
  book.top_asks(depth, out);
  return out;
}

TEST(Book, SnapshotThenChangesKeepBestFirst) {
  Book book;
  book.assign(std::vector{level("10.1", "1"), level("10", "2")}, std::vector{level("10.2", "3"), level("10.35", "4")});
  book.apply(std::vector{level("10.15", "5"), level("10", "0")}, std::vector{level("10.2", "7")});
  EXPECT_EQ(bids_of(book), (std::vector{level("10.15", "5"), level("10.1", "1")}));
  EXPECT_EQ(asks_of(book), (std::vector{level("10.2", "7"), level("10.35", "4")}));
  EXPECT_EQ(bids_of(book, 1), (std::vector{level("10.15", "5")}));
  EXPECT_FALSE(book.crossed());
}

TEST(Book, RemovingAnUnknownLevelDoesNothing) {
  Book book;
  book.assign(std::vector{level("1", "1")}, {});
  book.apply(std::vector{level("0.5", "0"), level("2", "0")}, std::vector{level("3", "0")});
  EXPECT_EQ(bids_of(book), (std::vector{level("1", "1")}));
  EXPECT_TRUE(asks_of(book).empty());
}

TEST(Book, CrossedOrLockedIsNoticed) {
  Book book;
  book.assign(std::vector{level("1", "1")}, std::vector{level("2", "1")});
  EXPECT_FALSE(book.crossed());
  book.apply(std::vector{level("2", "1")}, {});
  EXPECT_TRUE(book.crossed());
}

TEST(Book, PricesOfAnyScaleAndSizeStayExact) {
  Book book;
  ReferenceBook reference;
  const std::vector<BookLevel> bids{level("1", "1"), level("0.000000000000000000000001", "2"),
                                    level("99999999999999999999999999", "3"), level("0.5", "4")};
  const std::vector<BookLevel> asks{level("123456789012345678.5", "1"), level("7", "0.00000001")};
  book.apply(bids, asks);
  reference.apply(bids, asks);
  EXPECT_EQ(bids_of(book), reference.top_bids(0));
  EXPECT_EQ(asks_of(book), reference.top_asks(0));
  EXPECT_EQ(book.crossed(), reference.crossed());
}

TEST(Book, ASideIsBounded) {
  Book book;
  std::vector<BookLevel> bids;
  for (std::size_t i = 1; i <= Book::kMaxLevels + 10; ++i) bids.push_back(level(std::to_string(i), "1"));
  book.apply(bids, {});
  EXPECT_EQ(book.bid_count(), Book::kMaxLevels);
  EXPECT_EQ(bids_of(book, 1).front().price.value.text(), std::to_string(Book::kMaxLevels + 10));
}

// Random walks of changes, compared with the reference after each: prices of several scales, some too large for the
// integer keys.
TEST(Book, EqualsTheReferenceOverRandomSequences) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    const bool extreme = seed % 6 == 0;
    const auto price = [&] {
      const int scale = pick(5);
      if (extreme && pick(40) == 0) return Decimal::from_parts(static_cast<int128>(1) << (60 + pick(30)), pick(30));
      return Decimal::from_parts(10'000 + pick(400), scale);
    };
    const auto levels = [&](int most) {
      std::vector<BookLevel> out;
      for (int i = pick(most + 1); i > 0; --i)
        out.push_back({Price{price()}, Quantity{Decimal::from_parts(pick(4), pick(3))}});
      return out;
    };
    Book book;
    ReferenceBook reference;
    for (int step = 0; step < 200; ++step) {
      const auto bids = levels(8);
      const auto asks = levels(8);
      if (pick(50) == 0) {
        book.assign(bids, asks);
        reference.assign(bids, asks);
      } else {
        book.apply(bids, asks);
        reference.apply(bids, asks);
      }
      ASSERT_EQ(bids_of(book), reference.top_bids(0)) << "seed " << seed << " step " << step;
      ASSERT_EQ(asks_of(book), reference.top_asks(0)) << "seed " << seed << " step " << step;
      ASSERT_EQ(bids_of(book, 3), reference.top_bids(3));
      ASSERT_EQ(book.crossed(), reference.crossed());
    }
  }
}

}  // namespace
}  // namespace mp::book
