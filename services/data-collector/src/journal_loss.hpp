#pragma once
// What is told of records that the journal has lost before they were published (a disk that failed, a power cut that
// left a hole): a gap of cause journal_lost in every stream that was collected, from the last record before the hole to
// the first one behind it. Nothing else would tell it: where the next segment's checkpoint goes on, the sessions know
// what was lost, and streams without numbers show no hole. Nothing is told of recordings, which can be played again.
//
// Decodes nothing, does no I/O. One thread, its owner's.

#include <optional>
#include <string>
#include <vector>

#include "exchanges/router.hpp"

namespace mp::collector {

// Where these gaps stand among the events of the record that they are told with: behind its own, and behind those that
// replace what is too large (offers.hpp).
inline constexpr std::uint32_t kFirstOfLoss = 0xC000'0000u;
// …and where no record has come behind the hole, so that they are told with the last one before it.
inline constexpr std::uint32_t kFirstOfLossAtHead = 0xE000'0000u;

class JournalLoss {
 public:
  // `options`: of sessions that do not converse.
  JournalLoss(Router::OptionsFor options, std::string journal_id)
      : options_(std::move(options)), journal_id_(std::move(journal_id)) {}

  // A record has been read and decoded.
  void read(WallTime received_at) { last_ = received_at; }
  // What stood behind it is lost.
  void lost();
  // A segment begins, written from `begun` on, and its checkpoint is what is decoded from.
  void checkpoint(WallTime begun);

  // Whether there is something to tell with the record read next.
  bool is_due() const { return hole_ || books_; }
  // The gaps, once; `at`: when that record was received, `position`: its own.
  std::vector<MarketEvent> tell(const Router& router, WallTime at, RecordPosition position);

 private:
  std::vector<Gap> streams_of(const Router& router, WallTime at) const;

  Router::OptionsFor options_;
  std::string journal_id_;
  std::optional<WallTime> last_;
  // The last record before the hole, and before the first hole since the checkpoint; nothing: none had been read.
  std::optional<WallTime> since_, broken_since_;
  bool hole_ = false;
  // Decoding goes on behind a hole: a book that it broke gets no snapshot, since the live one was never broken. It is
  // whole again from the next checkpoint on.
  bool broken_ = false;
  bool books_ = false;
  std::string gap_id_;
};

}  // namespace mp::collector
