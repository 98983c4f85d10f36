#include "app/operate/metrics_page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mp::operate {
namespace {

const char* kPage = R"(# HELP x_total what
# TYPE x_total counter
x_total{exchange="okx",what="a \"b\\c"} 3
x_total{exchange="binance",what=""} 4
up 1
age NaN
broken{a="b
h_bucket{t="a",le="1"} 2
h_bucket{t="a",le="2"} 6
h_bucket{t="a",le="+Inf"} 8
h_sum{t="a"} 12
h_count{t="a"} 8
)";

TEST(MetricsPage, ReadsNamesLabelsAndValues) {
  const auto page = MetricsPage::parse(kPage);
  EXPECT_EQ(page.sum("x_total"), 7);
  EXPECT_EQ(page.sum("x_total", {{"exchange", "okx"}}), 3);
  EXPECT_EQ(page.all("x_total").front().labels.at("what"), "a \"b\\c");
  EXPECT_EQ(page.sum("up"), 1);
  EXPECT_EQ(page.sum("x_total", {{"exchange", "deribit"}}), std::nullopt);
  EXPECT_EQ(page.sum("age"), std::nullopt) << "not known is not a number";
}

TEST(MetricsPage, GivesQuantilesOfWhatCameBetween) {
  const auto first = distribution_of(MetricsPage::parse(kPage), "h");
  EXPECT_EQ(first.mean(), 1.5);
  EXPECT_EQ(first.quantile(0.5), 1.5);
  EXPECT_EQ(first.quantile(0.99), 2) << "beyond the last bound is that bound";
  auto second = first;
  second.count += 4;
  second.sum += 2;
  for (auto& [bound, count] : second.buckets) count += 4;
  EXPECT_EQ(since(first, second).mean(), 0.5);
  EXPECT_EQ(since(first, second).quantile(0.5), 0.5);
  EXPECT_EQ(since(first, first).mean(), 1.5) << "nothing came: all since the start";
  EXPECT_EQ(since(second, first).count, 8) << "begun anew";
  EXPECT_EQ(Distribution{}.quantile(0.5), std::nullopt);
}

}  // namespace
}  // namespace mp::operate
