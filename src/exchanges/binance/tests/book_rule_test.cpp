#include "exchanges/binance/book_rule.hpp"

#include <gtest/gtest.h>

namespace mp::binance {
namespace {

TEST(BookRule, SpotTable) {
  struct Row {
    std::uint64_t book, first, last;
    Continuation want;
  };
  const Row rows[] = {
      {107, 101, 105, Continuation::old},   {107, 106, 110, Continuation::apply}, {110, 111, 111, Continuation::apply},
      {112, 114, 115, Continuation::gap},   {107, 107, 107, Continuation::old},   {107, 100, 107, Continuation::old},
      {107, 108, 108, Continuation::apply}, {107, 109, 109, Continuation::gap},   {107, 100, 200, Continuation::apply},
  };
  for (const auto& row : rows)
    EXPECT_EQ(continue_spot(row.book, {row.first, row.last}), row.want)
        << row.book << " " << row.first << ".." << row.last;
}

TEST(BookRule, DerivativesTable) {
  struct Row {
    std::uint64_t book;
    bool bridged;
    std::uint64_t first, last, prev;
    Continuation want;
  };
  const Row rows[] = {
      // After a snapshot at 1006.
      {1006, false, 990, 1000, 985, Continuation::old},
      {1006, false, 1004, 1009, 1000, Continuation::apply},
      {1006, false, 1004, 1006, 1000, Continuation::apply},  // ends exactly there: strict "less than" drops
      {1006, false, 1010, 1012, 1006, Continuation::apply},  // continues exactly after it
      {1006, false, 1007, 1012, 1004, Continuation::gap},
      // Between updates only pu counts.
      {1009, true, 1012, 1012, 1009, Continuation::apply},
      {1012, true, 1015, 1016, 1010, Continuation::gap},
      {1012, true, 1010, 1011, 1009, Continuation::old},
      {1012, true, 1012, 1012, 1009, Continuation::old},
      {1012, true, 1010, 1020, 1009, Continuation::gap},  // overlapping is not proof here
  };
  for (const auto& row : rows)
    EXPECT_EQ(continue_derivatives(row.book, row.bridged, {row.first, row.last, row.prev}), row.want)
        << row.book << " " << row.first << ".." << row.last << " pu " << row.prev;
}

}  // namespace
}  // namespace mp::binance
