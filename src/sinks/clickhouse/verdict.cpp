#include "sinks/clickhouse/verdict.hpp"

namespace mp::sinks::clickhouse {
namespace {

using namespace std::chrono_literals;

// ClickHouse's ErrorCodes.cpp; the numbers never change their meaning.
enum Code {
  kThereIsNoColumn = 8,
  kIllegalColumn = 44,
  kNoSuchColumnInTable = 16,
  kTypeMismatch = 53,
  kUnknownTable = 60,
  kUnknownIdentifier = 47,
  kUnknownType = 50,
  kUnknownDatabase = 81,
  kUnknownUser = 192,
  kWrongPassword = 193,
  kRequiredPassword = 194,
  kIpNotAllowed = 195,
  kTooManyParts = 252,
  kSessionNotFound = 372,
  kSessionIsLocked = 373,
  kAccessDenied = 497,
  kAuthenticationFailed = 516,
  kCannotParseText = 6,
  kCannotReadAllData = 33,
  kSyntaxError = 62,
  kUnknownFormat = 73,
  kUnknownSetting = 115,
  kIncorrectData = 117,
  kUnknownFunction = 46,
  kArgumentOutOfBound = 69,
  kBadArguments = 36,
  kNumberOfArguments = 42,
  kIllegalTypeOfArgument = 43,
  kTooLargeArraySize = 128,
  kTooLargeStringSize = 131,
};

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok: return "ok";
    case Verdict::unreachable: return "unreachable";
    case Verdict::retry: return "retry";
    case Verdict::back_pressure: return "back_pressure";
    case Verdict::session_locked: return "session_locked";
    case Verdict::session_gone: return "session_gone";
    case Verdict::too_many_partitions: return "too_many_partitions";
    case Verdict::schema_mismatch: return "schema_mismatch";
    case Verdict::access_denied: return "access_denied";
    case Verdict::bad_data: return "bad_data";
  }
  return "?";
}

Verdict verdict_of(int http_status, int code, std::string_view text) {
  switch (code) {
    case 0: break;
    case kTooManyParts:
      // One code, two meanings: "Too many parts (N) … Merges are processing significantly slower than inserts" and
      // "Too many partitions for single INSERT block (more than 100)".
      return text.find("Too many partitions") != std::string_view::npos ? Verdict::too_many_partitions
                                                                        : Verdict::back_pressure;
    case kSessionIsLocked: return Verdict::session_locked;
    case kSessionNotFound: return Verdict::session_gone;
    case kThereIsNoColumn:
    case kIllegalColumn:
    case kNoSuchColumnInTable:
    case kTypeMismatch:
    case kUnknownTable:
    case kUnknownIdentifier:
    case kUnknownType:
    case kUnknownDatabase: return Verdict::schema_mismatch;
    case kUnknownUser:
    case kWrongPassword:
    case kRequiredPassword:
    case kIpNotAllowed:
    case kAccessDenied:
    case kAuthenticationFailed: return Verdict::access_denied;
    case kCannotParseText:
    case kCannotReadAllData:
    case kSyntaxError:
    case kUnknownFormat:
    case kUnknownSetting:
    case kUnknownFunction:
    case kIncorrectData:
    case kArgumentOutOfBound:
    case kBadArguments:
    case kNumberOfArguments:
    case kIllegalTypeOfArgument:
    case kTooLargeArraySize:
    case kTooLargeStringSize: return Verdict::bad_data;
    default: return Verdict::retry;
  }
  if (http_status == 200) return Verdict::ok;
  if (http_status == 401 || http_status == 403) return Verdict::access_denied;
  // Without a code it is not ClickHouse that answered: a proxy, or another server at this address.
  return Verdict::retry;
}

bool needs_a_person(Verdict verdict) {
  return verdict == Verdict::schema_mismatch || verdict == Verdict::access_denied || verdict == Verdict::bad_data;
}

BackoffPolicy backoff_after(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok: return {0ms, 0ms};
    case Verdict::session_locked:
    case Verdict::session_gone: return {50ms, 1'000ms};
    case Verdict::too_many_partitions: return {0ms, 1'000ms};
    case Verdict::unreachable:
    case Verdict::retry: return {200ms, 5'000ms};
    case Verdict::back_pressure: return {1'000ms, 30'000ms};
    case Verdict::schema_mismatch:
    case Verdict::access_denied:
    case Verdict::bad_data: return {5'000ms, 60'000ms};
  }
  return {};
}

}  // namespace mp::sinks::clickhouse
