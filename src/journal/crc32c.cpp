#include "journal/crc32c.hpp"

#include <array>

#include "journal/bytes.hpp"

namespace mp::journal {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41 with its bits reversed

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (std::size_t t = 1; t < 8; ++t)
    for (std::size_t i = 0; i < 256; ++i) tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xFF];
  return tables;
}
constexpr Tables kTables = make_tables();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::uint32_t crc, std::string_view bytes) {
  std::uint64_t state = ~crc;
  for (; bytes.size() >= 8; bytes.remove_prefix(8))
    state = __builtin_ia32_crc32di(state, load_fixed<std::uint64_t>(bytes.data()));
  auto tail = static_cast<std::uint32_t>(state);
  for (const char c : bytes) tail = __builtin_ia32_crc32qi(tail, static_cast<unsigned char>(c));
  return ~tail;
}
#endif

using Function = std::uint32_t (*)(std::uint32_t, std::string_view);

Function fastest() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42;
#endif
  return crc32c_portable;
}

}  // namespace

std::uint32_t crc32c_portable(std::uint32_t crc, std::string_view bytes) {
  std::uint32_t state = ~crc;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    const auto low = load_fixed<std::uint32_t>(bytes.data()) ^ state;
    const auto high = load_fixed<std::uint32_t>(bytes.data() + 4);
    state = kTables[7][low & 0xFF] ^ kTables[6][(low >> 8) & 0xFF] ^ kTables[5][(low >> 16) & 0xFF] ^
            kTables[4][low >> 24] ^ kTables[3][high & 0xFF] ^ kTables[2][(high >> 8) & 0xFF] ^
            kTables[1][(high >> 16) & 0xFF] ^ kTables[0][high >> 24];
  }
  for (const char c : bytes) state = (state >> 8) ^ kTables[0][(state ^ static_cast<unsigned char>(c)) & 0xFF];
  return ~state;
}

std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes) {
  static const Function function = fastest();
  return function(crc, bytes);
}

}  // namespace mp::journal
