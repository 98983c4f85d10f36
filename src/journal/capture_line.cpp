#include "journal/capture_line.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <optional>

#include "base/base64.hpp"
#include "base/text.hpp"

namespace mp::journal {
namespace {

namespace dom = simdjson::dom;
namespace ondemand = simdjson::ondemand;

struct KindName {
  RecordKind kind;
  std::string_view dir;
  std::string_view transport;
};
// text comes before binary: a received frame is text unless the line says otherwise.
constexpr std::array<KindName, 12> kKindNames{{
    {RecordKind::text, "recv", "ws"},
    {RecordKind::binary, "recv", "ws"},
    {RecordKind::sent, "send", "ws"},
    {RecordKind::opened, "connect", "ws"},
    {RecordKind::closed, "disconnect", "ws"},
    {RecordKind::rest, "recv", "rest"},
    {RecordKind::rest_failed, "fail", "rest"},
    {RecordKind::start, "start", "control"},
    {RecordKind::stop, "stop", "control"},
    {RecordKind::flush, "flush", "control"},
    {RecordKind::configured, "configure", "control"},
    {RecordKind::unreadable, "unreadable", "control"},
}};

const KindName& names_of(RecordKind kind) {
  for (const auto& names : kKindNames)
    if (names.kind == kind) return names;
  static constexpr KindName kNone{RecordKind{}, "unknown", "control"};
  return kNone;
}

std::optional<RecordKind> kind_of(std::string_view dir, std::string_view transport) {
  for (const auto& names : kKindNames)
    if (names.dir == dir && names.transport == transport) return names.kind;
  return std::nullopt;
}

bool carries_payload(RecordKind kind) {
  switch (kind) {
    case RecordKind::text:
    case RecordKind::binary:
    case RecordKind::rest:
    case RecordKind::sent:
    case RecordKind::configured:
    case RecordKind::unreadable: return true;
    case RecordKind::start:
    case RecordKind::stop:
    case RecordKind::opened:
    case RecordKind::closed:
    case RecordKind::flush:
    case RecordKind::rest_failed: return false;
  }
  return false;
}

// What the keys of a line held, before it is decided what the line means.
struct Fields {
  std::string_view time_text;
  std::string_view dir, transport, url, raw, raw_base64, wire, conn, exchange, market;
  bool has_time = false, has_dir = false, has_transport = false, has_raw = false;
  bool has_raw_base64 = false;
  std::int64_t status = 0;
};

struct FieldError {
  Errc code{};
  std::string_view field;  // "" means the whole line
  std::string seen;
};

// An address that is not UTF-8 cannot stand in JSON; its odd bytes are percent-encoded.
void append_url(std::string& out, std::string_view url) {
  if (simdjson::validate_utf8(url.data(), url.size())) return append_json_string(out, url);
  std::string encoded;
  for (const char c : url) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80)
      encoded.push_back(c);
    else
      fmt::format_to(std::back_inserter(encoded), "%{:02X}", byte);
  }
  append_json_string(out, encoded);
}

void append_text_field(std::string& out, std::string_view key, std::string_view value) {
  if (value.empty()) return;
  out += ",\"";
  out += key;
  out += "\":";
  append_url(out, value);
}

void append_payload(std::string& out, const CaptureLine& line) {
  const bool utf8 = simdjson::validate_utf8(line.payload.data(), line.payload.size());
  if (utf8) {
    out += ",\"raw\":";
    append_json_string(out, line.payload);
    if (line.kind == RecordKind::binary) out += ",\"wire\":\"binary-utf8\"";
    return;
  }
  out += ",\"raw_base64\":\"";
  append_base64(out, line.payload);
  out += '"';
  if (line.kind == RecordKind::text) out += ",\"wire\":\"text\"";
}

}  // namespace

// The DOM parser picks the fastest instructions of the machine it runs on, the on-demand one those of
// the machine it was compiled for; but only the latter tells how a number was written.
struct CaptureLineReader::State {
  dom::parser parser{kMaxCaptureLine + 1024};
  ondemand::parser number_parser{kMaxCaptureLine + 1024};
  std::string decoded;  // of raw_base64

  std::optional<FieldError> collect(std::string_view line, Fields& fields);
  std::optional<FieldError> take(std::string_view line, const dom::key_value_pair& field, Fields& fields);
  std::optional<FieldError> take_time(std::string_view line, const dom::element& value, Fields& fields);
  std::string_view text_of_time(std::string_view line);
};

namespace {

std::optional<FieldError> take_text(const dom::element& value, std::string_view name, std::string_view& to) {
  if (value.get_string().get(to) == simdjson::SUCCESS) return std::nullopt;
  return FieldError{Errc::bad_type, name, "not a string"};
}

std::optional<FieldError> take_status(const dom::element& value, Fields& fields) {
  if (value.get_int64().get(fields.status) != simdjson::SUCCESS)
    return FieldError{Errc::bad_type, "status", "not an integer"};
  if (fields.status >= 100 && fields.status <= 999) return std::nullopt;
  return FieldError{Errc::bad_value, "status", std::to_string(fields.status)};
}

Result<WallTime> time_of(const Fields& fields) { return parse_epoch_seconds(fields.time_text); }

// What the line is, from dir, transport and wire.
std::optional<FieldError> decide_kind(const Fields& fields, RecordKind& kind) {
  const auto found = kind_of(fields.dir, fields.transport);
  if (!found)
    return FieldError{Errc::bad_value, "dir, transport",
                      shortened(fmt::format("\"{}\" of \"{}\"", fields.dir, fields.transport)) +
                          "; known are ws: connect, disconnect, recv, send; rest: recv, fail; "
                          "control: start, stop, flush, configure, unreadable"};
  kind = *found;
  const bool binary = fields.has_raw_base64 ? fields.wire != "text" : fields.wire == "binary-utf8";
  if (kind == RecordKind::text && binary) kind = RecordKind::binary;
  return std::nullopt;
}

std::optional<FieldError> missing_field(const Fields& fields) {
  if (!fields.has_time) return FieldError{Errc::missing_field, "t", ""};
  if (!fields.has_dir) return FieldError{Errc::missing_field, "dir", ""};
  if (!fields.has_transport) return FieldError{Errc::missing_field, "transport", ""};
  return std::nullopt;
}

}  // namespace

// The number as it is written. The line is known to be a JSON object with a number "t".
std::string_view CaptureLineReader::State::text_of_time(std::string_view line) {
  constexpr std::string_view kUsual = "{\"t\":";
  std::string_view token;
  if (line.starts_with(kUsual)) {
    token = line.substr(kUsual.size());
    token.remove_prefix(std::min(token.find_first_not_of(" \t"), token.size()));
  } else {
    ondemand::document document;
    if (number_parser.iterate(line.data(), line.size(), line.size() + simdjson::SIMDJSON_PADDING).get(document) !=
            simdjson::SUCCESS ||
        document["t"].raw_json_token().get(token) != simdjson::SUCCESS)
      return {};
  }
  return token.substr(0, token.find_first_of(" \t\r\n,}"));
}

std::optional<FieldError> CaptureLineReader::State::take_time(std::string_view line, const dom::element& value,
                                                              Fields& fields) {
  fields.has_time = true;
  if (value.is_string()) return take_text(value, "t", fields.time_text);
  if (!value.is_number()) return FieldError{Errc::bad_type, "t", "neither number nor string"};
  fields.time_text = text_of_time(line);
  return std::nullopt;
}

std::optional<FieldError> CaptureLineReader::State::take(std::string_view line, const dom::key_value_pair& field,
                                                         Fields& fields) {
  const auto key = field.key;
  const auto& value = field.value;
  if (key == "t") return take_time(line, value, fields);
  if (key == "raw") {
    fields.has_raw = true;
    return take_text(value, "raw", fields.raw);
  }
  if (key == "raw_base64") {
    fields.has_raw_base64 = true;
    return take_text(value, "raw_base64", fields.raw_base64);
  }
  if (key == "dir") {
    fields.has_dir = true;
    return take_text(value, "dir", fields.dir);
  }
  if (key == "transport") {
    fields.has_transport = true;
    return take_text(value, "transport", fields.transport);
  }
  if (key == "url") return take_text(value, "url", fields.url);
  if (key == "conn") return take_text(value, "conn", fields.conn);
  if (key == "wire") return take_text(value, "wire", fields.wire);
  if (key == "exchange") return take_text(value, "exchange", fields.exchange);
  if (key == "market") return take_text(value, "market", fields.market);
  if (key == "status") return take_status(value, fields);
  return std::nullopt;
}

std::optional<FieldError> CaptureLineReader::State::collect(std::string_view line, Fields& fields) {
  dom::object object;
  const auto error = parser.parse(line.data(), line.size(), false).get_object().get(object);
  if (error)
    return FieldError{Errc::not_json, "", fmt::format("{}: {}", simdjson::error_message(error), shortened(line, 60))};
  for (const auto field : object)
    if (auto refused = take(line, field, fields)) return refused;
  return std::nullopt;
}

CaptureLineReader::CaptureLineReader() : state_(std::make_unique<State>()) {}
CaptureLineReader::~CaptureLineReader() = default;
CaptureLineReader::CaptureLineReader(CaptureLineReader&&) noexcept = default;
CaptureLineReader& CaptureLineReader::operator=(CaptureLineReader&&) noexcept = default;

Result<CaptureLine> CaptureLineReader::read(std::string_view line, std::uint64_t line_number) {
  const auto refuse = [&](const FieldError& e) {
    return Error{
        e.code,
        e.field.empty() ? fmt::format("line {}", line_number) : fmt::format("line {}, field {}", line_number, e.field),
        e.seen};
  };
  if (line.size() > kMaxCaptureLine)
    return refuse({Errc::out_of_range, "", fmt::format("{} bytes, more than {}", line.size(), kMaxCaptureLine)});
  Fields fields;
  if (auto e = state_->collect(line, fields)) return refuse(*e);
  if (auto e = missing_field(fields)) return refuse(*e);
  const auto time = time_of(fields);
  if (!time) return refuse({Errc::bad_time, "t", shortened(fields.time_text, 40)});

  CaptureLine result;
  if (auto e = decide_kind(fields, result.kind)) return refuse(*e);
  result.received_at = *time;
  result.url = fields.url;
  result.conn = fields.conn;
  result.exchange = fields.exchange;
  result.market = fields.market;
  result.payload = fields.raw;
  if (fields.has_raw_base64) {
    if (!decode_base64(fields.raw_base64, state_->decoded))
      return refuse({Errc::bad_value, "raw_base64", shortened(fields.raw_base64, 40)});
    const auto size = state_->decoded.size();
    state_->decoded.resize(size + RawRecord::kFramePadding);
    result.payload = std::string_view(state_->decoded).substr(0, size);
  } else if (!fields.has_raw) {
    if (carries_payload(result.kind)) return refuse({Errc::missing_field, "raw", ""});
    state_->decoded.assign(RawRecord::kFramePadding, '\0');
    result.payload = std::string_view(state_->decoded).substr(0, 0);
  }
  if (result.kind == RecordKind::rest) result.status = fields.status == 0 ? 200 : static_cast<int>(fields.status);
  return result;
}

void append_capture_line(std::string& out, const CaptureLine& line) {
  const auto& names = names_of(line.kind);
  out += "{\"t\":";
  append_epoch_seconds(out, line.received_at);
  out += ",\"dir\":\"";
  out += names.dir;
  out += "\",\"transport\":\"";
  out += names.transport;
  out += "\",\"url\":";
  append_url(out, line.url);
  append_payload(out, line);
  append_text_field(out, "conn", line.conn);
  append_text_field(out, "exchange", line.exchange);
  append_text_field(out, "market", line.market);
  if (line.kind == RecordKind::rest) fmt::format_to(std::back_inserter(out), ",\"status\":{}", line.status);
  out += "}\n";
}

CaptureLine capture_line_of(const RawRecord& record, std::string_view url, std::string_view conn) {
  CaptureLine line{
      record.kind, record.received_at, record.url.empty() ? url : record.url, record.payload, conn, record.status, {},
      {}};
  if (record.source != nullptr) {
    line.exchange = record.source->exchange;
    line.market = record.source->market;
  }
  return line;
}

}  // namespace mp::journal
