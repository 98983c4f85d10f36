#pragma once
// What a publisher remembers on disk: where it would go on after a crash. A text file, one fact a line.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/raw_record.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace mp::jetstream {

// A point to go on from. Everything of records up to `through` is in the stream, at sequences up to `stored_by`;
// whatever of later records is there, is behind sequence `read_from`. So: offer again what comes after
// `through`, without what a look at the stream after `read_from` finds.
struct HistoryEntry {
  RecordPosition through;
  std::uint64_t read_from = 0;
  std::uint64_t stored_by = 0;
  // When the message `stored_by` was stored, by the server: another message at that sequence means that the server
  // lost its end and went on with others.
  WallTime stored_by_time;
  WallTime noted_at;
  friend bool operator==(const HistoryEntry&, const HistoryEntry&) = default;
};

struct Cursor {
  std::string journal;
  std::string stream;
  WallTime stream_created;
  std::deque<HistoryEntry> history;  // oldest first
  // Of the last batch of fast ingest: a message of it that is still on its way somewhere must be refused.
  std::string batch_id;
  std::string batch_subject;
  // Nothing was on its way when this was written (an orderly stop).
  bool at_rest = false;
  // All events of records up to it are stored for good (storage said so of the stream that held them): they need
  // not be published again, whatever becomes of the stream.
  RecordPosition settled;
  // What is of records up to it may have been stored from a stream, or a part of one, that is gone: such messages say
  // so (kAgainHeader), and storage looks whether it has their rows.
  RecordPosition again_through;
  // The server lost the stream's end once: its sequences have been used twice, so that what storage notes of them does
  // not tell which messages it means. `settled` stands still until the stream is made anew.
  bool lost_its_end = false;

  std::string text() const;
  static Result<Cursor> parse(std::string_view text);
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

}  // namespace mp::jetstream
