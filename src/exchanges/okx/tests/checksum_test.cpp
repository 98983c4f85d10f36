#include "exchanges/okx/checksum.hpp"

#include "support.hpp"

namespace mp::okx {
namespace {

// Levels as "price:size price:size", with the texts in a string that outlives the row.
struct Row {
  Row(const std::string& bids, const std::string& asks) : bid_text(bids), ask_text(asks) {
    read(bid_text, row.bids, row.bid_texts);
    read(ask_text, row.asks, row.ask_texts);
  }
  static void read(std::string_view text, std::vector<BookLevel>& levels, std::vector<LevelText>& texts) {
    while (!text.empty()) {
      const auto end = std::min(text.find(' '), text.size());
      const auto one = text.substr(0, end);
      const auto colon = one.find(':');
      texts.push_back({one.substr(0, colon), one.substr(colon + 1)});
      levels.push_back({*Price::parse(texts.back().price), *Quantity::parse(texts.back().size)});
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  std::string bid_text, ask_text;
  BookRow row;
};

TEST(Checksum, AlternatesAndLeavesOutTheShorterSide) {
  ChecksumBook book;
  book.assign(Row("50000.1:12 49999.9:3 49999.5:40", "50000.2:7 50000.4:1.5").row);
  EXPECT_EQ(book.checksum(), -1632564324);
  book.assign(Row("3366.1:7 3366:6", "3366.8:9 3368:8").row);
  EXPECT_EQ(book.checksum(), -1881014294);
}

TEST(Checksum, TrailingZerosCount) {
  ChecksumBook plain, padded;
  plain.assign(Row("1.5:2", "").row);
  padded.assign(Row("1.50:2", "").row);
  EXPECT_NE(plain.checksum(), padded.checksum());
}

TEST(Checksum, ChangesInAnyOrderGiveTheSameBook) {
  ChecksumBook whole, changed;
  whole.assign(Row("10:1 9:2.0 8:3", "11:1 12:2").row);
  changed.assign(Row("9:5 8:3 7:1", "12:2 11:4").row);
  changed.apply(Row("7:0 10:1 9:2.0", "11:1 13:0").row);
  EXPECT_EQ(changed.checksum(), whole.checksum());
}

TEST(Checksum, OnlyTheBest25Count) {
  std::string levels;
  for (int i = 0; i < 25; ++i) levels += (i ? " " : "") + std::to_string(100 - i) + ":1";
  ChecksumBook best, more;
  best.assign(Row(levels, "").row);
  more.assign(Row(levels + " 75:1 74:9", "").row);
  EXPECT_EQ(best.checksum(), more.checksum());
  more.apply(Row("100:0", "").row);
  EXPECT_NE(best.checksum(), more.checksum()) << "the 26th comes up";
}

TEST(Checksum, TheFixturesOf2022) {
  Decoder decoder;
  ChecksumBook book;
  const Padded snapshot(fixture("ws_books_2022_snapshot.json"));
  const auto first = decoder.frame(snapshot.view());
  ASSERT_TRUE(first);
  book.assign((*first)->book);
  EXPECT_EQ(book.checksum(), (*first)->book.checksum);
  const Padded update(fixture("ws_books_2022_update.json"));
  const auto second = decoder.frame(update.view());
  ASSERT_TRUE(second);
  book.apply((*second)->book);
  EXPECT_EQ(book.checksum(), (*second)->book.checksum);
}

TEST(Checksum, SurvivesSavingAndRestoring) {
  ChecksumBook book;
  book.assign(Row("10:1 9:2.0", "11:1").row);
  std::string saved;
  {
    StateWriter out(saved, "test", 1);
    book.save(out);
  }
  ChecksumBook again;
  StateReader in(saved, "test", 1);
  again.restore(in);
  ASSERT_TRUE(in.finish());
  EXPECT_EQ(again.checksum(), book.checksum());
}

}  // namespace
}  // namespace mp::okx
