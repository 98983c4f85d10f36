#include "feed/catalogue.hpp"

#include <utility>

namespace mp {
namespace {

std::string unique_key(MarketType type, std::string_view canonical) {
  return std::string(to_string(type)) + ' ' + std::string(canonical);
}

// A subject's token: '.', '*', '>' and white space mean something else to the bus.
std::string as_token(std::string text) {
  for (auto& c : text)
    if (c == '.' || c == '*' || c == '>' || static_cast<unsigned char>(c) <= ' ') c = '_';
  return text;
}

// All but the time when it was told.
bool same_definition(const Instrument& a, const Instrument& b) {
  return *a.meta.instrument == *b.meta.instrument && a.base_asset == b.base_asset && a.quote_asset == b.quote_asset &&
         a.settlement_asset == b.settlement_asset && a.contract_size == b.contract_size &&
         a.quantity_unit == b.quantity_unit && a.tick_size == b.tick_size && a.lot_size == b.lot_size &&
         a.status == b.status && a.expiry == b.expiry && a.strike == b.strike && a.option_right == b.option_right;
}

template <class Exact>
void put_exact(StateWriter& out, const std::optional<Exact>& value) {
  out.put(value.has_value());
  if (value) out.put(value->value);
}

template <class Exact>
std::optional<Exact> get_exact(StateReader& in) {
  return in.optional<Exact>([&] { return Exact{in.decimal()}; });
}

}  // namespace

std::string canonical_symbol(const SymbolParts& parts) {
  std::string out;
  out.append(parts.base).append("-").append(parts.quote);
  if (parts.expiry) {
    out.push_back('-');
    for (const char c : utc_day(*parts.expiry))
      if (c != '-') out.push_back(c);
  }
  if (!parts.strike.empty()) out.append("-").append(parts.strike);
  if (parts.right) out.append("-").append(to_string(*parts.right));
  return as_token(std::move(out));
}

std::optional<Catalogue::Index> Catalogue::find(std::string_view venue_symbol) const {
  const auto found = by_venue_symbol_.find(venue_symbol);
  return found == by_venue_symbol_.end() ? std::nullopt : std::optional{found->second};
}

std::vector<Catalogue::Index> Catalogue::find_named(std::string_view name) const {
  std::vector<Index> out;
  for (Index index = 0; index < definitions_.size(); ++index)
    if (ref(index)->instrument == name || ref(index)->symbol == name) out.push_back(index);
  return out;
}

// The mapping stays one to one: should two of a venue's symbols have the same canonical one, the later one keeps the
// venue's spelling as a mark.
std::string Catalogue::unused_symbol(const InstrumentId& id) const {
  const auto is_free = [&](const std::string& symbol) {
    return by_canonical_.find(unique_key(id.market_type, symbol)) == by_canonical_.end();
  };
  if (is_free(id.symbol)) return id.symbol;
  const auto marked = id.symbol + "_" + as_token(id.instrument);
  auto symbol = marked;
  for (int n = 2; !is_free(symbol); ++n) symbol = marked + "_" + std::to_string(n);
  return symbol;
}

void Catalogue::insert(Instrument definition) {
  const auto index = static_cast<Index>(definitions_.size());
  const auto& id = *definition.meta.instrument;
  by_venue_symbol_.emplace(id.instrument, index);
  by_canonical_.emplace(unique_key(id.market_type, id.symbol), index);
  definitions_.push_back(std::move(definition));
}

std::optional<Catalogue::Index> Catalogue::update(InstrumentId id, Instrument definition) {
  const auto known = find(id.instrument);
  if (!known) {
    id.exchange = exchange_;
    id.symbol = unused_symbol(id);
    definition.meta.instrument = std::make_shared<const InstrumentId>(std::move(id));
    insert(std::move(definition));
    return static_cast<Index>(definitions_.size() - 1);
  }
  auto& current = definitions_[*known];
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
    out.put(each.meta.received_at);
    out.put(std::string_view{each.base_asset});
    out.put(std::string_view{each.quote_asset});
    out.put(std::string_view{each.settlement_asset});
    out.put(each.contract_size);
    out.put(each.quantity_unit);
    put_exact(out, each.tick_size);
    put_exact(out, each.lot_size);
    out.put(std::string_view{each.status});
    out.put(each.expiry);
    put_exact(out, each.strike);
    out.put(each.option_right);
  }
}

void Catalogue::restore(StateReader& in) {
  constexpr auto kMarketTypes = static_cast<std::uint64_t>(MarketType::options) + 1;
  constexpr std::size_t kLeastBytes = 19;
  definitions_.clear();
  by_venue_symbol_.clear();
  by_canonical_.clear();
  for (auto n = in.count(kLeastBytes); n > 0 && in.ok(); --n) {
    Instrument each;
    InstrumentId id;
    id.exchange = exchange_;
    id.market_type = in.choice<MarketType>(kMarketTypes);
    id.symbol = in.text();
    id.instrument = in.text();
    each.meta.timestamp = in.time();
    each.meta.received_at = in.time();
    each.base_asset = in.text();
    each.quote_asset = in.text();
    each.settlement_asset = in.text();
    each.contract_size = in.decimal();
    each.quantity_unit = in.choice<QuantityUnit>(2);
    each.tick_size = get_exact<Price>(in);
    each.lot_size = get_exact<Quantity>(in);
    each.status = in.text();
    each.expiry = in.optional<WallTime>([&] { return in.time(); });
    each.strike = get_exact<Price>(in);
    each.option_right = in.optional<OptionRight>([&] { return in.choice<OptionRight>(2); });
    each.meta.instrument = std::make_shared<const InstrumentId>(std::move(id));
    if (in.ok()) insert(std::move(each));
  }
}

}  // namespace mp
