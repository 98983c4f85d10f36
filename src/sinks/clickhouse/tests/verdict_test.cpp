#include "sinks/clickhouse/verdict.hpp"

#include <gtest/gtest.h>

namespace mp::sinks::clickhouse {
namespace {

struct Case {
  int status;
  int code;
  const char* text;
  Verdict verdict;
};

TEST(VerdictOf, AnswersOfTheServer) {
  const Case cases[] = {
      {200, 0, "", Verdict::ok},
      {500, 252,
       "Too many parts (3000 with average size of 1.00 KiB). Merges are processing significantly slower than inserts",
       Verdict::back_pressure},
      {500, 252, "Too many partitions for single INSERT block (more than 100).", Verdict::too_many_partitions},
      {404, 372, "Session not found.", Verdict::session_gone},
      {500, 373, "Session is locked by a concurrent client.", Verdict::session_locked},
      {404, 60, "Table marketprism_hot.trades doesn't exist.", Verdict::schema_mismatch},
      {404, 81, "Database x doesn't exist", Verdict::schema_mismatch},
      {404, 16, "No such column", Verdict::schema_mismatch},
      {516, 516, "default: Authentication failed", Verdict::access_denied},
      {403, 497, "Not enough privileges", Verdict::access_denied},
      {401, 0, "", Verdict::access_denied},
      {500, 241, "Memory limit (total) exceeded", Verdict::retry},
      {500, 243, "Cannot reserve 1.00 MiB, not enough space", Verdict::retry},
      {500, 159, "Timeout exceeded", Verdict::retry},
      {500, 999'999, "a code of the future", Verdict::retry},
      {502, 0, "Bad Gateway", Verdict::retry},
      {400, 33, "Cannot read all data", Verdict::bad_data},
      {400, 62, "Syntax error", Verdict::bad_data},
      // An error after the head of the answer was sent comes with status 200.
      {200, 241, "Memory limit exceeded", Verdict::retry},
  };
  for (const auto& c : cases) EXPECT_EQ(c.verdict, verdict_of(c.status, c.code, c.text)) << c.code << " " << c.text;
}

TEST(BackoffAfter, IsLongerWhereSomebodyMustAct) {
  for (const auto verdict : {Verdict::schema_mismatch, Verdict::access_denied, Verdict::bad_data}) {
    EXPECT_TRUE(needs_a_person(verdict));
    EXPECT_GT(backoff_after(verdict).first, backoff_after(Verdict::retry).first);
  }
  EXPECT_FALSE(needs_a_person(Verdict::back_pressure));
  EXPECT_LT(backoff_after(Verdict::session_locked).cap, backoff_after(Verdict::retry).cap);
}

}  // namespace
}  // namespace mp::sinks::clickhouse
