#pragma once
// Binance's symbols and ours, one to one: filled from exchangeInfo, the venue's own list.

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "exchanges/binance/decode.hpp"
#include "exchanges/binance/market.hpp"
#include "feed/checkpoint.hpp"
#include "model/reports.hpp"

namespace mp::binance {

class Catalogue {
 public:
  using Index = std::uint32_t;

  // `chosen`: venue spelling or canonical; empty means all.
  Catalogue(Market market, std::vector<std::string> chosen);

  // Takes one entry of exchangeInfo over. The index when it is new or has changed (then its definition is to be
  // published); nothing when it is known as it is, not chosen, or no contract of this market.
  std::optional<Index> update(const SymbolInfo& info, WallTime received_at);

  std::optional<Index> find(std::string_view venue_symbol) const;
  const Instrument& definition(Index index) const { return definitions_[index]; }
  const InstrumentRef& ref(Index index) const { return definitions_[index].meta.instrument; }
  std::size_t size() const { return definitions_.size(); }

  const std::vector<std::string>& chosen() const { return chosen_; }
  // The index of a chosen symbol in either spelling.
  std::optional<Index> find_chosen(std::string_view name) const;
  // Every name that the last exchangeInfo knew, for "did you mean"; grows with the list, not with time.
  const std::vector<std::string>& names() const { return names_; }
  void forget_names() { names_.clear(); }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  bool is_chosen(std::string_view venue_symbol, std::string_view canonical) const;
  std::string unused_symbol(MarketType type, std::string canonical, std::string_view venue_symbol) const;
  void insert(Instrument definition);

  Market market_;
  std::vector<std::string> chosen_;
  std::vector<Instrument> definitions_;
  std::unordered_map<std::string, Index, TextHash, std::equal_to<>> by_venue_symbol_;
  std::unordered_map<std::string, Index, TextHash, std::equal_to<>> by_canonical_;  // "spot BTC-USDT"
  std::vector<std::string> names_;
};

// Which kind of market an entry belongs to; nothing for what we do not carry (COIN-M, contracts not yet open).
std::optional<MarketType> market_type_of(Market market, const SymbolInfo& info);
// BTC-USDT, BTC-USDT-20261225; characters that a subject's token cannot hold become '_'.
std::string canonical_symbol(std::string_view base, std::string_view quote, const std::optional<WallTime>& expiry);

}  // namespace mp::binance
