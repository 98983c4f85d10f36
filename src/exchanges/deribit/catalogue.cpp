#include "exchanges/deribit/catalogue.hpp"

#include <algorithm>
#include <memory>

#include "feed/catalogue.hpp"

namespace mp::deribit {
namespace {

using Kind = InstrumentInfo::Kind;

MarketType market_type(const InstrumentInfo& info) {
  switch (info.kind) {
    case Kind::spot: return MarketType::spot;
    case Kind::future: return info.perpetual ? MarketType::perpetual : MarketType::futures;
    case Kind::option:
    case Kind::combo: break;
  }
  return MarketType::options;
}

// Before 2022 the list did not say it: then every future against USD, and every option, was inverse.
bool is_inverse(const InstrumentInfo& info) {
  return info.inverse.value_or(info.kind == Kind::option ? info.quote == info.base : info.quote == "USD");
}

// The currency of index and strike. `quote_currency` of an inverse option is the coin that its price is in.
std::string quote_asset(const InstrumentInfo& info) {
  if (!info.counter.empty()) return info.counter;
  return info.kind == Kind::option && info.quote == info.base ? "USD" : info.quote;
}

std::string settlement_asset(const InstrumentInfo& info) {
  if (info.kind == Kind::spot) return "";
  if (!info.settlement.empty()) return info.settlement;
  return is_inverse(info) ? info.base : info.quote;
}

// Deribit's own spelling of a strike: "65000", "1d02".
std::string strike_text(const Price& strike) {
  auto text = strike.value.text();
  std::ranges::replace(text, '.', 'd');
  return text;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (auto& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

// "25DEC26", "9MAR24"
bool is_day(std::string_view part) {
  if (part.size() < 6 || part.size() > 7) return false;
  const auto digits = [](std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  };
  const auto letters = [](std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
  };
  const auto day = part.size() - 5;
  return digits(part.substr(0, day)) && letters(part.substr(day, 3)) && digits(part.substr(day + 3));
}

}  // namespace

std::optional<ListedInstrument> listed(const InstrumentInfo& info, WallTime received_at) {
  if (info.kind == Kind::combo) return std::nullopt;
  ListedInstrument out;
  auto& definition = out.definition;
  definition.meta.timestamp = received_at;
  definition.meta.received_at = received_at;
  definition.base_asset = info.base;
  definition.quote_asset = quote_asset(info);
  definition.settlement_asset = settlement_asset(info);
  // Inverse futures count in USD; options count coins, inverse or not.
  const bool in_quote = info.kind == Kind::future && is_inverse(info);
  definition.quantity_unit = in_quote ? QuantityUnit::quote : QuantityUnit::base;
  // Spot has no contracts; what the list gives there is the step of its amounts.
  if (info.kind != Kind::spot) definition.contract_size = info.contract_size;
  definition.tick_size = info.tick_size;
  definition.lot_size = info.least_amount;
  definition.status = info.state;
  definition.expiry = info.expiry;
  definition.strike = info.strike;
  definition.option_right = info.right;

  const auto strike = info.strike ? strike_text(*info.strike) : std::string();
  out.id = {kExchange, market_type(info),
            canonical_symbol({.base = info.base,
                              .quote = definition.quote_asset,
                              .expiry = info.expiry,
                              .strike = strike,
                              .right = info.right}),
            info.name};
  return out;
}

bool is_combo_name(std::string_view venue_symbol) {
  const auto first = venue_symbol.find('-');
  if (first == std::string_view::npos) return false;
  const auto rest = venue_symbol.substr(first + 1);
  const auto second = rest.find('-');
  if (second == std::string_view::npos) return false;
  return !is_day(rest.substr(0, second));
}

InstrumentRef volatility_index(std::string_view index_name) {
  auto symbol = upper(index_name);
  std::ranges::replace(symbol, '_', '-');
  return std::make_shared<const InstrumentId>(InstrumentId{
      kExchange, MarketType::options,
      canonical_symbol({.base = underlying_asset(index_name),
                        .quote = std::string_view(symbol).substr(std::min(symbol.size(), symbol.find('-') + 1))}),
      std::string(index_name)});
}

std::string underlying_asset(std::string_view index_name) { return upper(index_name.substr(0, index_name.find('_'))); }

}  // namespace mp::deribit
