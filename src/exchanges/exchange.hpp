#pragma once
// The contract of a venue's folder, and the list of venues.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "feed/session_options.hpp"

namespace mp {

struct Exchange {
  std::string name;                  // the folder's name, as in subjects and tables
  std::vector<std::string> markets;  // the `market` of its Sources; {""} when there is one protocol
  // What each of them can deliver, by the index of `markets`; of what a collector can be asked for (orderbook …
  // volatility_index). A configuration that asks for another one is refused by name.
  std::vector<std::vector<DataType>> data_types;
  // For each market what `marketprism probe` tries: together these symbols have every data type.
  std::vector<std::vector<std::string>> probe_symbols;
  // For each market where it is talked to, without ws_base and rest_base: websocket, REST. "wss://host:port".
  std::vector<std::vector<std::string>> addresses;
  std::function<std::unique_ptr<Session>(const SessionOptions&)> make_session;
  // Whose address is this? The market, or nothing when the url is not this venue's. Used for captures.
  std::function<std::optional<std::string>(std::string_view url)> market_of_url;

  // Empty when there is no such market.
  std::vector<DataType> data_types_of(std::string_view market) const;
};

// All venues, in the order of registry.cpp. Lives as long as the process.
std::span<const Exchange> exchanges();
// Errc::usage with the nearest known name.
Result<const Exchange*> find_exchange(std::string_view name);
// The source of a url of any venue.
std::optional<Source> source_of_url(std::string_view url);

}  // namespace mp
