#pragma once
// The events of one record as they are offered to the bus: subject, position, line. An event that is too large for the
// bus, even compressed, is replaced: by a rejected event with the beginning of its text, and a gap in its data. What is
// offered is a function of the record and of the bus's limit, live and when catching up.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "event_sink.hpp"
#include "feed/session.hpp"

namespace mp::collector {

struct OfferedEvent {
  std::string subject;
  EventPosition position;
  std::string line;
};

// Replacements stand behind the record's own events of their subjects, and are numbered from here on.
inline constexpr std::uint32_t kFirstReplacement = 0x8000'0000u;
// So much of the text of an event that is too large is kept.
inline constexpr std::size_t kKeptOfText = 64u << 10;

class Offers {
 public:
  Offers(const EventSink& sink, std::string journal_id) : sink_(sink), journal_id_(std::move(journal_id)) {}

  // Valid until the next call.
  std::span<const OfferedEvent> of(std::span<const MarketEvent> events, std::span<const EventPosition> positions);
  std::uint64_t too_large() const { return too_large_; }

 private:
  OfferedEvent& next();

  const EventSink& sink_;
  const std::string journal_id_;
  std::vector<OfferedEvent> offers_;  // reused: the first count_ are valid
  std::size_t count_ = 0;
  std::uint64_t too_large_ = 0;
};

// The events that stand for one that is too large: a rejected one and, if data is missing for it, a gap.
std::vector<MarketEvent> replacements_of(const MarketEvent& event, std::size_t bytes, std::string_view text,
                                         const std::string& gap_id);

}  // namespace mp::collector
