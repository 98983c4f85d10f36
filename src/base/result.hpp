#pragma once
// Expected failures as values: Result<T> is either a T or an Error that says what was seen and where.

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <utility>

namespace mp {

enum class Errc {
  not_json = 1,        // the text is not valid JSON
  missing_field,       // a field that must be there is not
  bad_type,            // a field has another JSON type than expected
  bad_number,          // not a decimal, or more digits than we keep exactly
  bad_time,            // not a time we understand, or out of range
  bad_value,           // a value outside its closed set
  unknown_instrument,  // the catalogue has no such instrument
  out_of_range,        // does not fit where it must go
  io,                  // the operating system or a peer failed
  corrupt,             // stored bytes fail their checks
  conflict,            // somebody else holds it, or it differs from what is required
  unavailable,         // not there now; trying again later may help
  timeout,
  refused,  // a peer answered no; trying again as it is will not help
  usage,    // the caller's input is wrong (options, configuration)
};

const char* to_string(Errc code);

struct Error {
  Errc code{};
  std::string where;  // which field, file, option, subject …
  std::string seen;   // what was found there, shortened if long

  std::string text() const { return std::string(to_string(code)) + ": " + where + (seen.empty() ? "" : ": " + seen); }
};

// boost::system::result calls this when value() is asked of a failed result: a programming error.
[[noreturn]] inline void throw_exception_from_error(const Error& e, const boost::source_location&) {
  throw std::logic_error(e.text());
}

template <class T>
using Result = boost::system::result<T, Error>;

}  // namespace mp
