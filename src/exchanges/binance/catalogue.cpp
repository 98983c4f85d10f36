#include "exchanges/binance/catalogue.hpp"

#include <algorithm>

namespace mp::binance {
namespace {

std::string unique_key(MarketType type, std::string_view canonical) {
  return std::string(to_string(type)) + ' ' + std::string(canonical);
}

bool same_definition(const Instrument& a, const Instrument& b) {
  return *a.meta.instrument == *b.meta.instrument && a.base_asset == b.base_asset && a.quote_asset == b.quote_asset &&
         a.settlement_asset == b.settlement_asset && a.contract_size == b.contract_size &&
         a.quantity_unit == b.quantity_unit && a.tick_size == b.tick_size && a.lot_size == b.lot_size &&
         a.status == b.status && a.expiry == b.expiry;
}

}  // namespace

std::optional<MarketType> market_type_of(Market market, const SymbolInfo& info) {
  if (market == Market::spot) return MarketType::spot;
  constexpr std::int64_t kCoinMargined = 2;
  if (info.st == kCoinMargined) return std::nullopt;
  // PERPETUAL, TRADIFI_PERPETUAL; CURRENT_QUARTER, NEXT_QUARTER, …_MONTH, each also with " DELIVERING".
  const std::string_view type = info.contract_type;
  if (type.find("PERPETUAL") != std::string_view::npos) return MarketType::perpetual;
  const bool delivered = type.find("QUARTER") != std::string_view::npos || type.find("MONTH") != std::string_view::npos;
  if (delivered && info.delivery_date) return MarketType::futures;
  return std::nullopt;
}

std::string canonical_symbol(std::string_view base, std::string_view quote, const std::optional<WallTime>& expiry) {
  std::string out;
  out.append(base).append("-").append(quote);
  if (expiry) {
    out.push_back('-');
    for (const char c : utc_day(*expiry))
      if (c != '-') out.push_back(c);
  }
  for (auto& c : out)
    if (c == '.' || c == '*' || c == '>' || static_cast<unsigned char>(c) <= ' ') c = '_';
  return out;
}

Catalogue::Catalogue(Market market, std::vector<std::string> chosen) : market_(market), chosen_(std::move(chosen)) {}

bool Catalogue::is_chosen(std::string_view venue_symbol, std::string_view canonical) const {
  return chosen_.empty() || std::ranges::any_of(chosen_, [&](const std::string& name) {
           return name == venue_symbol || name == canonical;
         });
}

std::optional<Catalogue::Index> Catalogue::find(std::string_view venue_symbol) const {
  const auto found = by_venue_symbol_.find(venue_symbol);
  return found == by_venue_symbol_.end() ? std::nullopt : std::optional{found->second};
}

std::optional<Catalogue::Index> Catalogue::find_chosen(std::string_view name) const {
  if (const auto index = find(name)) return index;
  const auto found = std::ranges::find_if(
      definitions_, [&](const Instrument& each) { return each.meta.instrument->symbol == name; });
  if (found == definitions_.end()) return std::nullopt;
  return static_cast<Index>(found - definitions_.begin());
}

// The mapping stays one to one: should two symbols of one market have the same assets, the later one keeps the
// venue's spelling as a mark.
std::string Catalogue::unused_symbol(MarketType type, std::string canonical, std::string_view venue_symbol) const {
  const auto found = by_canonical_.find(unique_key(type, canonical));
  if (found == by_canonical_.end() || ref(found->second)->instrument == venue_symbol) return canonical;
  return canonical + "_" + canonical_symbol(venue_symbol, "", std::nullopt);
}

void Catalogue::insert(Instrument definition) {
  const auto index = static_cast<Index>(definitions_.size());
  const auto& id = *definition.meta.instrument;
  by_venue_symbol_.emplace(id.instrument, index);
  by_canonical_.emplace(unique_key(id.market_type, id.symbol), index);
  definitions_.push_back(std::move(definition));
}

std::optional<Catalogue::Index> Catalogue::update(const SymbolInfo& info, WallTime received_at) {
  const auto type = market_type_of(market_, info);
  if (!type) return std::nullopt;
  const auto expiry = *type == MarketType::futures ? info.delivery_date : std::nullopt;
  const auto canonical =
      unused_symbol(*type, canonical_symbol(info.base_asset, info.quote_asset, expiry), info.symbol);
  if (!chosen_.empty()) {
    names_.push_back(info.symbol);
    names_.push_back(canonical);
  }
  if (!is_chosen(info.symbol, canonical)) return std::nullopt;

  Instrument definition;
  definition.meta.timestamp = received_at;
  definition.meta.received_at = received_at;
  definition.base_asset = info.base_asset;
  definition.quote_asset = info.quote_asset;
  definition.settlement_asset = *type == MarketType::spot ? "" : info.margin_asset;
  definition.tick_size = info.tick_size;
  definition.lot_size = info.step_size;
  definition.status = info.status;
  definition.expiry = expiry;
  InstrumentId id{"binance", *type, canonical, info.symbol};

  const auto known = find(info.symbol);
  if (!known) {
    definition.meta.instrument = std::make_shared<const InstrumentId>(std::move(id));
    insert(std::move(definition));
    return static_cast<Index>(definitions_.size() - 1);
  }
  auto& current = definitions_[*known];
  // Who a symbol is does not change while we know it: its events keep one name.
  definition.meta.instrument = current.meta.instrument;
  if (same_definition(current, definition)) return std::nullopt;
  current = std::move(definition);
  return known;
}

void Catalogue::save(StateWriter& out) const {
  out.put(std::uint64_t{definitions_.size()});
  for (const auto& each : definitions_) {
    const auto& id = *each.meta.instrument;
    out.put(id.market_type);
    out.put(std::string_view{id.symbol});
    out.put(std::string_view{id.instrument});
    out.put(each.meta.timestamp);
    out.put(std::string_view{each.base_asset});
    out.put(std::string_view{each.quote_asset});
    out.put(std::string_view{each.settlement_asset});
    out.put(each.tick_size.has_value());
    if (each.tick_size) out.put(each.tick_size->value);
    out.put(each.lot_size.has_value());
    if (each.lot_size) out.put(each.lot_size->value);
    out.put(std::string_view{each.status});
    out.put(each.expiry);
  }
}

void Catalogue::restore(StateReader& in) {
  definitions_.clear();
  by_venue_symbol_.clear();
  by_canonical_.clear();
  for (auto n = in.count(11); n > 0 && in.ok(); --n) {
    Instrument each;
    InstrumentId id;
    id.exchange = "binance";
    id.market_type = in.choice<MarketType>(static_cast<std::uint64_t>(MarketType::options) + 1);
    id.symbol = in.text();
    id.instrument = in.text();
    each.meta.timestamp = in.time();
    each.meta.received_at = each.meta.timestamp;
    each.base_asset = in.text();
    each.quote_asset = in.text();
    each.settlement_asset = in.text();
    each.tick_size = in.optional<Price>([&] { return Price{in.decimal()}; });
    each.lot_size = in.optional<Quantity>([&] { return Quantity{in.decimal()}; });
    each.status = in.text();
    each.expiry = in.optional<WallTime>([&] { return in.time(); });
    each.meta.instrument = std::make_shared<const InstrumentId>(std::move(id));
    if (in.ok()) insert(std::move(each));
  }
}

}  // namespace mp::binance
