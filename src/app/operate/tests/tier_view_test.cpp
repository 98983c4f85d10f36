#include "app/operate/tier_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data-storage-service/src/tiers.hpp"

namespace mp::operate {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

sinks::clickhouse::TierStatus status() {
  sinks::clickhouse::TierStatus s;
  s.looked = true;
  s.tables["trades"] = {std::chrono::sys_days{std::chrono::year{2026} / 11 / 25}, 2};
  s.tables["long_names_of_tables"] = {std::nullopt, 0};
  s.lag = 93'784s;
  s.rows_copied = 1000;
  s.days_verified = 1;
  s.days_dropped = 3;
  return s;
}

TEST(TierView, IsATableThatPeopleRead) {
  const auto view = tier_view(storage::tier_json(status()), {});
  ASSERT_TRUE(view);
  EXPECT_EQ(view->text,
            "waiting    2 days, the oldest for 1 d 2 h\n"
            "done       1000 rows copied, 1 day verified, 3 dropped from the hot tables\n"
            "\n"
            "table                 last verified  days waiting\n"
            "long_names_of_tables  -                         0\n"
            "trades                2026-11-25                2\n");
  EXPECT_TRUE(view->is_well);
}

TEST(TierView, SaysWhatIsWrong) {
  auto s = status();
  s.expiring = {"trades 2026-11-26", "trades 2026-11-27"};
  s.conflicts = {"orderbooks 2026-11-24"};
  s.trouble = "the cold server is away";
  const auto view = tier_view(storage::tier_json(s), {.has_colours = true});
  ASSERT_TRUE(view);
  EXPECT_FALSE(view->is_well);
  for (const char* text :
       {"the cold server is away", "trades 2026-11-26", "trades 2026-11-27", "orderbooks 2026-11-24"})
    EXPECT_THAT(view->text, HasSubstr(text));
  EXPECT_THAT(view->text, HasSubstr("\x1b["));
  EXPECT_THAT(tier_view(storage::tier_json(s), {})->text, Not(HasSubstr("\x1b")));
}

TEST(TierView, ToldBeforeTheFirstLookThatNothingIsKnown) {
  sinks::clickhouse::TierStatus s;
  EXPECT_THAT(tier_view(storage::tier_json(s), {})->text, HasSubstr("not every day has been looked at yet"));
  s.looked = true;
  EXPECT_THAT(tier_view(storage::tier_json(s), {})->text, HasSubstr("nothing: every day"));
}

TEST(TierView, RefusesWhatIsNone) {
  EXPECT_FALSE(tier_view("{}", {}));
  EXPECT_FALSE(tier_view("", {}));
}

}  // namespace
}  // namespace mp::operate
