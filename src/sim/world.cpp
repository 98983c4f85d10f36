#include "sim/world.hpp"

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "sim/binance/listing.hpp"
#include "sim/deribit/exchange.hpp"
#include "sim/deribit/listing.hpp"
#include "sim/okx/exchange.hpp"
#include "sim/okx/listing.hpp"

namespace mp::sim {
namespace {

constexpr std::size_t kUsual = 8;

bool is_spot(const Symbol& s) { return s.kind == Kind::spot; }

struct Known {
  const char* exchange;
  const char* market;  // as chosen by the user
  const char* alias;   // of the market
  std::vector<Symbol> (*all)(WallTime now);
  bool (*is_of)(const Symbol& s);
};
constexpr Known kKnown[] = {
    {"binance", "spot", "spot", binance::all_symbols, is_spot},
    {"binance", "derivatives", "usdm", binance::all_symbols, [](const Symbol& s) { return !is_spot(s); }},
    {"okx", "spot", "spot", okx::all_symbols, is_spot},
    {"okx", "derivatives", "swap", okx::all_symbols, [](const Symbol& s) { return !is_spot(s); }},
    {"deribit", "", "", deribit::all_symbols, [](const Symbol&) { return true; }},
};

std::string name_of(const Known& known) {
  const std::string market = known.market;
  return market.empty() ? known.exchange : std::string(known.exchange) + ":" + market;
}

std::vector<std::string> split(std::string_view text, char by) {
  std::vector<std::string> parts;
  for (;;) {
    const auto at = text.find(by);
    parts.emplace_back(text.substr(0, at));
    if (at == text.npos) return parts;
    text.remove_prefix(at + 1);
  }
}

Error unknown(const std::string& what, const std::string& seen, std::string_view name,
              const std::vector<std::string>& known) {
  const auto near = nearest(name, known);
  return {Errc::usage, what, seen + (near.empty() ? "" : "; did you mean " + near + "?")};
}

Result<std::vector<const Known*>> choose_known(const std::vector<std::string>& venues) {
  std::vector<const Known*> chosen;
  for (const auto& known : kKnown) {
    const bool wanted = venues.empty() || std::any_of(venues.begin(), venues.end(), [&](const std::string& v) {
                          return v == known.exchange || v == name_of(known);
                        });
    if (wanted) chosen.push_back(&known);
  }
  for (const auto& venue : venues) {
    const bool found = std::any_of(std::begin(kKnown), std::end(kKnown), [&](const Known& known) {
      return venue == known.exchange || venue == name_of(known);
    });
    if (found) continue;
    auto names = source_names();
    for (const auto& known : kKnown) names.emplace_back(known.exchange);
    return unknown("exchange: no simulated one of this name", venue, venue, names);
  }
  return chosen;
}

Result<std::vector<Source>> choose_count(std::vector<Source> all, std::size_t count) {
  std::size_t most = 0;
  for (auto& source : all) {
    most = std::max(most, source.symbols.size());
    if (source.symbols.size() > count) source.symbols.resize(count);
  }
  if (count >= 1 && count <= most) return all;
  return Error{Errc::usage, "symbols: their number must be 1 to " + std::to_string(most), std::to_string(count)};
}

// "okx:BTC-USDT" fits okx's sources, "spot:BTCUSDT" every spot one.
bool fits(const Source& source, const std::vector<std::string>& marks) {
  return std::all_of(marks.begin(), marks.end() - 1, [&](const std::string& mark) {
    const auto& known = *std::find_if(std::begin(kKnown), std::end(kKnown), [&](const Known& k) {
      return source.exchange == k.exchange && source.market == k.market;
    });
    return mark == source.exchange || mark == source.market || mark == known.alias;
  });
}

Result<std::vector<Source>> choose_names(const std::vector<Source>& all, const std::vector<std::string>& names) {
  std::vector<Source> chosen;
  std::vector<std::string> known;
  for (const auto& source : all) chosen.push_back({source.exchange, source.market, {}});
  for (const auto& wanted : names) {
    const auto marks = split(wanted, ':');
    const std::string& name = marks.back();
    bool found = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!fits(all[i], marks)) continue;
      for (const auto& symbol : all[i].symbols) {
        known.push_back(symbol.instrument);
        if (symbol.instrument != name && symbol.canonical() != name) continue;
        found = true;
        auto& list = chosen[i].symbols;
        const bool twice =
            std::any_of(list.begin(), list.end(), [&](const Symbol& s) { return s.instrument == symbol.instrument; });
        if (!twice) list.push_back(symbol);
      }
    }
    if (!found) return unknown("symbols: no simulated instrument of this name", wanted, name, known);
  }
  std::erase_if(chosen, [](const Source& source) { return source.symbols.empty(); });
  return chosen;
}

// One market of each venue makes both its sections.
std::vector<Symbol> symbols_of(const std::vector<Source>& sources, std::string_view exchange) {
  std::vector<Symbol> out;
  for (const auto& source : sources)
    if (source.exchange == exchange) out.insert(out.end(), source.symbols.begin(), source.symbols.end());
  return out;
}

}  // namespace

std::vector<std::string> source_names() {
  std::vector<std::string> names;
  for (const auto& known : kKnown) names.push_back(name_of(known));
  return names;
}

Result<std::vector<Source>> choose_sources(WallTime now, const std::vector<std::string>& venues,
                                           const std::string& symbols) {
  const auto known = choose_known(venues);
  if (!known) return known.error();
  std::vector<Source> all;
  for (const Known* k : *known) {
    Source source{k->exchange, k->market, {}};
    for (auto& symbol : k->all(now))
      if (k->is_of(symbol)) source.symbols.push_back(std::move(symbol));
    all.push_back(std::move(source));
  }
  if (symbols.empty()) return choose_count(std::move(all), kUsual);
  std::size_t count = 0;
  const auto [end, error] = std::from_chars(symbols.data(), symbols.data() + symbols.size(), count);
  if (error == std::errc{} && end == symbols.data() + symbols.size()) return choose_count(std::move(all), count);
  return choose_names(all, split(symbols, ','));
}

std::unique_ptr<Venues> make_world(const std::vector<Source>& sources, const WorldOptions& options, Delivery& delivery,
                                   LineSink* ledger) {
  auto world = std::make_unique<Venues>(options.faults, options.market.start, delivery);
  std::size_t all = 0;
  for (const auto& source : sources) all += source.symbols.size();
  // Each venue's market has chances of its own.
  const auto market_for = [&](std::size_t count, std::uint64_t number) {
    MarketOptions market = options.market;
    market.seed = options.market.seed + number * 0x9E3779B97F4A7C15ULL;
    const auto share = static_cast<std::size_t>(options.market.rate) * count / all;
    market.rate = std::max(1, static_cast<int>(share));
    return market;
  };
  if (auto symbols = symbols_of(sources, "binance"); !symbols.empty()) {
    binance::ExchangeOptions o;
    o.market = market_for(symbols.size(), 0);
    o.limits = options.binance_limits;
    o.history = options.history;
    o.refuse = options.refuse;
    world->add({"/"}, std::make_unique<binance::Exchange>(std::move(symbols), o, world->delivery(), ledger));
  }
  if (auto symbols = symbols_of(sources, "okx"); !symbols.empty()) {
    okx::ExchangeOptions o;
    o.market = market_for(symbols.size(), 1);
    o.history = options.history;
    o.refuse = options.refuse;
    world->add({"/ws/v5/", "/api/v5/"},
               std::make_unique<okx::Exchange>(std::move(symbols), o, world->delivery(), ledger));
  }
  if (auto symbols = symbols_of(sources, "deribit"); !symbols.empty()) {
    deribit::ExchangeOptions o;
    o.market = market_for(symbols.size(), 2);
    o.history = options.history;
    o.refuse = options.refuse;
    world->add({"/ws/api/v2", "/api/v2/"},
               std::make_unique<deribit::Exchange>(std::move(symbols), o, world->delivery(), ledger));
  }
  return world;
}

}  // namespace mp::sim
