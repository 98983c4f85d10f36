#pragma once
// What ClickHouse's answer to an insert or a query means for the batch.

#include <string_view>

#include "base/backoff.hpp"

namespace mp::sinks::clickhouse {

enum class Verdict {
  ok,
  unreachable,          // no answer: the rows may be there or not
  retry,                // the server could not do it now (memory, time-out, shutting down, read-only, disk)
  back_pressure,        // too many parts: merges are behind, insert less often
  session_locked,       // an earlier statement of our session is still running
  session_gone,         // our session has ended (a restart, another process took over): begin anew
  too_many_partitions,  // one piece spans too many: our mistake, smaller pieces help
  schema_mismatch,      // table, column or type is not what we expect: a person must act
  access_denied,        // user, password or rights: a person must act
  bad_data,             // it does not read our bytes or our SQL: a bug of ours or a proxy in between
};
const char* to_string(Verdict verdict);

// `code` is ClickHouse's exception code (0 when there is none), `text` its message.
Verdict verdict_of(int http_status, int code, std::string_view text);

// Whether waiting alone will not help, somebody must do something.
bool needs_a_person(Verdict verdict);

// How long to wait after it before asking again.
BackoffPolicy backoff_after(Verdict verdict);

}  // namespace mp::sinks::clickhouse
