#include "config/config.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/files.hpp"

#include <fstream>

using namespace std::chrono_literals;

namespace mp::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}
Node yaml(const std::string& text) {
  auto node = parse_yaml(text, "test.yaml");
  EXPECT_TRUE(node) << node.error().text();
  return node ? *node : Node{};
}
std::string problems_of(Config& config) {
  const auto result = config.finish();
  return result ? "" : result.error().where;
}

// The shape of a service's settings: what a collector's file holds.
struct ExchangeSettings {
  std::string name, market, ws_base;
  std::vector<std::string> symbols, data;
  std::map<std::string, std::string> extra;
};
struct Settings {
  std::string nats_url;
  std::chrono::milliseconds fsync{};
  std::uint64_t retention_bytes = 0;
  std::vector<ExchangeSettings> exchanges;
};
Settings read(Config& config) {
  Settings settings;
  auto root = config.root();
  settings.nats_url =
      root.section("nats").text("url", "nats://127.0.0.1:4222", {.help = "where the bus is", .env = "NATS_URL"});
  auto journal = root.section("journal");
  settings.fsync = journal.duration("fsync_interval", 1s);
  settings.retention_bytes = journal.size("retention_bytes", 20ull << 30);
  for (auto& item : root.list("exchanges")) {
    ExchangeSettings exchange;
    exchange.name = item.one_of("name", "", {"binance", "okx", "deribit"}, {.help = "the venue", .required = true});
    exchange.market = item.one_of("market", "spot", {"spot", "derivatives"});
    exchange.symbols = item.texts("symbols", {});
    exchange.data = item.some_of("data", {"trade"}, {"trade", "orderbook", "funding_rate"});
    exchange.ws_base = item.text("ws_base", "");
    exchange.extra = item.table("extra");
    settings.exchanges.push_back(exchange);
  }
  return settings;
}

constexpr const char* kGood = R"(
nats:
  url: nats://bus:4222
journal: {fsync_interval: 250ms, retention_bytes: 8GB}
exchanges:
  - name: binance
    market: derivatives
    symbols: [BTC-USDT, ETH-USDT]
    data: [trade, orderbook]
    extra: {weight_limit: 1200}
  - name: okx
)";

TEST(Config, ReadsNestedListsIntoAStruct) {
  Config config(yaml(kGood), environment({}));
  const auto settings = read(config);
  EXPECT_EQ(problems_of(config), "");
  EXPECT_EQ(settings.nats_url, "nats://bus:4222");
  EXPECT_EQ(settings.fsync, 250ms);
  EXPECT_EQ(settings.retention_bytes, 8ull << 30);
  ASSERT_EQ(settings.exchanges.size(), 2u);
  EXPECT_EQ(settings.exchanges[0].market, "derivatives");
  EXPECT_THAT(settings.exchanges[0].symbols, ElementsAre("BTC-USDT", "ETH-USDT"));
  EXPECT_THAT(settings.exchanges[0].extra, ElementsAre(Pair("weight_limit", "1200")));
  EXPECT_THAT(settings.exchanges[1].data, ElementsAre("trade"));
}

TEST(Config, ASecretTableIsReadAndNotShown) {
  Config config(yaml("credentials: {client_id: me, client_secret: hush}"), environment({}));
  EXPECT_THAT(config.root().table("credentials", true),
              ElementsAre(Pair("client_id", "me"), Pair("client_secret", "hush")));
  EXPECT_EQ(problems_of(config), "");
  ASSERT_EQ(config.settings().size(), 2u);
  for (const auto& each : config.settings()) EXPECT_EQ(each.value, "***");
}

TEST(Config, AListOfValuesAndMappings) {
  Config config(yaml("symbols: [BTC-USDT, {quote: USDT, top: 5}, '*']"), environment({}));
  auto items = config.root().items("symbols");
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].value, "BTC-USDT");
  EXPECT_FALSE(items[0].mapping);
  ASSERT_TRUE(items[1].mapping);
  EXPECT_EQ(items[1].mapping->text("quote", ""), "USDT");
  EXPECT_EQ(items[1].mapping->integer("top", 0), 5);
  EXPECT_EQ(items[2].value, "*");
  EXPECT_EQ(problems_of(config), "");
  EXPECT_EQ(config.settings().at(0).value, "BTC-USDT, {…}, *");
}

TEST(Config, AListOfValuesAndMappingsRefusesTheRest) {
  Config config(yaml("symbols: [[A]]\nothers: 7\n"), environment({}));
  EXPECT_TRUE(config.root().items("symbols").empty());
  EXPECT_TRUE(config.root().items("others").empty());
  EXPECT_EQ(problems_of(config),
            "test.yaml:1: symbols[0]: expected a plain value or a mapping, saw a list\n"
            "test.yaml:2: others: expected a list, like [a, b], saw '7'");
  Config variable(yaml(""), environment({{"MARKETPRISM_SYMBOLS", "A,B"}}));
  auto items = variable.root().items("symbols");
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[1].value, "B");
}

TEST(Config, AnEmptyFileGivesTheDefaults) {
  Config config(yaml(""), environment({}));
  const auto settings = read(config);
  EXPECT_EQ(problems_of(config), "");
  EXPECT_EQ(settings.nats_url, "nats://127.0.0.1:4222");
  EXPECT_TRUE(settings.exchanges.empty());
}

TEST(Config, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  const auto url_with = [](const std::string& text, Environment env, std::vector<Flag> flags) {
    Config config(yaml(text), std::move(env), std::move(flags));
    const auto url = read(config).nats_url;
    EXPECT_EQ(problems_of(config), "");
    return url;
  };
  const std::string file = "nats: {url: from-file}";
  const auto env = environment({{"NATS_URL", "from-env"}});
  EXPECT_EQ(url_with("", environment({}), {}), "nats://127.0.0.1:4222");
  EXPECT_EQ(url_with(file, environment({}), {}), "from-file");
  EXPECT_EQ(url_with(file, env, {}), "from-env");
  EXPECT_EQ(url_with(file, env, {{"nats.url", "from-flag", "--nats"}}), "from-flag");
}

TEST(Config, EveryKeyHasItsVariable) {
  Config config(yaml(""), environment({{"MARKETPRISM_JOURNAL_FSYNC_INTERVAL", "5s"}}));
  EXPECT_EQ(read(config).fsync, 5s);
}

TEST(Config, ShowsWhereEachValueCameFrom) {
  Config config(yaml("nats: {url: x}"), environment({{"MARKETPRISM_JOURNAL_FSYNC_INTERVAL", "5s"}}));
  read(config);
  std::map<std::string, std::pair<std::string, std::string>> by_path;
  for (const auto& s : config.settings()) by_path[s.path] = {s.value, s.from};
  EXPECT_THAT(by_path["nats.url"], Pair("x", "test.yaml:1"));
  EXPECT_THAT(by_path["journal.fsync_interval"], Pair("5s", "MARKETPRISM_JOURNAL_FSYNC_INTERVAL"));
  EXPECT_THAT(by_path["journal.retention_bytes"], Pair("20GB", "default"));
}

TEST(Config, UnknownKeysAreRefusedWithLineAndNearestKey) {
  Config config(yaml("nats:\n  urll: x\njornal: {}\nexchanges:\n  - name: okx\n    symbol: [A]\n"), environment({}));
  read(config);
  EXPECT_EQ(problems_of(config),
            "test.yaml:2: unknown key 'urll' in 'nats'; did you mean 'url'?\n"
            "test.yaml:3: unknown key 'jornal'; did you mean 'journal'?\n"
            "test.yaml:6: unknown key 'symbol' in 'exchanges[0]'; did you mean 'symbols'?");
}

TEST(Config, BadValuesSayWhatWasExpectedAndSeen) {
  Config config(yaml("nats: 7\njournal:\n  fsync_interval: soon\n  retention_bytes: 8 GB\n"
                     "exchanges:\n  - name: binanse\n    data: [trade, trades]\n  - market: spot\n  - okx\n"),
                environment({}));
  read(config);
  EXPECT_EQ(
      problems_of(config),
      "test.yaml:1: nats: expected a mapping (key: value), saw '7'\n"
      "test.yaml:3: journal.fsync_interval: expected a duration like 250ms, 10s, 5m, 48h or 3d, saw 'soon'\n"
      "test.yaml:4: journal.retention_bytes: expected a size like 64KB, 256MB or 8GB, saw '8 GB'\n"
      "test.yaml:6: exchanges[0].name: expected one of binance, okx, deribit, saw 'binanse'; did you mean 'binance'?\n"
      "test.yaml:7: exchanges[0].data: expected some of trade, orderbook, funding_rate, saw 'trades'; did you mean 'trade'?\n"
      "test.yaml:8: exchanges[1].name is missing (the venue)\n"
      "test.yaml:9: exchanges[2]: expected a mapping (key: value), saw 'okx'");
}

TEST(Config, ABadVariableOrFlagIsNamed) {
  Config config(yaml(""), environment({{"MARKETPRISM_JOURNAL_FSYNC_INTERVAL", "x"}}),
                {{"journal.retention_bytes", "y", "--keep"}, {"no.such", "1", "--odd"}});
  read(config);
  EXPECT_EQ(
      problems_of(config),
      "MARKETPRISM_JOURNAL_FSYNC_INTERVAL: journal.fsync_interval: expected a duration like 250ms, 10s, 5m, 48h or 3d, saw 'x'\n"
      "--keep: journal.retention_bytes: expected a size like 64KB, 256MB or 8GB, saw 'y'\n"
      "--odd: sets 'no.such', which is no key here");
}

TEST(Config, SecretsAreNeverShown) {
  Config config(yaml("clickhouse: {password: hunter2}"), environment({}));
  config.root().section("clickhouse").text("password", "", {.env = "CLICKHOUSE_PASSWORD", .secret = true});
  ASSERT_EQ(config.settings().size(), 1u);
  EXPECT_EQ(config.settings()[0].value, "***");
}

TEST(Config, ASecretMayStandInAFileOfItsOwn) {
  const auto path = testing::TempDir() + "/password";
  std::ofstream(path) << "hunter2\r\nnot this\n";
  const auto read_password = [](Config& config) {
    auto section = config.root().section("nats");
    section.text("user", "", {.env = "NATS_USER"});
    return section.text("password", "", {.env = "NATS_PASSWORD", .secret = true});
  };
  Config config(yaml("nats: {password: from the file}"), environment({{"NATS_PASSWORD_FILE", path}}));
  EXPECT_EQ(read_password(config), "hunter2");
  EXPECT_EQ(problems_of(config), "");
  EXPECT_EQ(config.settings().back().from, "NATS_PASSWORD_FILE");
  EXPECT_EQ(config.settings().back().value, "***");

  Config both(yaml(""), environment({{"NATS_PASSWORD_FILE", path}, {"NATS_PASSWORD", "nearer"}}));
  EXPECT_EQ(read_password(both), "nearer");
  Config open(yaml(""), environment({{"NATS_USER_FILE", path}}));
  EXPECT_EQ(read_password(open), "") << "only secrets are read from files";
  Config missing(yaml(""), environment({{"NATS_PASSWORD_FILE", path + ".none"}}));
  read_password(missing);
  EXPECT_EQ(problems_of(missing),
            "NATS_PASSWORD_FILE: nats.password: " + path + ".none cannot be read: No such file or directory");
  Config folder(yaml(""), environment({{"NATS_PASSWORD_FILE", testing::TempDir()}}));
  read_password(folder);
  EXPECT_THAT(problems_of(folder), HasSubstr("cannot be read: Is a directory"));
}

TEST(Config, AServiceCanRefuseAValueAtItsPlace) {
  Config config(yaml("exchanges:\n  - name: okx\n    symbols: [NO-SUCH]\n"), environment({}));
  auto items = config.root().list("exchanges");
  items[0].text("name", "");
  items[0].texts("symbols", {});
  items[0].refuse("symbols", "okx has no 'NO-SUCH'");
  EXPECT_EQ(problems_of(config), "test.yaml:3: exchanges[0].symbols: okx has no 'NO-SUCH'");
}

TEST(Yaml, ComplaintsNameFileAndLine) {
  EXPECT_THAT(parse_yaml("a: 1\nb: [1\n", "x.yaml").error().text(), HasSubstr("x.yaml:"));
  EXPECT_THAT(parse_yaml("a: 1\nc: 2\na: 3\n", "x.yaml").error().text(),
              HasSubstr("x.yaml:3: key 'a' stands here again; first in line 1"));
  EXPECT_THAT(parse_yaml("- 1\n", "x.yaml").error().text(), HasSubstr("must be a mapping"));
  EXPECT_THAT(load_yaml("/no/such.yaml").error().text(), HasSubstr("/no/such.yaml"));
}

TEST(Yaml, AliasesThatMultiplyAreRefused) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 8; ++i) {
    text += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  }
  EXPECT_THAT(parse_yaml(text, "x.yaml").error().text(), HasSubstr("too many values"));
}

TEST(Values, DurationsNeedAUnit) {
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("48h"), 48h);
  EXPECT_EQ(parse_duration("0"), 0ms);
  EXPECT_EQ(parse_duration("10"), std::nullopt);
  EXPECT_EQ(parse_duration("10.0", true), 10s);
  EXPECT_EQ(parse_duration("-1s"), std::nullopt);
  EXPECT_EQ(parse_duration("1e3s"), std::nullopt);
  EXPECT_EQ(duration_text(90s), "90s");
  EXPECT_EQ(duration_text(120s), "2m");
}

TEST(Values, SizesArePowersOf1024) {
  EXPECT_EQ(parse_size("256MB"), 256u << 20);
  EXPECT_EQ(parse_size("100"), 100u);
  EXPECT_EQ(parse_size("1.5GiB"), 1536ull << 20);
  EXPECT_EQ(parse_size("5 MB"), std::nullopt);
  EXPECT_EQ(parse_size("MB"), std::nullopt);
}

TEST(Values, AddressesHaveHostAndPort) {
  EXPECT_EQ(parse_address("127.0.0.1:80"), (std::pair<std::string, std::uint16_t>("127.0.0.1", 80)));
  EXPECT_EQ(parse_address("[::1]:80"), (std::pair<std::string, std::uint16_t>("::1", 80)));
  EXPECT_EQ(parse_address("::1:80"), std::nullopt);
  EXPECT_EQ(parse_address("localhost"), std::nullopt);
  EXPECT_EQ(parse_address("h:99999"), std::nullopt);
}

TEST(Files, AreJoinedSectionBySection) {
  const auto whole = joined({*parse_yaml("nats: {url: a}\nexchanges: [{name: binance}]\n", "one.yaml"),
                             *parse_yaml("nats:\n  stream: S\nlogging: {}\n", "two.yaml")});
  ASSERT_TRUE(whole) << whole.error().text();
  EXPECT_EQ(whole->find("nats")->value.find("url")->value.scalar, "a");
  EXPECT_EQ(whole->find("nats")->value.find("stream")->place.text(), "two.yaml:2");
  EXPECT_NE(whole->find("exchanges"), nullptr);
}

TEST(Files, DoNotOverwriteEachOther) {
  const auto twice =
      joined({*parse_yaml("nats:\n  url: a\n", "one.yaml"), *parse_yaml("\nnats: {url: b}\n", "two.yaml")});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Errc::usage);
  EXPECT_THAT(twice.error().text(),
              testing::AllOf(HasSubstr("two.yaml:2"), HasSubstr("'nats.url'"), HasSubstr("one.yaml:2")));
}

TEST(Files, OfAFolderAreReadWithWhatIsBelowIt) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("config-files-{}", ::getpid());
  std::filesystem::create_directories(folder / "nats");
  std::filesystem::create_directories(folder / ".hidden");
  EXPECT_THAT(load_files({folder.string()}).error().text(), HasSubstr("holds no *.yaml file"));
  std::ofstream(folder / "a.yaml") << "data_source: live\n";
  std::ofstream(folder / "nats/nats.yml") << "nats: {url: x}\n";
  std::ofstream(folder / ".hidden/b.yaml") << "data_source: other\n";
  std::ofstream(folder / "notes.txt") << "not: yaml: at all\n";
  const auto whole = load_files({folder.string()});
  ASSERT_TRUE(whole) << whole.error().text();
  EXPECT_EQ(whole->entries.size(), 2u);
  EXPECT_EQ(load_files({(folder / "none.yaml").string()}).error().code, Errc::unavailable);
  std::filesystem::remove_all(folder);
}

TEST(Config, SecretsInsideAddressesAreNotShown) {
  EXPECT_EQ(without_secrets("nats://me:pa@ss@host:4222,nats://other:1"), "nats://***@host:4222,nats://other:1");
  EXPECT_EQ(without_secrets("https://ch:8443/?user=a&password=b%20c&x=1"), "https://ch:8443/?user=a&password=***&x=1");
  EXPECT_EQ(without_secrets("http://host/a@b"), "http://host/a@b");
  Config config(yaml("nats: {url: 'nats://me:geheim@h:1'}\nproxy: {url: [x]}\n"),
                environment({{"OTHER", "http://u:geheim@h"}}));
  auto nats = config.root().section("nats");
  EXPECT_EQ(nats.text("url", ""), "nats://me:geheim@h:1") << "the service gets it whole";
  nats.address("listen", "127.0.0.1:1", {.env = "OTHER"});
  config.root().section("proxy").text("url", "", {.secret = true});
  EXPECT_EQ(config.settings().at(0).value, "nats://***@h:1");
  EXPECT_THAT(problems_of(config), testing::Not(HasSubstr("geheim")));
}

}  // namespace
}  // namespace mp::config
