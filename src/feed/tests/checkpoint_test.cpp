#include "feed/checkpoint.hpp"

#include <gtest/gtest.h>

#include <random>

namespace mp {
namespace {

std::string sample() {
  std::string out;
  {
    StateWriter w(out, "sample", 3);
    w.put(std::uint64_t{300});
    w.put_signed(INT64_MIN);
    w.put(true);
    w.put(std::string_view{"text"});
    w.put(wall_from_nanos(1'626'992'741'081'672'000));
    w.put(*Decimal::parse("-65000.00000000123"));
    w.put(std::vector<BookLevel>{{*Price::parse("1.5"), *Quantity::parse("99999999999999999999999999999999999999")}});
    w.put(std::optional<std::uint64_t>{});
    w.put(std::optional<std::uint64_t>{7});
  }
  return out;
}

Result<void> read(std::string_view saved) {
  StateReader r(saved, "sample", 3);
  EXPECT_TRUE(!r.ok() || r.number() == 300);
  const auto low = r.signed_number();
  EXPECT_TRUE(!r.ok() || low == INT64_MIN);
  r.flag();
  const auto text = r.text();
  EXPECT_TRUE(!r.ok() || text == "text");
  const auto time = r.time();
  EXPECT_TRUE(!r.ok() || time == wall_from_nanos(1'626'992'741'081'672'000));
  const auto decimal = r.decimal();
  EXPECT_TRUE(!r.ok() || decimal == *Decimal::parse("-65000.00000000123"));
  const auto levels = r.levels();
  EXPECT_TRUE(!r.ok() || (levels.size() == 1 && levels[0].quantity.value.text() == std::string(38, '9')));
  const auto none = r.optional<std::uint64_t>([&] { return r.number(); });
  const auto seven = r.optional<std::uint64_t>([&] { return r.number(); });
  EXPECT_TRUE(!r.ok() || (!none && seven == 7u));
  return r.finish();
}

TEST(Checkpoint, WhatWasPutComesBack) { EXPECT_TRUE(read(sample())); }

TEST(Checkpoint, EveryPrefixIsRefused) {
  const auto whole = sample();
  for (std::size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(read(whole.substr(0, n))) << n;
  EXPECT_FALSE(read(whole + "x"));
}

TEST(Checkpoint, AnotherKindOrVersionIsNamed) {
  const auto whole = sample();
  StateReader kind(whole, "other", 3);
  ASSERT_FALSE(kind.ok());
  EXPECT_EQ(kind.finish().error().seen, "state of 'sample', expected 'other'");
  StateReader version(whole, "sample", 4);
  EXPECT_EQ(version.finish().error().seen, "layout version 3, this program reads 4");
}

TEST(Checkpoint, DamagedBytesNeverCrashOrGrow) {
  const auto whole = sample();
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    auto damaged = whole;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    StateReader r(damaged, "sample", 3);
    r.number();
    r.signed_number();
    r.flag();
    EXPECT_LE(r.text().size(), whole.size());
    r.time();
    r.decimal();
    EXPECT_LE(r.levels().size(), whole.size());
  }
}

}  // namespace
}  // namespace mp
