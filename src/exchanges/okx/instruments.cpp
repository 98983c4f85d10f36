#include "exchanges/okx/instruments.hpp"

#include <algorithm>
#include <span>

#include "base/text.hpp"
#include "feed/catalogue.hpp"

namespace mp::okx {
namespace {

// API v5, "Get instruments", as of 2026-08-22.
constexpr std::string_view kStates[] = {"live", "suspend", "preopen", "rebase", "post_only", "settlement", "test"};
constexpr std::string_view kRules[] = {"", "normal", "pre_market", "rebase_contract", "xperp"};

bool is_one_of(std::string_view word, std::span<const std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

// "BTC-USD_UM-261225" -> "BTC", "USD_UM"; a name without a second part gives "".
struct Pair {
  std::string_view base;
  std::string_view quote;
};
Pair pair_of(std::string_view name) {
  const auto dash = name.find('-');
  if (dash == std::string_view::npos) return {name, {}};
  const auto rest = name.substr(dash + 1);
  return {name.substr(0, dash), rest.substr(0, rest.find('-'))};
}

std::string_view without_family(std::string_view quote) { return quote.substr(0, quote.find('_')); }

Error missing(const InstrumentRow& row, const char* field) {
  return {Errc::missing_field, std::string("instruments.") + field, "absent or empty for " + shortened(row.inst_id)};
}

Error bad(const InstrumentRow& row, const char* field, std::string_view seen) {
  return {Errc::bad_value, std::string("instruments.") + field, shortened(seen) + " of " + shortened(row.inst_id)};
}

// 1.05 -> 1d05: a point would end the subject's token. As Deribit writes it.
std::string strike_token(const Price& strike) {
  auto out = strike.value.text();
  std::ranges::replace(out, '.', 'd');
  return out;
}

void describe(const InstrumentRow& row, Instrument& out, std::vector<UnknownValue>& unknown) {
  out.tick_size = row.tick_size && !row.tick_size->value.is_zero() ? row.tick_size : std::nullopt;
  out.settlement_asset = row.settle_ccy;
  out.expiry = row.expiry;
  out.status = row.state;
  if (is_one_of(row.state, kStates)) return;
  out.status = "unknown";
  unknown.push_back({"instruments.state", row.state});
}

Result<std::optional<ListedInstrument>> spot(const InstrumentRow& row, ListedInstrument listing) {
  if (row.base_ccy.empty()) return missing(row, "baseCcy");
  if (row.quote_ccy.empty()) return missing(row, "quoteCcy");
  auto& definition = listing.definition;
  definition.base_asset = row.base_ccy;
  definition.quote_asset = row.quote_ccy;
  if (row.lot_size && !row.lot_size->is_zero()) definition.lot_size = Quantity{*row.lot_size};
  listing.id.symbol = canonical_symbol({.base = row.base_ccy, .quote = row.quote_ccy});
  return std::optional{std::move(listing)};
}

// In what the contract's value is told: ctType says it; options, which have none, by the currency of ctVal.
Result<QuantityUnit> unit_of(const InstrumentRow& row, const Instrument& definition,
                             std::vector<UnknownValue>& unknown) {
  const bool in_base = row.ct_val_ccy == definition.base_asset;
  const bool in_quote = row.ct_val_ccy == definition.quote_asset;
  if (row.ct_type.empty()) {
    if (in_base) return QuantityUnit::base;
    if (in_quote) return QuantityUnit::quote;
    return bad(row, "ctValCcy", row.ct_val_ccy);
  }
  // What a size means is no description: an unknown word is refused.
  if (row.ct_type != "linear" && row.ct_type != "inverse") return bad(row, "ctType", row.ct_type);
  if (!in_base && !in_quote) unknown.push_back({"instruments.ctValCcy", row.ct_val_ccy});
  return row.ct_type == "inverse" ? QuantityUnit::quote : QuantityUnit::base;
}

// Contract size, unit and lot: size × ctVal × ctMult is the quantity, in the coin or in the quote currency.
Result<void> measure(const InstrumentRow& row, Instrument& out, std::vector<UnknownValue>& unknown) {
  if (!row.ct_val) return missing(row, "ctVal");
  // Messages of all years have ctMult; "" would mean that nothing is multiplied.
  const auto size = Decimal::multiply(*row.ct_val, row.ct_mult.value_or(Decimal::from_parts(1, 0)));
  if (!size) return size.error();
  if (size->is_zero()) return bad(row, "ctVal", "0");
  const auto unit = unit_of(row, out, unknown);
  if (!unit) return unit.error();
  out.contract_size = *size;
  out.quantity_unit = *unit;
  if (!row.lot_size || row.lot_size->is_zero()) return {};
  const auto lot = Decimal::multiply(*row.lot_size, *size);
  if (!lot) return lot.error();
  out.lot_size = Quantity{*lot};
  return {};
}

Result<std::optional<ListedInstrument>> contract(const InstrumentRow& row, ListedInstrument listing,
                                                 std::vector<UnknownValue>& unknown) {
  const auto name = pair_of(row.inst_id);
  if (name.quote.empty()) return bad(row, "instId", row.inst_id);
  const auto assets = pair_of(row.uly.find('-') != std::string_view::npos ? row.uly : row.inst_id);
  auto& definition = listing.definition;
  definition.base_asset = assets.base;
  definition.quote_asset = without_family(assets.quote);
  if (auto done = measure(row, definition, unknown); !done) return done.error();
  SymbolParts parts{.base = name.base, .quote = name.quote};
  std::string strike;
  if (listing.id.market_type != MarketType::perpetual) {
    if (!row.expiry) return missing(row, "expTime");
    parts.expiry = row.expiry;
  }
  if (listing.id.market_type == MarketType::options) {
    if (!row.strike) return missing(row, "stk");
    if (row.opt_type != "C" && row.opt_type != "P") return bad(row, "optType", row.opt_type);
    definition.strike = row.strike;
    definition.option_right = row.opt_type == "C" ? OptionRight::call : OptionRight::put;
    strike = strike_token(*row.strike);
    parts.strike = strike;
    parts.right = definition.option_right;
  }
  listing.id.symbol = canonical_symbol(parts);
  return std::optional{std::move(listing)};
}

// Announced, with terms still to come.
bool is_pending(const InstrumentRow& row) {
  if (row.state != "preopen" && row.state != "test") return false;
  return !row.ct_val || (row.inst_type != "SWAP" && !row.expiry);
}

}  // namespace

Result<std::optional<ListedInstrument>> listing_of(const InstrumentRow& row, WallTime received_at,
                                                   std::vector<UnknownValue>& unknown) {
  ListedInstrument listing;
  listing.id.instrument = row.inst_id;
  listing.definition.meta.timestamp = received_at;
  listing.definition.meta.received_at = received_at;
  if (row.inst_type == "MARGIN" || row.inst_type == "EVENTS") return std::optional<ListedInstrument>{};
  if (row.inst_type != "SPOT" && row.inst_type != "SWAP" && row.inst_type != "FUTURES" && row.inst_type != "OPTION") {
    unknown.push_back({"instruments.instType", row.inst_type});
    return std::optional<ListedInstrument>{};
  }
  if (row.inst_type != "SPOT" && is_pending(row)) return std::optional<ListedInstrument>{};
  describe(row, listing.definition, unknown);
  if (!is_one_of(row.rule_type, kRules)) unknown.push_back({"instruments.ruleType", row.rule_type});
  if (row.inst_type == "SPOT") {
    listing.id.market_type = MarketType::spot;
    return spot(row, std::move(listing));
  }
  listing.id.market_type = row.inst_type == "OPTION"                             ? MarketType::options
                           : row.inst_type == "SWAP" || row.rule_type == "xperp" ? MarketType::perpetual
                                                                                 : MarketType::futures;
  return contract(row, std::move(listing), unknown);
}

MarketType kind_of_name(std::string_view inst_id) {
  const auto dashes = std::ranges::count(inst_id, '-');
  if (dashes >= 4) return MarketType::options;
  if (dashes < 2) return MarketType::spot;
  const bool perpetual = inst_id.ends_with("-SWAP") || inst_id.find("_XPERP-") != std::string_view::npos;
  return perpetual ? MarketType::perpetual : MarketType::futures;
}

std::string_view inst_type_of(const InstrumentId& id) {
  switch (id.market_type) {
    case MarketType::spot: return "SPOT";
    case MarketType::options: return "OPTION";
    case MarketType::futures: return "FUTURES";
    // X-Perps are FUTURES to the venue.
    case MarketType::perpetual: return id.instrument.ends_with("-SWAP") ? "SWAP" : "FUTURES";
  }
  return "SPOT";
}

}  // namespace mp::okx
