#include "config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/files.hpp"
#include "exchanges/exchange.hpp"

namespace mp::collector {
namespace {

using testing::HasSubstr;

Result<Settings> read(const std::string& yaml) {
  auto root = config::parse_yaml(yaml, "collector.yaml");
  if (!root) return root.error();
  config::Config config(std::move(*root), [](const std::string&) { return std::optional<std::string>(); });
  return read_settings(config);
}

TEST(CollectorConfig, TheShippedFolderLoadsAndHoldsEveryKey) {
  auto root = config::load_files({MP_SOURCE_DIR "/services/data-collector/config"});
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
  // What belongs to one exchange stands there as comments; everything else has its line, with the default as its value.
  const auto without_exchanges = [](config::Config& read) {
    auto all = read.settings();
    std::erase_if(all, [](const auto& setting) { return setting.path.starts_with("exchanges"); });
    return all;
  };
  config::Config none(*config::parse_yaml("", "empty.yaml"),
                      [](const std::string&) { return std::optional<std::string>(); });
  ASSERT_TRUE(read_settings(none));
  const auto shipped = without_exchanges(config), defaults = without_exchanges(none);
  ASSERT_EQ(shipped.size(), defaults.size());
  for (std::size_t i = 0; i < shipped.size(); ++i) {
    EXPECT_EQ(shipped[i].origin, config::Origin::file) << shipped[i].path << " is not in the shipped files";
    EXPECT_EQ(shipped[i].value, defaults[i].value) << shipped[i].path << ": the shipped files show the defaults";
  }
}

TEST(CollectorConfig, TheGuidesVariablesAreRead) {
  const auto with = [](std::map<std::string, std::string> variables) {
    config::Config config(config::Node{}, [variables = std::move(variables)](const std::string& name) {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    });
    return read_settings(config);
  };
  const auto settings = with({{"NATS_URL", "nats://bus:4222"},
                              {"NATS_STREAM", "MINE"},
                              {"NATS_USER", "me"},
                              {"NATS_PASSWORD", "pw"},
                              {"LOG_LEVEL", "WARNING"},
                              {"COLLECTOR_MODE", "launcher"}});
  ASSERT_TRUE(settings) << settings.error().text();
  const auto& bus = settings->options.bus;
  EXPECT_EQ(bus.url, "nats://bus:4222");
  EXPECT_EQ(bus.stream, "MINE");
  EXPECT_EQ(bus.user, "me");
  EXPECT_EQ(bus.password, "pw");
  EXPECT_EQ(settings->logging.level, log::Level::warn);
  for (const char* good : {"nats://bus:4222", "tls://u:p@[::1]:4222/", "bus", "bus:1"})
    EXPECT_TRUE(with({{"NATS_URL", good}})) << good;
  for (const char* bad : {"", "http://bus", "bus:", "bus:0", "bus:65536", "foo:::bar", "nats://", "a,b", "[::1", "a b"})
    EXPECT_FALSE(with({{"NATS_URL", bad}})) << bad;
  const auto refused = with({{"COLLECTOR_MODE", "service"}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("COLLECTOR_MODE: mode: expected one of launcher"));
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
  EXPECT_THAT(text, HasSubstr("collector.yaml:2: exchanges[0].name: expected one of binance"));
  EXPECT_THAT(text, HasSubstr("collector.yaml:3: unknown key 'symbol' in 'exchanges[0]'; did you mean 'symbols'?"));
  EXPECT_THAT(text, HasSubstr("collector.yaml:4: unknown key 'journall'; did you mean 'journal'?"));
}

std::string exchange(const std::string& lines) { return "exchanges:\n  - name: binance\n" + lines; }

TEST(CollectorConfig, SymbolsAreNamesPatternsAndRules) {
  const auto settings =
      read(exchange("    market: derivatives\n"
                    "    symbols:\n"
                    "      - BTC-USDT\n"
                    "      - '*-USDC'\n"
                    "      - {kind: perpetual, quote: USDT, top: 50}\n"
                    "      - {symbol: ETH-*, kind: futures, base: ETH}\n"));
  ASSERT_TRUE(settings) << settings.error().text();
  const std::vector<SelectionRule> expected{{.symbol = "BTC-USDT"},
                                            {.symbol = "*-USDC"},
                                            {.kind = MarketType::perpetual, .quote = "USDT", .top = 50},
                                            {.symbol = "ETH-*", .kind = MarketType::futures, .base = "ETH"}};
  EXPECT_EQ(settings->options.sources.at(0).symbols.rules, expected);
}

TEST(CollectorConfig, RulesThatCannotBeMeantAreRefused) {
  const auto text = read(exchange("    symbols:\n"
                                  "      - {kind: perpetuals}\n"
                                  "      - {top: 0}\n"
                                  "      - {qoute: USDT}\n"
                                  "      - [BTC-USDT]\n"))
                        .error()
                        .text();
  EXPECT_THAT(text, HasSubstr("collector.yaml:4: exchanges[0].symbols[0].kind: expected one of spot, perpetual, "
                              "futures, options, saw 'perpetuals'"));
  EXPECT_THAT(text, HasSubstr("exchanges[0].symbols[1].top: 0 stands for all, so this rule has no condition"));
  EXPECT_THAT(read(exchange("    symbols: [{base: ''}]\n")).error().text(),
              HasSubstr("symbols[0].symbol: a rule without any condition"));
  EXPECT_THAT(text, HasSubstr("collector.yaml:6: unknown key 'qoute' in 'exchanges[0].symbols[2]'; "
                              "did you mean 'quote'?"));
  EXPECT_THAT(text, HasSubstr("collector.yaml:7: exchanges[0].symbols[3]: expected a plain value or a mapping"));
  EXPECT_THAT(read(exchange("    symbols: []\n")).error().text(), HasSubstr("name at least one symbol"));
  EXPECT_THAT(read(exchange("")).error().text(), HasSubstr("exchanges[0].symbols is missing"));
}

TEST(CollectorConfig, DataTypesAreThoseOfTheMarket) {
  const auto types = [](const std::string& market) {
    const auto settings = read(exchange("    market: " + market + "\n    symbols: [BTC-USDT]\n"));
    return settings ? settings->options.sources.at(0).data_types : std::vector<DataType>{};
  };
  const auto& venue = **find_exchange("binance");
  EXPECT_EQ(types("spot"), venue.data_types_of("spot")) << "all of them by default";
  EXPECT_EQ(types("derivatives"), venue.data_types_of("derivatives"));
  EXPECT_THAT(
      read(exchange("    market: spot\n    symbols: [BTC-USDT]\n    data: [trade, volatility_index]\n")).error().text(),
      HasSubstr("collector.yaml:5: exchanges[0].data"));
}

TEST(CollectorConfig, AProxyIsOfAllVenuesOrOfOneAndItsPasswordIsNotRepeated) {
  const auto settings = read(
      "network: {proxy: 'http://me:pw@proxy.lan:3128'}\n"
      "exchanges:\n"
      "  - {name: binance, market: spot, symbols: [BTC-USDT]}\n"
      "  - {name: binance, market: derivatives, symbols: [BTC-USDT], proxy: direct}\n");
  ASSERT_TRUE(settings) << settings.error().text();
  const auto& proxies = settings->options.proxies;
  EXPECT_EQ(proxies.at({"binance", "spot"}), "http://me:pw@proxy.lan:3128");
  EXPECT_EQ(proxies.at({"binance", "derivatives"}), "direct");
  const auto bad = read("network: {proxy: 'ftp://me:geheim@proxy.lan'}\n");
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().text(), HasSubstr("collector.yaml:1: network.proxy"));
  EXPECT_THAT(bad.error().text(), HasSubstr("'ftp' is no kind of proxy that is known"));
  EXPECT_THAT(bad.error().text(), testing::Not(HasSubstr("geheim")));
}

}  // namespace
}  // namespace mp::collector
