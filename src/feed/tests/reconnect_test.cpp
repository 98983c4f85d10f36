#include "feed/reconnect.hpp"

#include <gtest/gtest.h>

namespace mp {
namespace {

using namespace std::chrono_literals;

TEST(ReconnectPolicy, TableOfReasonsAndAttempts) {
  struct Row {
    CloseReason reason;
    int attempt;
    bool reconnect;
    std::chrono::milliseconds wait;  // without jitter
  };
  const Row rows[] = {
      {CloseReason::network, 1, true, 500ms},    {CloseReason::network, 3, true, 2s},
      {CloseReason::network, 100, true, 30s},    {CloseReason::protocol, 1, true, 500ms},
      {CloseReason::stale, 1, true, 0ms},        {CloseReason::stale, 2, true, 500ms},
      {CloseReason::venue_notice, 1, true, 0ms}, {CloseReason::venue_notice, 50, true, 30s},
      {CloseReason::refused, 1, true, 5s},       {CloseReason::refused, 20, true, 120s},
      {CloseReason::peer_slow, 1, true, 5s},     {CloseReason::replaced, 1, false, 0ms},
      {CloseReason::stopped, 1, false, 0ms},     {CloseReason::not_recorded, 1, true, 500ms},
  };
  for (const auto& row : rows) {
    const auto verdict = reconnect_policy(row.reason, row.attempt, 0);
    EXPECT_EQ(verdict.reconnect, row.reconnect) << to_string(row.reason) << " " << row.attempt;
    EXPECT_EQ(verdict.wait, row.wait) << to_string(row.reason) << " " << row.attempt;
  }
}

TEST(ReconnectPolicy, JitterTakesAtMostHalfAway) {
  EXPECT_EQ(reconnect_policy(CloseReason::network, 1, 1.0).wait, 250ms);
}

}  // namespace
}  // namespace mp
