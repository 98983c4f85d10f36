#include "engine/engine_error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <stdexcept>

namespace mp::engine {
namespace {

const char* name_of(Code code) {
  switch (code) {
    case Code::bad_arguments: return "BAD_ARGUMENTS";
    case Code::cannot_read_all_data: return "CANNOT_READ_ALL_DATA";
    case Code::not_implemented: return "NOT_IMPLEMENTED";
    case Code::syntax_error: return "SYNTAX_ERROR";
    case Code::unknown_setting: return "UNKNOWN_SETTING";
    case Code::readonly: return "READONLY";
    case Code::too_many_simultaneous_queries: return "TOO_MANY_SIMULTANEOUS_QUERIES";
    case Code::cannot_parse_number: return "CANNOT_PARSE_NUMBER";
    case Code::network_error: return "NETWORK_ERROR";
    case Code::query_is_too_large: return "QUERY_IS_TOO_LARGE";
    case Code::zlib_inflate_failed: return "ZLIB_INFLATE_FAILED";
    case Code::into_outfile_not_allowed: return "INTO_OUTFILE_NOT_ALLOWED";
    case Code::session_not_found: return "SESSION_NOT_FOUND";
    case Code::session_is_locked: return "SESSION_IS_LOCKED";
    case Code::invalid_session_timeout: return "INVALID_SESSION_TIMEOUT";
    case Code::cannot_execute: return "STD_EXCEPTION";
    case Code::authentication_failed: return "AUTHENTICATION_FAILED";
    case Code::lz4_decoder_failed: return "LZ4_DECODER_FAILED";
    case Code::zstd_decoder_failed: return "ZSTD_DECODER_FAILED";
  }
  return "STD_EXCEPTION";
}

template <std::size_t N>
bool is_one_of(int code, const int (&codes)[N]) {
  return std::find(std::begin(codes), std::end(codes), code) != std::end(codes);
}

// Which status the server's HTTP interface gives to which error (ClickHouse 26).
constexpr int kForbidden[] = {192, 193, 497, 512, 516};  // unknown user, wrong password, access denied, role, login
// Arguments, unreadable values, columns, syntax, types.
constexpr int kBadRequest[] = {6,  8,   15,  25,  26,  27,  36,  37,  38,  41,  44,  53, 62,
                               72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676};
// Unknown function, identifier, type, storage, table, database, setting, format, role …
constexpr int kNotFound[] = {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511};
constexpr int kUnavailable[] = {76, 209, 439};

}  // namespace

void throw_exception_from_error(const EngineError& e, const boost::source_location&) { throw std::logic_error(e.text); }

EngineError make_error(Code code, std::string_view message) {
  return {static_cast<int>(code),
          fmt::format("Code: {}. DB::Exception: {}. ({})", static_cast<int>(code), message, name_of(code))};
}

// The library sometimes wraps a message in itself: "Code: 73. DB::Exception: Code: 73.
// DB::Exception: … (version 26.7). (…)". The innermost one, up to its version, is what a server
// says.
static std::string_view innermost(std::string_view text) {
  constexpr std::string_view kType = "DB::Exception: ";
  const auto type = text.find(kType);
  if (type == std::string_view::npos) return text;
  const auto prefix = text.substr(0, type + kType.size());
  bool wrapped = false;
  while (text.substr(prefix.size(), prefix.size()) == prefix) {
    text.remove_prefix(prefix.size());
    wrapped = true;
  }
  const auto version = text.find(" (version ");
  const auto end = text.find(')', version);
  if (!wrapped || version == std::string_view::npos || end == std::string_view::npos) return text;
  return text.substr(0, end + 1);
}

EngineError from_engine_text(std::string_view text) {
  constexpr std::string_view kPrefix = "Code: ";
  text = innermost(text);
  EngineError error{static_cast<int>(Code::cannot_execute), std::string(text)};
  while (!error.text.empty() && (error.text.back() == '\n' || error.text.back() == ' ')) error.text.pop_back();
  if (text.substr(0, kPrefix.size()) != kPrefix) {
    error.text = make_error(Code::cannot_execute, error.text).text;
    return error;
  }
  std::from_chars(text.data() + kPrefix.size(), text.data() + text.size(), error.code);
  return error;
}

std::string with_version(const EngineError& error, std::string_view version) {
  if (error.text.find("(version ") != std::string::npos) return error.text;
  return fmt::format("{} (version {})", error.text, version);
}

int http_status(int code) {
  if (code == 194) return 401;  // REQUIRED_PASSWORD
  if (is_one_of(code, kForbidden)) return 403;
  if (is_one_of(code, kBadRequest)) return 400;
  if (is_one_of(code, kNotFound)) return 404;
  if (code == 229) return 413;  // QUERY_IS_TOO_LARGE
  if (code == 48) return 501;   // NOT_IMPLEMENTED
  if (is_one_of(code, kUnavailable)) return 503;
  if (code == 381) return 411;  // HTTP_LENGTH_REQUIRED
  if (code == 159) return 408;  // TIMEOUT_EXCEEDED
  if (code == 779) return 415;  // UNSUPPORTED_MEDIA_TYPE
  return 500;
}

}  // namespace mp::engine
