#include "base/result.hpp"

namespace mp {

const char* to_string(Errc code) {
  switch (code) {
    case Errc::not_json: return "not JSON";
    case Errc::missing_field: return "missing field";
    case Errc::bad_type: return "wrong JSON type";
    case Errc::bad_number: return "bad number";
    case Errc::bad_time: return "bad time";
    case Errc::bad_value: return "bad value";
    case Errc::unknown_instrument: return "unknown instrument";
    case Errc::out_of_range: return "out of range";
    case Errc::io: return "I/O error";
    case Errc::corrupt: return "corrupt data";
    case Errc::conflict: return "conflict";
    case Errc::unavailable: return "unavailable";
    case Errc::timeout: return "timed out";
    case Errc::refused: return "refused";
    case Errc::usage: return "wrong usage";
  }
  return "unknown error";
}

}  // namespace mp
