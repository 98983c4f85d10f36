#pragma once
// The one way in: a record is journalled, then decoded, then its events are offered to the bus, in this order.
// When the bus is full or was away, the events wait where they already are, in the journal, and a second
// reader catches up from there; the live path goes on journalling and never waits.
//
// Runs on: the collector's loop thread. Outlives: nothing; journal, sink and loop outlive it.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "base/raw_record.hpp"
#include "catch_up.hpp"
#include "event_sink.hpp"
#include "exchanges/router.hpp"
#include "journal/cursor.hpp"
#include "journal/journal.hpp"
#include "journal_loss.hpp"
#include "net/loop.hpp"
#include "offers.hpp"

namespace mp::collector {

struct IngestCounters {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t groups = 0;
  std::uint64_t events = 0;           // released by live records
  std::uint64_t records_dropped = 0;  // the journal could not take them: a full disk
  std::uint64_t times_behind = 0;
  std::uint64_t too_large = 0;  // events that the bus cannot take, replaced by what tells of them; each time one is met
};

// Events in the journal that the bus is not known to have.
struct Unpublished {
  std::uint64_t events = 0;  // gaps included
  std::uint64_t gaps = 0;
  bool all_counted = true;  // false: there was not the time, or a part of the journal could not be read
};

class Ingest {
 public:
  struct Callbacks {
    // Every outbox of a live record or tick, events included, before the events are offered. May move from it
    // everything but the events.
    std::function<void(const Source&, const RawRecord* record, Outbox&)> outbox;
    // A group's events have been offered, this long after its first record was received.
    std::function<void(std::chrono::nanoseconds)> group_done;
  };

  Ingest(journal::Journal& journal, Router::OptionsFor live_options, Router::OptionsFor catch_up_options,
         EventSink& sink, net::Loop& loop, Callbacks callbacks);
  ~Ingest();
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;

  // While the journal cannot be written frames are lost, but not that a connection has opened or ended, nor that an
  // answer will not come: sessions that are not told would wait for ever for what does not exist any more. A connection
  // of which a frame was lost is ended, so that the outage of its streams is told. These are kept, and journalled
  // before what comes first when there is room again. Not for recordings, which are played again instead.
  void keep_what_sessions_must_know() { keeps_ = true; }

  // Brings the sessions to where the journal ends, offering on the way what the sink has not acknowledged, and begins a
  // new segment. What the sink has no room for is caught up with later. Before the first add().
  [[nodiscard]] Result<void> recover();

  Router& router() { return router_; }

  // Copies the record; it is journalled and decoded with others at the end of this turn of the loop.
  void add(const RawRecord& record);
  // Journals and decodes what was added now.
  void commit();
  void tick(const Source& source, Instant now);
  // Whether these records, coming next, would release any event. Commits what was added before.
  bool would_release(std::span<const RawRecord> records);

  // After a failure to read the journal; call it now and then.
  void retry_catch_up() { continue_catching_up(); }

  // The journal's last record; everything up to it has been decoded.
  RecordPosition head() const { return head_; }
  // Nothing is waiting to be decoded or offered.
  bool is_caught_up() const { return pending_.empty() && !behind_; }
  std::optional<RecordPosition> behind_from() const;
  const IngestCounters& counters() const { return counters_; }
  // What the bus has not acknowledged, by reading the journal again. At the end only: it takes up to `limit`.
  Unpublished count_unpublished(std::chrono::milliseconds limit) const;
  bool journal_is_failing() const { return failing_; }

 private:
  struct Pending {
    RawRecord record;  // its views are set at commit()
    MonoTime mono;
    std::size_t url_at, url_size, payload_at, payload_size;
  };
  struct Kept {
    RawRecord record;
    MonoTime mono;
    std::string url, payload;
  };
  void put(const RawRecord& record, MonoTime mono);
  void put_kept_first();
  void keep_of_group();
  void end_connections_that_lost_frames();
  bool comes_too_late(const RawRecord& record);
  bool keep(const Pending& pending);
  void commit_when_group_is_whole();
  bool journal_group(RecordPosition& first);
  void rotate_segment_if_due();
  [[nodiscard]] Result<void> restore_sessions(RecordPosition first_to_publish);
  [[nodiscard]] Result<void> replay(journal::Cursor& cursor, RecordPosition first_to_publish);
  void replay_record(const RawRecord& record, RecordPosition position, bool publish, JournalLoss& loss);
  [[nodiscard]] Result<void> start_segment();
  void process(const Pending& pending, RecordPosition position);
  [[nodiscard]] bool offer_events(const Outbox& out, std::span<const EventPosition> positions, RecordPosition record);
  void fall_behind(CatchUpStart from);
  void continue_catching_up();
  void end_catch_up();

  journal::Journal& journal_;
  Router::OptionsFor live_options_;
  Router::OptionsFor catch_up_options_;
  EventSink& sink_;
  net::Loop& loop_;
  Callbacks callbacks_;
  Router router_;

  std::vector<Pending> pending_, group_;
  std::string arena_, group_arena_;  // payloads and urls of the above, each padded
  std::vector<RawRecord> views_;
  bool keeps_ = false;
  std::vector<Kept> kept_;  // of groups that could not be journalled
  std::set<Source> kept_sources_;
  std::set<std::pair<Source, ConnectionId>> lost_frames_of_;  // until they have ended
  std::size_t size_at_last_turn_ = 0;
  bool commit_is_posted_ = false;

  RecordPosition head_;
  std::uint32_t events_of_record_ = 0;
  std::optional<CatchUpStart> behind_;
  std::unique_ptr<CatchUp> catch_up_;
  std::uint64_t too_large_before_ = 0;  // of catch-ups that are over
  bool catch_up_is_posted_ = false;

  Offers offers_;
  IngestCounters counters_;
  bool failing_ = false;
  log::Sampler failures_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace mp::collector
