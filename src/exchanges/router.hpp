#pragma once
// From records to positioned events: one Session per Source, made when it is first needed. The same class runs live,
// when catching up from the journal, and in `normalize`; what it publishes is a function of the records alone.
//
// One thread. Does no I/O: what the sessions wish for is handed to the caller with the events.

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "exchanges/exchange.hpp"

namespace mp {

class Router {
 public:
  using OptionsFor = std::function<SessionOptions(const Source&)>;
  // Called once for each session that a record reached. `positions` runs beside out.events. The outbox is the
  // router's own and is cleared afterwards: move from it what is to be kept.
  using Sink = std::function<void(const Source&, Outbox& out, std::span<const EventPosition> positions)>;

  // `journal_id`: first part of every gap_id; "" offline, then gaps have none.
  explicit Router(OptionsFor options_for, std::string journal_id = "");
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  // Makes the session of a source before its first record (live: so that it can ask for what it needs).
  // Errc::usage when no venue of that name exists, Errc::bad_value for a market that it has not.
  Result<void> add(const Source& source);

  // A record of a source that no venue serves is counted in unroutable() and otherwise ignored.
  // `mono` matters to conversing sessions only.
  void route(const RawRecord& record, RecordPosition position, MonoTime mono, const Sink& sink);
  void tick(const Source& source, Instant now, const Sink& sink);

  // All sessions' state, for the checkpoint at a segment's start; restore() into a fresh router.
  void save(std::string& out) const;
  [[nodiscard]] Result<void> restore(std::string_view saved);

  // nullptr when the source has no session (yet).
  Session* session(const Source& source);
  std::vector<Source> sources() const;
  std::uint64_t unroutable() const { return unroutable_; }

 private:
  Session* session_for(const Source& source);
  void hand_over(const Source& source, RecordPosition position, const Sink& sink);
  void number(RecordPosition position);
  void name(Gap& gap, const EventPosition& position) const;

  OptionsFor options_for_;
  std::string journal_id_;
  std::map<Source, std::unique_ptr<Session>> sessions_;
  std::uint64_t unroutable_ = 0;
  Outbox out_;
  std::vector<EventPosition> positions_;
  std::unordered_map<std::string, std::uint32_t> ordinals_;
  std::string subject_key_;
};

}  // namespace mp
