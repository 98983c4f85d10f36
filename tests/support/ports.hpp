#pragma once
// Ports for servers of tests.

#include <cstdint>

namespace mp::test {

// A port of 127.0.0.1 that nobody listens on, by chance, from below the range out of which the system serves those who
// ask for any: else another's outgoing connection could take it before its server does. Throws std::runtime_error when
// there is none.
std::uint16_t free_port();

}  // namespace mp::test
