#pragma once
// One line of a capture file, in both directions. A capture is JSON lines, the open form of what a
// journal holds; docs/journal.md describes it. Keys in any order, unknown keys are ignored:
//
//   {"t":1626992741.081672,"dir":"recv","transport":"ws","url":"wss://…","raw":"{\"e\":…}","conn":"1"}
//
//   t            receive time in seconds since 1970, a number or a string, exact to the nanosecond
//   transport    ws: dir connect | disconnect | recv | send
//                rest: dir recv | fail (no answer came; raw says why)
//                control: dir start | stop | flush | configure | unreadable (the edges of a recording; time that
//                passed; what is collected from here on, in `raw`; a line that could not be read, in `raw`, and in
//                `url` why)
//   raw          the payload as text, or instead of it
//   raw_base64   the payload's bytes in base64, when they are not UTF-8
//   wire         "binary-utf8": raw came as a binary frame. "text": raw_base64 came as a text frame.
//   conn         which connection, any text; absent for rest and control
//   status       HTTP status of a REST answer; 200 when absent
//   exchange, market   whose data it is, when the recorder knew

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/raw_record.hpp"

namespace mp::journal {

// No single line (and so no payload) may be longer.
inline constexpr std::size_t kMaxCaptureLine = 64u << 20;

struct CaptureLine {
  RecordKind kind{};
  WallTime received_at;
  std::string_view url;
  std::string_view payload;   // unescaped; padded like RawRecord::payload when it was read
  std::string_view conn;      // "" when absent
  int status = 0;             // of rest: the HTTP status, 200 when the line had none; 0 for other kinds
  std::string_view exchange;  // "" when absent
  std::string_view market;    // "" when absent
};

// Reads lines; keep one and reuse it, it owns the parser's memory. One thread at a time.
class CaptureLineReader {
 public:
  CaptureLineReader();
  ~CaptureLineReader();
  CaptureLineReader(CaptureLineReader&&) noexcept;
  CaptureLineReader& operator=(CaptureLineReader&&) noexcept;

  // `padded_line` has no line end, and RawRecord::kFramePadding readable bytes behind it (of any
  // content). The views of the result are valid until the next call, whatever becomes of the line.
  // Errors name "line N" and the field.
  [[nodiscard]] Result<CaptureLine> read(std::string_view padded_line, std::uint64_t line_number);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Appends the line and its '\n'. Keys come in a fixed order, so that equal lines are equal bytes.
void append_capture_line(std::string& out, const CaptureLine& line);

// The line of a record. `url` is the connection's address for frames (records of frames carry none);
// `conn` as it shall be printed, "" for none.
CaptureLine capture_line_of(const RawRecord& record, std::string_view url, std::string_view conn);

}  // namespace mp::journal
