// The fuzzing program's function on inputs made here, so that every test run exercises it.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "tests/fuzz/journal_segment.cpp"  // NOLINT: the function itself, not a copy of it

namespace mp::journal {
namespace {

TEST(SegmentFuzz, SurvivesRandomAndMutatedInputs) {
  std::mt19937 random(1);
  std::vector<std::uint8_t> input;
  const auto byte = [&] { return static_cast<std::uint8_t>(random()); };
  for (int round = 0; round < 6000; ++round) {
    // A new input now and then, mutations of the one before in between. Most bytes small, as tags and lengths are.
    if (round % 20 == 0) {
      input.clear();
      for (std::size_t size = 1 + random() % 400; size > 0; --size)
        input.push_back(random() % 3 == 0 ? byte() : static_cast<std::uint8_t>(random() % 16));
    }
    for (std::size_t changes = random() % 4; changes > 0; --changes) input[random() % input.size()] = byte();
    input[0] = static_cast<std::uint8_t>(1 + round % 2);
    EXPECT_EQ(LLVMFuzzerTestOneInput(input.data(), input.size()), 0);
  }
}

}  // namespace
}  // namespace mp::journal
