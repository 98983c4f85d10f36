#pragma once
// What is collected: the rules as configured, and what they choose of the venue's own lists. Which instruments are in
// the catalogue decides what is published, so the choice is a function of records: of the lists, and of the venue's
// answer about volumes, which is journalled like them.

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "feed/catalogue.hpp"
#include "feed/session.hpp"

namespace mp {

// All conditions that are set must hold.
struct SelectionRule {
  std::string symbol{};  // the venue's spelling or ours; '*' and '?' stand for any letters, any letter
  std::optional<MarketType> kind{};
  std::string base{};  // asset codes, exactly
  std::string quote{};
  // Of those that match: the N of the highest volume in the last 24 h, of each kind of each list. 0: all of them.
  std::uint32_t top = 0;

  bool matches(const InstrumentId& id, std::string_view base_asset, std::string_view quote_asset) const;
  // It names what must be there: a symbol without wildcards.
  bool is_name() const;
  std::string text() const;  // for messages: "BTC-USDT", "kind=perpetual quote=USDT top=50"
  friend bool operator==(const SelectionRule&, const SelectionRule&) = default;
};

// Chosen is what any of the rules chooses. No rules: everything that arrives is decoded (play-back, normalize).
struct Selection {
  std::vector<SelectionRule> rules;

  Selection() = default;
  Selection(const std::vector<std::string>& symbols);               // NOLINT(google-explicit-constructor)
  Selection(std::initializer_list<std::string> symbols);            // NOLINT(google-explicit-constructor)
  Selection(std::vector<SelectionRule> r) : rules(std::move(r)) {}  // NOLINT(google-explicit-constructor)
  bool empty() const { return rules.empty(); }
  // Does a rule need the venue's volumes?
  bool by_volume() const;
};

// '*' any letters, '?' any one; upper and lower case differ.
bool glob_matches(std::string_view pattern, std::string_view text);

// An entry of a list, as the venue's folder understands it: the arguments of Catalogue::update().
struct ListedInstrument {
  InstrumentId id;
  Instrument definition;
};

// What an instrument turned over in the last 24 hours, only to rank those of one list and kind: in quote units where
// the venue tells it.
struct InstrumentVolume {
  std::string instrument;  // the venue's spelling
  Decimal volume;
};

// A rule that chooses nothing of the venue's lists.
struct Unresolved {
  enum class Verdict {
    unknown,   // a name that the venue does not have and never had as far as we know: a mistake
    delisted,  // a name that the venue once had: it is in the catalogue, which is restored
    no_match,  // a pattern or a condition: there may be something one day
  };
  std::string rule;
  Verdict verdict{};
  std::vector<std::string> near{};  // names of the venue that are like it, the nearest first
};

// Tells an operator, once per look at the lists. A name that the venue never had is refused when a collector starts
// (Outbox::refusal); everything else is told and goes on: a symbol that was delisted must not stop the restart of the
// others. `at_start`: these are the first lists since the collector began.
void tell_unresolved(const std::vector<Unresolved>& all, const Source& source, bool at_start, Outbox& out);
// The unknown names as streams that are refused, for /health. `kind`: of the source.
void describe_unresolved(const std::vector<Unresolved>& all, const Source& source, MarketType kind,
                         std::vector<StreamStatus>& out);

class Chooser {
 public:
  using Index = Catalogue::Index;

  explicit Chooser(Selection selection) : selection_(std::move(selection)) {}
  const Selection& selection() const { return selection_; }

  // A collector begins, with what an earlier one chose (restored), as far as the rules would still choose it. It
  // holds until the lists have come again.
  void begin(const Catalogue& catalogue);
  // Other rules: what they do not choose any more is let go, what they still choose stays. Where a rule by volume is
  // new, the next lists decide anew.
  void reselect(Selection selection, const Catalogue& catalogue);
  // The venue's answer about volumes; instruments that it does not name keep theirs. Without volumes, rules with `top`
  // choose nothing: ask for them before the lists.
  void volumes(const std::vector<InstrumentVolume>& answer);
  // A whole list. `name` tells the venue's lists apart (OKX: SPOT, SWAP …; "" where there is one). What is chosen goes
  // to the catalogue; the indices of what is new or changed there are appended, in the list's order. Entries are
  // moved from.
  // What was once chosen stays so until a collector begins again: a series by volume is not cut off in the middle.
  void take(std::string_view name, std::vector<ListedInstrument>& list, Catalogue& catalogue,
            std::vector<Index>& changed);

  // To be subscribed: in the order of the rules, and of the lists in them. Empty when everything is decoded.
  const std::vector<Index>& chosen() const { return chosen_; }
  // Is it to be published? What was let go may still be in the catalogue, and come for a moment.
  bool collects(Index index) const { return selection_.empty() || (index < is_chosen_.size() && is_chosen_[index]); }

  // Once every list has come: the rules that chose nothing.
  std::vector<Unresolved> unresolved(const Catalogue& catalogue) const;

  // What decides what is published, and what was chosen.
  void save(StateWriter& out) const;
  // After the catalogue has been restored.
  void restore(StateReader& in, const Catalogue& catalogue);

 private:
  using Position = std::size_t;  // in the list
  std::vector<Position> pick(const std::vector<ListedInstrument>& list);
  void tell_missing(std::string_view name, const std::vector<ListedInstrument>& list, Catalogue& catalogue,
                    std::vector<Index>& changed) const;
  void keep_top(const SelectionRule& rule, const std::vector<ListedInstrument>& list,
                std::vector<Position>& matching) const;
  bool would_choose(const Instrument& definition) const;
  void prune(const Catalogue& catalogue);
  void mark_chosen();

  Selection selection_;
  std::map<std::string, Decimal, std::less<>> volumes_;  // only when a rule needs them
  std::vector<Index> chosen_;
  std::vector<std::string> chosen_of_;  // the list of each
  std::vector<bool> is_chosen_;         // by catalogue index, as chosen_
  std::vector<std::string> begun_;      // lists that have come since begin()
  // Since begin(), for messages only; not saved.
  std::vector<bool> resolved_;                                          // by rule
  std::map<std::string, std::vector<std::string>, std::less<>> names_;  // by list, both spellings
};

}  // namespace mp
