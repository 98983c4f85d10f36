#pragma once
// Which messages of the bus told nothing but gaps: looked for in the stream itself.

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace mp::launcher {

// The gap_ids that one message told.
using GapIds = std::vector<std::string>;

// Of each of these messages that told nothing but gaps with a gap_id; the others are left out, and those that the stream
// does not hold any more. Blocks; Errc::unavailable when NATS does not answer.
Result<std::vector<GapIds>> gaps_told(const std::string& nats_url, const std::string& stream, const std::vector<std::uint64_t>& sequences);

// The gap_ids of a message; empty when it has lines of any other kind, or cannot be read.
GapIds gap_ids_of(std::string_view subject, std::string_view payload);

// Splits an answer (TSV, one column) into `into`.
void read_lines(std::string_view answer, std::set<std::string, std::less<>>& into);
// Messages all of whose gaps are known.
std::uint64_t count_all_known(const std::vector<GapIds>& told, const std::set<std::string, std::less<>>& known);

}  // namespace mp::launcher
