#include "config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mp::collector {
namespace {

using testing::HasSubstr;

Result<Settings> read(const std::string& yaml) {
  auto root = config::parse_yaml(yaml, "collector.yaml");
  if (!root) return root.error();
  config::Config config(std::move(*root), [](const std::string&) { return std::optional<std::string>(); });
  return read_settings(config);
}

TEST(CollectorConfig, TheShippedSampleLoads) {
  auto root = config::load_yaml(MP_SOURCE_DIR "/services/data-collector/config/collector/collector.yaml");
  ASSERT_TRUE(root) << root.error().text();
  config::Config config(std::move(*root), [](const std::string&) { return std::optional<std::string>(); });
  const auto settings = read_settings(config);
  ASSERT_TRUE(settings) << settings.error().text();
  const auto& sources = settings->options.sources;
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_EQ(sources[0].source, (Source{"binance", "spot"}));
  EXPECT_EQ(sources[1].source, (Source{"binance", "derivatives"}));
  EXPECT_EQ(sources[0].book_series.size(), 2u);
  EXPECT_EQ(sources[0].data_types.size(), 3u);
  EXPECT_EQ(settings->options.bus.max_bytes, BusOptions{}.max_bytes) << "the sample shows the defaults";
}

TEST(CollectorConfig, MistakesAreNamedWithTheirLineAndTheNearestWord) {
  const auto settings = read(
      "exchanges:\n"
      "  - name: binnance\n"
      "    symbol: [BTC-USDT]\n"
      "journall:\n"
      "  fsync_interval: 1s\n");
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().code, Errc::usage);
  const auto text = settings.error().text();
  EXPECT_THAT(text, HasSubstr("collector.yaml:2: exchanges[0].name: expected one of binance, saw 'binnance'"));
  EXPECT_THAT(text, HasSubstr("collector.yaml:3: unknown key 'symbol' in 'exchanges[0]'; did you mean 'symbols'?"));
  EXPECT_THAT(text, HasSubstr("collector.yaml:4: unknown key 'journall'; did you mean 'journal'?"));
}

}  // namespace
}  // namespace mp::collector
