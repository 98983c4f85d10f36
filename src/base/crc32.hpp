#pragma once
// CRC-32 as zlib, PNG and several venues' book checksums have it (IEEE 802.3 polynomial, reflected).

#include <cstdint>
#include <string_view>

namespace mp {

// The checksum of the bytes; `so_far`: that of the bytes before them.
std::uint32_t crc32(std::string_view bytes, std::uint32_t so_far = 0);

}  // namespace mp
