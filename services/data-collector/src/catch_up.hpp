#pragma once
// Offers again, from the journal on disk, what the bus has not got: decodes silently from the checkpoint of the
// segment of the first missing event, and offers from that event on.
//
// Runs on: the collector's loop thread, in slices, so that capture goes on.

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "event_sink.hpp"
#include "exchanges/router.hpp"
#include "journal/cursor.hpp"
#include "journal/journal.hpp"
#include "journal_loss.hpp"
#include "offers.hpp"

namespace mp::collector {

// The first event to offer: of this record, after so many of its events.
struct CatchUpStart {
  RecordPosition record;
  std::uint32_t events_taken = 0;
};

class CatchUp {
 public:
  enum class Progress {
    more,     // call step() again
    full,     // when the sink has room
    at_head,  // everything in the journal has been offered
    failed,   // error() says why; call step() again later
  };

  CatchUp(journal::Journal& journal, Router::OptionsFor options, CatchUpStart start, EventSink& sink);
  ~CatchUp();

  Progress step(std::chrono::microseconds budget);
  const Error& error() const { return error_; }
  // The first event that has not been taken yet.
  CatchUpStart position() const { return next_; }
  std::uint64_t too_large() const { return offers_.too_large(); }
  std::uint64_t records_lost() const { return cursor_ ? cursor_->lost_records() : 0; }

 private:
  void begin_segment();
  bool offer_held();
  void decode(const RawRecord& record, RecordPosition position);
  void tell_loss(WallTime at, std::uint32_t first_ordinal);
  void hold(std::span<const MarketEvent> events, std::span<const EventPosition> positions);

  journal::Journal& journal_;
  Router::OptionsFor options_;
  EventSink& sink_;
  CatchUpStart next_;
  std::unique_ptr<Router> router_;
  bool has_state_ = false;  // it began with its segment's checkpoint
  std::optional<journal::Cursor> cursor_;
  Offers offers_;
  JournalLoss loss_;
  std::deque<OfferedEvent> held_;  // of one record at most
  RecordPosition held_record_;
  std::uint32_t released_ = 0;  // by that record so far
  Error error_;
};

}  // namespace mp::collector
