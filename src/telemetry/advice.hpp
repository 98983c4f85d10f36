#pragma once
// What an operator is to do about a warning or an error: appended to its line as the field `do`. Messages are stable
// texts, so one table holds all of it; tests/log_texts_test.py finds every message of the sources in it.

#include <string_view>

namespace mp::telemetry {

// "" for a message that the table does not have.
std::string_view what_to_do(std::string_view message);

}  // namespace mp::telemetry
