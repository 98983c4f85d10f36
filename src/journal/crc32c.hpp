#pragma once
// CRC-32C (Castagnoli), by SSE4.2 where the machine has it.

#include <cstdint>
#include <string_view>

namespace mp::journal {

// The checksum of what `crc` was computed over, continued by `bytes`; start with 0.
std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes);

// The version without special instructions; same results (for tests and other machines).
std::uint32_t crc32c_portable(std::uint32_t crc, std::string_view bytes);

}  // namespace mp::journal
