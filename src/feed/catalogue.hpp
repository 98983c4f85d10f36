#pragma once
// A venue's symbols and ours, one to one: filled from the venue's own lists of instruments, the same for all venues.
// What a list's entry means (kind, assets, units) the venue's folder decides; what is collected, selection.hpp.

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "feed/checkpoint.hpp"
#include "model/reports.hpp"

namespace mp {

class Catalogue {
 public:
  // Counts up from 0 in the order of becoming known, over restarts too: entries of the owner may be kept by it.
  using Index = std::uint32_t;

  // `exchange`: as in InstrumentId.
  explicit Catalogue(std::string exchange) : exchange_(std::move(exchange)) {}

  // Takes one entry of the venue's list over. `id`: its kind, the venue's spelling, and the canonical symbol that it
  // would have; `exchange` is filled in here. `definition`: the rest; its meta.instrument is set here.
  // The index when it is new or has changed (then its definition is to be published), nothing when it is known as it
  // is.
  // Who an instrument is does not change while it is known: its events keep one InstrumentRef, whatever `id` says.
  std::optional<Index> update(InstrumentId id, Instrument definition);

  std::optional<Index> find(std::string_view venue_symbol) const;
  // All of this name, in the venue's spelling or ours: a canonical one may be a pair's spot and its perpetual.
  std::vector<Index> find_named(std::string_view name) const;

  const Instrument& definition(Index index) const { return definitions_[index]; }
  const InstrumentRef& ref(Index index) const { return definitions_[index].meta.instrument; }
  std::size_t size() const { return definitions_.size(); }

  void save(StateWriter& out) const;
  void restore(StateReader& in);

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Lookup = std::unordered_map<std::string, Index, TextHash, std::equal_to<>>;
  std::string unused_symbol(const InstrumentId& id) const;
  void insert(Instrument definition);

  std::string exchange_;
  std::vector<Instrument> definitions_;
  Lookup by_venue_symbol_;
  Lookup by_canonical_;  // "spot BTC-USDT"
};

// What a canonical symbol is made of; absent parts are left out.
struct SymbolParts {
  std::string_view base;
  std::string_view quote;              // with the family's mark where a venue has two of one pair: "USD_UM"
  std::optional<WallTime> expiry{};    // its UTC day
  std::string_view strike{};           // options, as the venue writes it: "65000", Deribit's "1d02"
  std::optional<OptionRight> right{};  // options
};
// BTC-USDT, BTC-USDT-20261225, BTC-USD-20261225-65000-C; characters that a subject's token cannot hold become '_'.
std::string canonical_symbol(const SymbolParts& parts);

}  // namespace mp
