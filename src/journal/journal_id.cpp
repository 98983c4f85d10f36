#include "journal/journal_id.hpp"

#include <openssl/rand.h>

#include <stdexcept>

#include "base/text.hpp"

namespace mp::journal {
namespace {

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string JournalId::text() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const auto byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

Result<JournalId> JournalId::parse(std::string_view text) {
  const Error refused{Errc::bad_value, "journal id (32 hexadecimal digits)", shortened(text, 64)};
  JournalId id;
  if (text.size() != 2 * id.bytes.size()) return refused;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    const int high = digit_value(text[2 * i]);
    const int low = digit_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return refused;
    id.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return id;
}

JournalId JournalId::random() {
  JournalId id;
  if (RAND_bytes(id.bytes.data(), static_cast<int>(id.bytes.size())) != 1)
    throw std::runtime_error("no random numbers from the operating system");
  return id;
}

}  // namespace mp::journal
