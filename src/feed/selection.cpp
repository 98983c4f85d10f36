#include "feed/selection.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace mp {
namespace {

constexpr std::size_t kNearNames = 3;

std::vector<std::string> nearest_names(const std::string& word, std::vector<std::string> names) {
  std::vector<std::string> near;
  while (near.size() < kNearNames) {
    auto found = nearest(word, names);
    if (found.empty()) break;
    std::erase(names, found);
    near.push_back(std::move(found));
  }
  return near;
}

template <class T>
bool contains(const std::vector<T>& all, const T& one) {
  return std::ranges::find(all, one) != all.end();
}

}  // namespace

// Greedy with one way back: to the last star.
bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, after_star = std::string_view::npos, taken = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || (pattern[p] != '*' && pattern[p] == text[t]))) {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      after_star = ++p;
      taken = t;
    } else if (after_star != std::string_view::npos) {
      p = after_star;
      t = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

// ---- rules ----------------------------------------------------------------------------------------------------

bool SelectionRule::is_name() const { return !symbol.empty() && symbol.find_first_of("*?") == std::string::npos; }

bool SelectionRule::matches(const InstrumentId& id, std::string_view base_asset, std::string_view quote_asset) const {
  if (kind && *kind != id.market_type) return false;
  if (!base.empty() && base != base_asset) return false;
  if (!quote.empty() && quote != quote_asset) return false;
  return symbol.empty() || glob_matches(symbol, id.instrument) || glob_matches(symbol, id.symbol);
}

std::string SelectionRule::text() const {
  std::string out = symbol;
  const auto add = [&](std::string_view key, std::string_view value) {
    fmt::format_to(std::back_inserter(out), "{}{}={}", out.empty() ? "" : " ", key, value);
  };
  if (kind) add("kind", to_string(*kind));
  if (!base.empty()) add("base", base);
  if (!quote.empty()) add("quote", quote);
  if (top > 0) add("top", std::to_string(top));
  return out;
}

Selection::Selection(const std::vector<std::string>& symbols) {
  for (const auto& symbol : symbols) rules.push_back({.symbol = symbol});
}
Selection::Selection(std::initializer_list<std::string> symbols) : Selection(std::vector<std::string>(symbols)) {}

bool Selection::by_volume() const {
  return std::ranges::any_of(rules, [](const SelectionRule& rule) { return rule.top > 0; });
}

// ---- what chooses nothing -------------------------------------------------------------------------------------

void tell_unresolved(const std::vector<Unresolved>& all, const Source& source, bool at_start, Outbox& out) {
  std::string mistakes;
  for (const auto& each : all) {
    const auto near = fmt::format("{}", fmt::join(each.near, ","));
    const auto detail = fmt::format("symbol={}{}{}", each.rule, near.empty() ? "" : " did_you_mean=", near);
    switch (each.verdict) {
      case Unresolved::Verdict::unknown:
        out.notices.push_back({Notice::Level::error, "unknown symbol: nothing is collected for it", detail});
        fmt::format_to(std::back_inserter(mistakes), "{}no symbol '{}'", mistakes.empty() ? "" : "; ", each.rule);
        if (!each.near.empty())
          fmt::format_to(std::back_inserter(mistakes), ", did you mean {}?", fmt::join(each.near, " or "));
        break;
      case Unresolved::Verdict::delisted:
        out.notices.push_back({Notice::Level::warning, "a chosen symbol is not listed any more", detail});
        break;
      case Unresolved::Verdict::no_match:
        out.notices.push_back({Notice::Level::warning, "a rule for symbols chooses nothing", "rule=" + each.rule});
        break;
    }
  }
  if (at_start && !mistakes.empty()) out.refusal = Error{Errc::usage, "symbols of " + source.text(), mistakes};
}

void describe_unresolved(const std::vector<Unresolved>& all, const Source& source, MarketType kind,
                         std::vector<StreamStatus>& out) {
  for (const auto& each : all) {
    if (each.verdict != Unresolved::Verdict::unknown) continue;
    StreamStatus status;
    status.instrument = std::make_shared<const InstrumentId>(InstrumentId{source.exchange, kind, each.rule, each.rule});
    status.data_type = DataType::instrument;
    status.state = StreamState::refused;
    out.push_back(std::move(status));
  }
}

// ---- choosing -------------------------------------------------------------------------------------------------

bool Chooser::would_choose(const Instrument& definition) const {
  return std::ranges::any_of(selection_.rules, [&](const SelectionRule& rule) {
    return rule.matches(*definition.meta.instrument, definition.base_asset, definition.quote_asset);
  });
}

void Chooser::prune(const Catalogue& catalogue) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < chosen_.size(); ++i) {
    if (!would_choose(catalogue.definition(chosen_[i]))) continue;
    chosen_[kept] = chosen_[i];
    chosen_of_[kept++] = chosen_of_[i];
  }
  chosen_.resize(kept);
  chosen_of_.resize(kept);
  mark_chosen();
}

void Chooser::mark_chosen() {
  is_chosen_.clear();
  for (const auto index : chosen_) {
    if (is_chosen_.size() <= index) is_chosen_.resize(index + 1, false);
    is_chosen_[index] = true;
  }
}

void Chooser::begin(const Catalogue& catalogue) {
  prune(catalogue);
  begun_.clear();
  resolved_.assign(selection_.rules.size(), false);
  names_.clear();
}

void Chooser::reselect(Selection selection, const Catalogue& catalogue) {
  const bool ranked_anew = std::ranges::any_of(selection.rules, [&](const SelectionRule& rule) {
    return rule.top > 0 && std::ranges::find(selection_.rules, rule) == selection_.rules.end();
  });
  selection_ = std::move(selection);
  prune(catalogue);
  if (ranked_anew) begun_.clear();
  if (!selection_.by_volume()) volumes_.clear();
  resolved_.assign(selection_.rules.size(), false);
  names_.clear();
}

void Chooser::volumes(const std::vector<InstrumentVolume>& answer) {
  if (!selection_.by_volume()) return;
  for (const auto& [instrument, volume] : answer) volumes_.insert_or_assign(instrument, volume);
}

// Those of the highest volume of each kind, the largest first; equal ones by name. One without a volume is not among
// them.
void Chooser::keep_top(const SelectionRule& rule, const std::vector<ListedInstrument>& list,
                       std::vector<Position>& matching) const {
  const auto volume = [&](Position at) -> const Decimal* {
    const auto found = volumes_.find(list[at].id.instrument);
    return found == volumes_.end() ? nullptr : &found->second;
  };
  std::erase_if(matching, [&](Position at) { return volume(at) == nullptr; });
  std::ranges::stable_sort(matching, [&](Position a, Position b) {
    if (*volume(a) != *volume(b)) return *volume(b) < *volume(a);
    return list[a].id.instrument < list[b].id.instrument;
  });
  std::map<MarketType, std::uint32_t> taken;
  std::erase_if(matching, [&](Position at) { return ++taken[list[at].id.market_type] > rule.top; });
}

// What the rules choose of a list, in their order, each once.
std::vector<Chooser::Position> Chooser::pick(const std::vector<ListedInstrument>& list) {
  std::vector<Position> picked;
  std::vector<bool> is_picked(list.size(), false);
  for (std::size_t r = 0; r < selection_.rules.size(); ++r) {
    const auto& rule = selection_.rules[r];
    std::vector<Position> matching;
    for (Position at = 0; at < list.size(); ++at)
      if (rule.matches(list[at].id, list[at].definition.base_asset, list[at].definition.quote_asset))
        matching.push_back(at);
    if (rule.top > 0) keep_top(rule, list, matching);
    if (!matching.empty()) resolved_[r] = true;
    for (const auto at : matching) {
      if (is_picked[at]) continue;
      is_picked[at] = true;
      picked.push_back(at);
    }
  }
  return picked;
}

// What was chosen of this list and is not in it any more: the venue says so by leaving it out. (An empty list says
// nothing: no venue has none.)
void Chooser::tell_missing(std::string_view name, const std::vector<ListedInstrument>& list, Catalogue& catalogue,
                           std::vector<Index>& changed) const {
  if (list.empty()) return;
  const auto& listed_at = list.front().definition.meta;
  for (std::size_t i = 0; i < chosen_.size(); ++i) {
    if (chosen_of_[i] != name) continue;
    const auto& known = catalogue.definition(chosen_[i]);
    const auto& id = *known.meta.instrument;
    if (std::ranges::any_of(list, [&](const auto& each) { return each.id.instrument == id.instrument; })) continue;
    auto gone = known;
    gone.status = known.expiry && *known.expiry <= listed_at.received_at ? "expired" : "delisted";
    gone.meta.timestamp = listed_at.timestamp;
    gone.meta.received_at = listed_at.received_at;
    if (const auto index = catalogue.update(InstrumentId(id), std::move(gone))) changed.push_back(*index);
  }
}

void Chooser::take(std::string_view name, std::vector<ListedInstrument>& list, Catalogue& catalogue,
                   std::vector<Index>& changed) {
  const auto catalogued = [&](ListedInstrument& entry) {
    const auto index = catalogue.update(std::move(entry.id), std::move(entry.definition));
    if (index) changed.push_back(*index);
  };
  if (selection_.empty()) {
    for (auto& entry : list) catalogued(entry);
    return;
  }
  tell_missing(name, list, catalogue, changed);
  resolved_.resize(selection_.rules.size(), false);
  const auto picked = pick(list);
  auto& names = names_[std::string(name)];
  names.clear();
  if (contains(resolved_, false))
    for (const auto& entry : list) names.insert(names.end(), {entry.id.instrument, entry.id.symbol});

  std::vector<std::string> picked_symbols;
  std::vector<bool> wanted(list.size(), false);
  for (const auto at : picked) {
    wanted[at] = true;
    picked_symbols.push_back(list[at].id.instrument);
  }
  for (Position at = 0; at < list.size(); ++at) {
    const auto known = catalogue.find(list[at].id.instrument);
    if (wanted[at] || (known && contains(chosen_, *known))) catalogued(list[at]);
  }

  // The first time since a collector began, what is not chosen of this list any more is let go.
  const std::string of(name);
  const bool anew = !contains(begun_, of);
  if (anew) begun_.push_back(of);
  std::vector<Index> chosen;
  std::vector<std::string> chosen_of;
  const auto choose = [&](Index index, const std::string& from) {
    if (contains(chosen, index)) return;
    chosen.push_back(index);
    chosen_of.push_back(from);
  };
  for (std::size_t i = 0; i < chosen_.size(); ++i)
    if (!anew || chosen_of_[i] != of) choose(chosen_[i], chosen_of_[i]);
  for (const auto& symbol : picked_symbols) choose(*catalogue.find(symbol), of);
  chosen_ = std::move(chosen);
  chosen_of_ = std::move(chosen_of);
  mark_chosen();
}

std::vector<Unresolved> Chooser::unresolved(const Catalogue& catalogue) const {
  std::vector<Unresolved> out;
  for (std::size_t r = 0; r < selection_.rules.size(); ++r) {
    if (r < resolved_.size() && resolved_[r]) continue;
    const auto& rule = selection_.rules[r];
    Unresolved each{rule.text(), Unresolved::Verdict::no_match};
    if (rule.is_name()) {
      const bool known = !catalogue.find_named(rule.symbol).empty();
      each.verdict = known ? Unresolved::Verdict::delisted : Unresolved::Verdict::unknown;
      std::vector<std::string> names;
      for (const auto& [list, of] : names_) names.insert(names.end(), of.begin(), of.end());
      each.near = nearest_names(rule.symbol, std::move(names));
    }
    out.push_back(std::move(each));
  }
  return out;
}

// ---- state ----------------------------------------------------------------------------------------------------

void Chooser::save(StateWriter& out) const {
  out.put(std::uint64_t{volumes_.size()});
  for (const auto& [instrument, volume] : volumes_) {
    out.put(std::string_view{instrument});
    out.put(volume);
  }
  out.put(std::uint64_t{chosen_.size()});
  for (std::size_t i = 0; i < chosen_.size(); ++i) {
    out.put(std::uint64_t{chosen_[i]});
    out.put(std::string_view{chosen_of_[i]});
  }
  out.put(std::uint64_t{begun_.size()});
  for (const auto& list : begun_) out.put(std::string_view{list});
}

void Chooser::restore(StateReader& in, const Catalogue& catalogue) {
  volumes_.clear();
  for (auto n = in.count(5); n > 0 && in.ok(); --n) {
    auto instrument = in.text();
    volumes_.insert_or_assign(std::move(instrument), in.decimal());
  }
  chosen_.clear();
  chosen_of_.clear();
  for (auto n = in.count(2); n > 0 && in.ok(); --n) {
    chosen_.push_back(static_cast<Index>(in.number()));
    chosen_of_.push_back(in.text());
    if (in.ok() && chosen_.back() >= catalogue.size()) in.fail("an instrument that is not in the catalogue");
  }
  if (in.ok()) mark_chosen();
  begun_.clear();
  for (auto n = in.count(); n > 0 && in.ok(); --n) begun_.push_back(in.text());
}

}  // namespace mp
