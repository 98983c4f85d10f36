#include "sinks/jetstream/messages.hpp"

#include <zstd.h>

#include <charconv>

#include "sinks/jetstream/positions.hpp"

namespace mp::jetstream {
namespace {

std::optional<std::string> compressed(std::string_view text, int level) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), text.data(), text.size(), level);
  if (ZSTD_isError(size)) return std::nullopt;
  out.resize(size);
  return out;
}

std::size_t room(const MessageLimits& limits) {
  return limits.max_payload > limits.reserved_for_headers ? limits.max_payload - limits.reserved_for_headers : 0;
}

}  // namespace

std::optional<MessageBody> message_of(const EventPosition& position, std::string_view json,
                                      const MessageLimits& limits) {
  MessageBody body;
  body.text.reserve(json.size() + 1);
  body.text = json;
  body.text += '\n';
  if (body.text.size() > limits.compress_above || body.text.size() > room(limits)) {
    auto smaller = compressed(body.text, limits.compression_level);
    if (!smaller || smaller->size() > room(limits)) return std::nullopt;
    body.text = std::move(*smaller);
    body.compressed = true;
  }
  body.events.push_back({position, body.text.size()});
  return body;
}

bool fits_alone(std::string_view json, const MessageLimits& limits) {
  const auto size = json.size() + 1;
  return (size <= limits.compress_above && size <= room(limits)) || message_of({}, json, limits).has_value();
}

bool fits(const MessageBody& body, std::string_view json, const MessageLimits& limits) {
  const std::size_t size = body.text.size() + json.size() + 1;
  return !body.compressed && size <= limits.cut_at && size <= room(limits);
}

void append_event(MessageBody& body, const EventPosition& position, std::string_view json) {
  body.text += json;
  body.text += '\n';
  body.events.push_back({position, body.text.size()});
}

std::uint64_t hash_of(std::string_view subject) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const char c : subject) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  return hash;
}

std::string message_id(std::string_view journal, std::uint64_t subject_hash, const EventPosition& first,
                       const EventPosition& last) {
  // 16 characters of the journal's 128 random bits are enough within a duplicate window.
  std::string out(journal.substr(0, 16));
  char buffer[20];
  out += '.';
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, subject_hash, 36).ptr);
  out += '.';
  append_text(out, first);
  out += '.';
  append_text(out, last);
  return out;
}

std::optional<std::string> decompressed(std::string_view payload, std::size_t limit) {
  const unsigned long long size = ZSTD_getFrameContentSize(payload.data(), payload.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > limit) return std::nullopt;
  std::string out(size, '\0');
  const std::size_t got = ZSTD_decompress(out.data(), out.size(), payload.data(), payload.size());
  if (ZSTD_isError(got) || got != out.size()) return std::nullopt;
  return out;
}

}  // namespace mp::jetstream
