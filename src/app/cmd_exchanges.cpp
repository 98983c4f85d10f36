// marketprism exchanges: what can be collected.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "app/cli.hpp"
#include "app/commands.hpp"
#include "exchanges/exchange.hpp"
#include "model/market_event.hpp"

namespace mp::app {
namespace {

const std::string kExamples =
    "  marketprism exchanges\n"
    "  marketprism exchanges --json | jq -r '.[] | select(.data_types | index(\"liquidation\")) | "
    ".exchange'\n"
    "      which of them tell liquidations\n";

std::vector<std::string> names_of(const std::vector<DataType>& types) {
  std::vector<std::string> names;
  names.reserve(types.size());
  for (const auto type : types) names.emplace_back(to_string(type));
  return names;
}

// Names are our own words: nothing in them needs escaping.
std::string as_json() {
  std::vector<std::string> sources;
  for (const auto& exchange : exchanges())
    for (const auto& market : exchange.markets)
      sources.push_back(fmt::format(R"({{"exchange":"{}","market":"{}","data_types":["{}"]}})", exchange.name, market,
                                    fmt::join(names_of(exchange.data_types_of(market)), R"(",")")));
  return fmt::format("[{}]\n", fmt::join(sources, ",\n "));
}

std::string as_table() {
  std::string text = fmt::format("{:<10} {:<12} {}\n", "exchange", "market", "data types");
  for (const auto& exchange : exchanges())
    for (const auto& market : exchange.markets)
      text += fmt::format("{:<10} {:<12} {}\n", exchange.name, market.empty() ? "-" : market,
                          fmt::join(names_of(exchange.data_types_of(market)), " "));
  return text;
}

}  // namespace

int run_exchanges(int argc, char** argv) {
  bool json = false;
  auto cli = make_cli("exchanges",
                      "The exchanges and markets that can be collected, and the data types of each. '-' "
                      "stands for a venue "
                      "whose kinds of instruments share one protocol: its configuration names no market.",
                      kExamples);
  cli->add_flag("--json", json, "for programs");
  if (const auto status = parse_cli(*cli, argc, argv)) return *status;
  fmt::print("{}", json ? as_json() : as_table());
  return 0;
}

}  // namespace mp::app
