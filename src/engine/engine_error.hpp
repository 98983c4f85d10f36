#pragma once
// Errors as ClickHouse tells them: a number, a name, a text of a fixed shape, and the HTTP status
// that its HTTP interface gives each number.

#include <boost/system/result.hpp>
#include <string>
#include <string_view>

namespace mp::engine {

// The codes that this front gives by itself; the engine has many more.
enum class Code {
  bad_arguments = 36,
  cannot_read_all_data = 33,
  not_implemented = 48,
  syntax_error = 62,
  unknown_setting = 115,
  readonly = 164,
  too_many_simultaneous_queries = 202,
  cannot_parse_number = 72,
  network_error = 210,
  query_is_too_large = 229,
  zlib_inflate_failed = 354,
  into_outfile_not_allowed = 358,
  session_not_found = 372,
  session_is_locked = 373,
  invalid_session_timeout = 374,
  cannot_execute = 1001,
  authentication_failed = 516,
  lz4_decoder_failed = 618,
  zstd_decoder_failed = 561,
};

struct EngineError {
  int code = 0;
  std::string text;  // "Code: 60. DB::Exception: … (UNKNOWN_TABLE)", with or without the version
};

[[noreturn]] void throw_exception_from_error(const EngineError& e, const boost::source_location&);

template <class T>
using EngineResult = boost::system::result<T, EngineError>;

// "Code: 516. DB::Exception: <message>. (AUTHENTICATION_FAILED)"
EngineError make_error(Code code, std::string_view message);

// The engine's own text, whose number is read from it ("Code: 60. …"); 1001 (STD_EXCEPTION) when it
// has none.
EngineError from_engine_text(std::string_view text);

// The text with " (version 26.7.2.1)" at its end, unless it says so already.
std::string with_version(const EngineError& error, std::string_view version);

int http_status(int code);

}  // namespace mp::engine
