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

  // What the source's session publishes by, as it stands in the journal; "" when it has no session.
  std::string published_options_of(const Source& source) const;

  // All sessions' state, and what they publish by, for the checkpoint at a segment's start; restore() into a fresh
  // router.
  void save(std::string& out) const;
  [[nodiscard]] Result<void> restore(std::string_view saved);

  // nullptr when the source has no session (yet).
  Session* session(const Source& source);
  std::vector<Source> sources() const;
  std::uint64_t unroutable() const { return unroutable_; }

 private:
  struct Known {
    std::unique_ptr<Session> session;
    SessionOptions options;
  };
  Result<Known*> make(SessionOptions options);
  Session* session_for(const Source& source);
  void configure(const RawRecord& record, RecordPosition position, Instant now, const Sink& sink);
  void hand_over(const Source& source, RecordPosition position, const Sink& sink);
  void number(RecordPosition position);
  void name(Gap& gap, const EventPosition& position) const;

  OptionsFor options_for_;
  std::string journal_id_;
  std::map<Source, Known> sessions_;
  bool started_ = false;  // a record `start` has come: sessions made later have to begin by themselves
  std::uint64_t unroutable_ = 0;
  Outbox out_;
  std::vector<EventPosition> positions_;
  std::unordered_map<std::string, std::uint32_t> ordinals_;
  std::string subject_key_;
};

}  // namespace mp
