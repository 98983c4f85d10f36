#include "journal/convert.hpp"

#include <fmt/format.h>

#include "journal/capture_line.hpp"
#include "journal/journal.hpp"

namespace mp::journal {
namespace {

namespace fs = std::filesystem;

// A group of records that outlives the views it was made from.
class Batch {
 public:
  static constexpr std::size_t kBytes = 256u << 10;
  static constexpr std::size_t kRecords = 1000;

  void add(const RawRecord& record) {
    records_.push_back(record);
    places_.push_back({bytes_.size(), record.url.size(), record.payload.size()});
    bytes_ += record.url;
    bytes_ += record.payload;
  }
  bool full() const { return bytes_.size() >= kBytes || records_.size() >= kRecords; }
  bool empty() const { return records_.empty(); }
  void clear() {
    records_.clear();
    places_.clear();
    bytes_.clear();
  }
  std::size_t bytes() const { return bytes_.size(); }

  std::span<const RawRecord> records() {
    for (std::size_t i = 0; i < records_.size(); ++i) {
      const auto& place = places_[i];
      records_[i].url = std::string_view(bytes_).substr(place.at, place.url);
      records_[i].payload = std::string_view(bytes_).substr(place.at + place.url, place.payload);
    }
    return records_;
  }

 private:
  struct Place {
    std::size_t at, url, payload;
  };
  std::vector<RawRecord> records_;
  std::vector<Place> places_;
  std::string bytes_;
};

Result<void> append_batch(Journal& journal, Batch& batch) {
  if (batch.empty()) return {};
  const auto records = batch.records();
  // Times come from the records, so that the same captures give the same bytes.
  const auto now = records.front().received_at;
  if (journal.counters().segments == 0 || journal.needs_new_segment(WallTime{}))
    if (auto started = journal.start_segment("", now); !started) return started;
  if (auto appended = journal.append(records); !appended) return appended.error();
  batch.clear();
  return {};
}

}  // namespace

Result<ConvertedCaptures> write_captures_as_journal(std::vector<fs::path> files, const SourceOfUrl& source_of_url,
                                                    const fs::path& directory, std::uint64_t segment_bytes) {
  if (const auto facts = look_at_captures(files, source_of_url); !facts) return facts.error();
  auto captures = CaptureSet::open(std::move(files), source_of_url);
  if (!captures) return captures.error();
  const auto* record = captures->next();
  if (captures->error()) return *captures->error();  // before anything is made
  JournalOptions options;
  options.directory = directory;
  options.id = captures->journal_id();
  options.segment_bytes = segment_bytes;
  options.segment_age = std::chrono::hours(24 * 365 * 100);  // the records' times are no clock to rotate by
  auto journal = Journal::open(options);
  if (!journal) return journal.error();
  if ((*journal)->recovered().segments > 0)
    return Error{Errc::conflict, directory.string(), "holds a journal with records already; choose another directory"};

  ConvertedCaptures result;
  result.id = captures->journal_id();
  Batch batch;
  for (; record != nullptr; record = captures->next()) {
    ++result.records;
    result.payload_bytes += record->payload.size();
    batch.add(*record);
    if (!batch.full()) continue;
    if (auto appended = append_batch(**journal, batch); !appended) return appended.error();
  }
  if (auto appended = append_batch(**journal, batch); !appended) return appended.error();
  if (captures->error()) {
    auto error = *captures->error();
    error.seen +=
        fmt::format("; {} holds what could be read before, delete it before trying again", directory.string());
    return error;
  }
  if (auto closed = (*journal)->close(); !closed) return closed.error();
  const auto segments = list_segments(directory);
  if (!segments) return segments.error();
  result.segments = static_cast<std::uint32_t>(segments->size());
  for (const auto& segment : *segments) result.bytes += segment.bytes;
  result.skipped_lines = captures->skipped_lines();
  result.skipped_urls = captures->skipped_urls();
  result.broken_lines = captures->broken_lines();
  result.broken = captures->broken();
  return result;
}

namespace {

class Printer {
 public:
  Printer(const RecordSelection& selection, const LineSink& sink) : selection_(selection), sink_(sink) {}

  PrintedRecords result;

  // False when the sink wants no more.
  bool take(const SegmentReader& reader) {
    ++result.records;
    const auto& record = reader.record();
    if (!selects(record)) return true;
    ++result.printed;
    const auto conn = record.connection == 0 ? std::string() : std::to_string(record.connection);
    append_capture_line(lines_, capture_line_of(record, reader.connection_url(), conn));
    return lines_.size() < kFlushBytes || flush();
  }
  bool flush() {
    const bool wanted = lines_.empty() || sink_(lines_);
    lines_.clear();
    return wanted;
  }
  void lose(std::uint64_t records, std::string what) {
    result.lost_records += records;
    if (result.losses.size() < kMaxLosses) result.losses.push_back(std::move(what));
  }

 private:
  static constexpr std::size_t kFlushBytes = 256u << 10;
  static constexpr std::size_t kMaxLosses = 100;

  bool selects(const RawRecord& record) const {
    if (selection_.from && record.received_at < *selection_.from) return false;
    if (selection_.to && record.received_at >= *selection_.to) return false;
    const bool by_source = !selection_.exchanges.empty() || selection_.market;
    if (!by_source) return true;
    // Start and stop belong to all sources.
    if (record.source == nullptr) return true;
    if (!selection_.exchanges.empty() && !selection_.exchanges.contains(record.source->exchange)) return false;
    return !selection_.market || record.source->market == *selection_.market;
  }

  const RecordSelection& selection_;
  const LineSink& sink_;
  std::string lines_;
};

enum class Printed { all, unwanted };

Result<Printed> print_segment(SegmentReader& reader, Printer& printer) {
  while (true) {
    switch (reader.next()) {
      case ReadState::record:
        if (!printer.take(reader)) return Printed::unwanted;
        break;
      case ReadState::damaged:
        printer.lose(reader.damage().records.value_or(0),
                     fmt::format("segment {}, {}", reader.header().segment, reader.damage().text()));
        break;
      case ReadState::failed: return reader.error();
      case ReadState::end:
      case ReadState::no_more_yet:
      case ReadState::torn: return Printed::all;
    }
  }
}

}  // namespace

Result<PrintedRecords> print_capture_lines(const JournalFiles& journal, const RecordSelection& selection,
                                           const LineSink& sink) {
  Printer printer(selection, sink);
  std::optional<SegmentReached> reached;
  for (const auto& file : journal.segments) {
    if (selection.segment && file.number != *selection.segment) continue;
    auto reader = SegmentReader::open(file.path);
    if (!reader && reader.error().code == Errc::io) return reader.error();
    if (!reader) {
      printer.lose(0, fmt::format("{} cannot be read: {}", name_of(file), reader.error().text()));
      reached = SegmentReached{file.number, std::nullopt};
      continue;
    }
    if (reached)
      if (const auto missing = missing_before(reader->header(), *reached))
        printer.lose(missing->records, missing->what);
    const auto printed = print_segment(*reader, printer);
    if (!printed) return printed.error();
    if (*printed == Printed::unwanted) return std::move(printer.result);
    reached = SegmentReached{file.number, reader->next_record()};
  }
  printer.flush();
  return std::move(printer.result);
}

}  // namespace mp::journal
