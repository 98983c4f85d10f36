#include "lanes.hpp"

#include <algorithm>

#include "jetstream_sink.hpp"
#include "net/clock.hpp"

namespace mp::collector {

Lanes::Lanes(const CollectorOptions& options, net::Loop& loop, Makers makers)
    : options_(options), loop_(loop), makers_(std::move(makers)) {}

Result<void> Lanes::open_live() {
  if (auto opened = open("", nullptr); !opened) return opened.error();
  return {};
}

Result<void> Lanes::open_recordings() {
  is_playback_ = true;
  const std::vector<std::filesystem::path> files(options_.playback.files.begin(), options_.playback.files.end());
  const auto plan = journal::plan_recordings(files, source_of_url, options_.journal.directory);
  if (!plan) return plan.error();
  for (const auto& each : plan->left_out)
    log::warn("a recording is not played", {{"file", each.path.string()}, {"why", each.why}});
  for (const auto& group : plan->groups) {
    waiting_.emplace_back(group.rbegin(), group.rend());
    if (group.size() > 1) {
      log::info("recordings of the same source are played one after the other",
                {{"first", group.front().path.string()}, {"recordings", group.size()}});
    }
  }
  for (std::size_t group = 0; group < waiting_.size(); ++group)
    if (auto opened = open_next(group); !opened) return opened;
  return {};
}

Result<void> Lanes::open_next(std::size_t group) {
  const auto recording = std::move(waiting_[group].back());
  waiting_[group].pop_back();
  auto opened = open(recording.path.string(), &recording);
  if (!opened) return opened.error();
  (*opened)->group = group;
  return begin_playing(**opened, recording);
}

Result<void> Lanes::begin_playing(Lane& lane, const journal::PlannedRecording& recording) {
  lane.recording = recording;
  if (recording.is_new_part) {
    if (auto claimed = journal::claim_recording(recording); !claimed) return claimed;
    if (recording.goes_on_from > 0) {
      log::info("a longer copy of a recording that was played before goes on behind it",
                {{"file", lane.name},
                 {"played_bytes", recording.goes_on_from},
                 {"as", recording.note.parts.rbegin()[1].path}});
    }
  }
  auto capture = journal::CaptureSet::open_part(recording.path, recording.boundaries(), source_of_url);
  if (!capture) return capture.error();
  Playback::Callbacks callbacks;
  callbacks.settled = [&lane](std::uint64_t bytes, bool closed) -> Result<void> {
    if (auto synced = lane.journal->sync(); !synced) return synced;
    return journal::settle_recording(lane.recording, bytes, closed);
  };
  callbacks.done = [played = lane.name] { log::info("the recording has been played", {{"file", played}}); };
  // What an earlier run has played stands in the journal record by record.
  lane.playback = std::make_unique<Playback>(recording, std::make_unique<journal::CaptureSet>(std::move(*capture)),
                                             options_.playback.speed, lane.journal->recovered().records, *lane.ingest,
                                             loop_, std::move(callbacks));
  lane.playback->start();
  return {};
}

Result<Lanes::Lane*> Lanes::open(std::string name, const journal::PlannedRecording* recording) {
  auto lane = std::make_unique<Lane>();
  lane->name = std::move(name);
  journal::JournalOptions journal;
  journal.directory = options_.journal.directory;
  journal.sync_interval = options_.journal.fsync_interval;
  journal.segment_bytes = options_.journal.segment_bytes;
  journal.segment_age = options_.journal.segment_age;
  journal.retention.max_age = options_.journal.keep_acknowledged;
  journal.retention.max_bytes = options_.journal.keep_bytes;
  if (recording) {
    journal.id = recording->id;
    journal.directory = recording->directory;
  }
  auto opened = journal::Journal::open(std::move(journal));
  if (!opened) return opened.error();
  lane->journal = std::move(*opened);
  const auto& found = lane->journal->recovered();
  if (found.numbered > found.last_segment) {
    log::warn(
        "the journal's newest segments are not on the disk, as after a power cut; their numbers are not used again",
        {{"last_found", found.last_segment}, {"last_begun", found.numbered}});
  }
  log::info("journal opened", {{"directory", lane->journal->directory().string()},
                               {"id", lane->journal->id().text()},
                               {"segments", found.segments},
                               {"closed_in_order", found.closed_in_order}});
  if (lanes_.empty()) makers_.journal_opened(*lane->journal);

  auto bus = options_.bus;
  bus.journal_id_is_random = !recording;
  auto sink = open_jetstream_sink(bus, *lane->journal, loop_);
  if (!sink) return sink.error();
  lane->sink = std::move(*sink);
  lane->ingest = std::make_unique<Ingest>(*lane->journal, makers_.live_options, makers_.catch_up_options, *lane->sink,
                                          loop_, makers_.callbacks);
  if (!recording) lane->ingest->keep_what_sessions_must_know();
  if (auto recovered = lane->ingest->recover(); !recovered) return recovered.error();
  lanes_.push_back(std::move(lane));
  return lanes_.back().get();
}

Result<void> Lanes::keep_house(Instant now, bool with_retention) {
  journal::RetentionReport kept;
  for (const auto& lane : lanes_) {
    if (lane->closed) continue;
    if (auto done = keep(*lane, now, with_retention); !done) return done;
  }
  // Opening adds to the lanes.
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    auto& lane = *lanes_[i];
    if (lane.closed || !lane.is_through()) continue;
    if (waiting_[lane.group].empty()) continue;  // the last ones stay open: their end is the collector's
    close(lane);
    if (auto opened = open_next(lane.group); !opened) return opened;
  }
  return {};
}

Result<void> Lanes::keep(Lane& lane, Instant now, bool with_retention) {
  lane.journal->set_acknowledged(lane.sink->acked_through());
  if (const auto error = lane.journal->take_sync_error())
    log::error("the journal could not be forced to the disk", {{"error", *error}});
  if (with_retention) {
    if (const auto kept = lane.journal->apply_retention(now.wall)) {
      if (!kept_) kept_.emplace();
      kept_->kept_bytes += kept->kept_bytes;
    } else if (const auto skipped = failures_.admit("retention", now.mono)) {
      log::warn("old journal segments could not be removed", {{"error", kept.error()}, {"skipped", *skipped}});
    }
  }
  lane.ingest->retry_catch_up();
  if (const auto seen = lane.sink->status().highest_seen) lane.journal->raise_floor(seen->segment);
  lane.unpublished.update(lane.ingest->head(), lane.sink->acked_through(), now.mono);
  return {};
}

void Lanes::close(Lane& lane) {
  lane.closed = true;
  lane.sink->stop();
  lane.journal->set_acknowledged(lane.sink->acked_through());
  if (const auto closed = lane.journal->close(); !closed)
    log::error("the journal could not be closed in order", {{"error", closed.error()}});
}

bool Lanes::playback_is_done() const {
  return std::ranges::all_of(waiting_, [](const auto& group) { return group.empty(); }) &&
         std::ranges::all_of(lanes_, [](const auto& lane) { return lane->playback && lane->playback->is_done(); });
}

std::string Lanes::failed_recording() const {
  const auto failed =
      std::ranges::find_if(lanes_, [](const auto& lane) { return lane->playback && lane->playback->failure(); });
  return failed == lanes_.end() ? "" : (*failed)->name;
}

std::uint64_t Lanes::broken_lines() const {
  std::uint64_t sum = 0;
  for (const auto& lane : lanes_)
    if (lane->playback) sum += lane->playback->broken_lines();
  return sum;
}

std::string Lanes::broken_recording() const {
  const auto broken = std::ranges::find_if(
      lanes_, [](const auto& lane) { return lane->playback && lane->playback->broken_lines() > 0; });
  return broken == lanes_.end() ? "" : (*broken)->name;
}

std::size_t Lanes::unfinished_recordings() const {
  auto count = static_cast<std::size_t>(
      std::ranges::count_if(lanes_, [](const auto& lane) { return lane->playback && !lane->playback->is_done(); }));
  for (const auto& group : waiting_) count += group.size();
  return count;
}

bool Lanes::is_drained() const {
  return std::ranges::all_of(waiting_, [](const auto& group) { return group.empty(); }) &&
         std::ranges::all_of(lanes_, [](const auto& lane) { return lane->is_drained(); });
}

void Lanes::stop_playing() {
  for (auto& group : waiting_) group.clear();
}

void Lanes::commit() {
  for (const auto& lane : lanes_)
    if (!lane->closed) lane->ingest->commit();
}

void Lanes::each_router(const std::function<void(Router&)>& see) {
  for (const auto& lane : lanes_) see(lane->ingest->router());
}

IngestCounters Lanes::counters() const {
  IngestCounters sum;
  for (const auto& lane : lanes_) {
    const auto& one = lane->ingest->counters();
    sum.records += one.records;
    sum.bytes += one.bytes;
    sum.groups += one.groups;
    sum.events += one.events;
    sum.records_dropped += one.records_dropped;
    sum.times_behind += one.times_behind;
    sum.too_large += one.too_large;
  }
  return sum;
}

SinkStatus Lanes::bus() const {
  SinkStatus sum;
  sum.publishing = true;
  bool told = false;
  for (const auto& lane : lanes_) {
    const auto one = lane->sink->status();
    // One that does not publish is what people want to know of.
    if (!lane->closed && (!told || !one.publishing)) {
      sum.state = one.state;
      told = true;
    }
    sum.publishing = sum.publishing && (lane->closed || one.publishing);
    sum.outstanding += one.outstanding;
    sum.events += one.events;
    sum.messages += one.messages;
    sum.bytes += one.bytes;
    sum.resent += one.resent;
    sum.refusals += one.refusals;
    sum.already_stored += one.already_stored;
  }
  return sum;
}

journal::JournalCounters Lanes::journal_counters() const {
  journal::JournalCounters sum;
  for (const auto& lane : lanes_) {
    const auto one = lane->journal->counters();
    sum.written_bytes += one.written_bytes;
    sum.segments += one.segments;
    sum.failed_syncs += one.failed_syncs;
  }
  return sum;
}

std::optional<journal::RetentionReport> Lanes::kept() { return std::exchange(kept_, std::nullopt); }

bool Lanes::behind() const {
  return std::ranges::any_of(lanes_, [](const auto& lane) { return lane->ingest->behind_from().has_value(); });
}

bool Lanes::journal_is_failing() const {
  return std::ranges::any_of(lanes_, [](const auto& lane) { return lane->ingest->journal_is_failing(); });
}

Nanos Lanes::unpublished_for(MonoTime now) const {
  Nanos longest{0};
  for (const auto& lane : lanes_)
    if (!lane->closed) longest = std::max(longest, lane->unpublished.value(now));
  return longest;
}

Unpublished Lanes::count_unpublished(std::chrono::milliseconds limit) const {
  Unpublished sum;
  const auto until = net::now().mono + limit;
  for (const auto& lane : lanes_) {
    if (lane->closed) continue;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - net::now().mono);
    const auto one = lane->ingest->count_unpublished(std::max(left, std::chrono::milliseconds(0)));
    sum.events += one.events;
    sum.gaps += one.gaps;
    sum.all_counted = sum.all_counted && one.all_counted;
  }
  return sum;
}

void Lanes::stop_sinks() {
  for (const auto& lane : lanes_)
    if (!lane->closed) lane->sink->stop();
}

void Lanes::close_journals() {
  for (const auto& lane : lanes_) {
    if (lane->closed) continue;
    lane->closed = true;
    lane->journal->set_acknowledged(lane->sink->acked_through());
    if (const auto closed = lane->journal->close(); !closed)
      log::error("the journal could not be closed in order", {{"error", closed.error()}});
  }
}

}  // namespace mp::collector
