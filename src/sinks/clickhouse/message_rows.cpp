#include "sinks/clickhouse/message_rows.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>

#include "base/text.hpp"

namespace mp::sinks::clickhouse {
namespace {

// The collector's bound for one event is 64 MB before compression; nothing that we wrote is larger.
constexpr std::size_t kMaxUnpacked = 64u << 20;

Result<void> unpack_zstd(std::string_view packed, std::string& out) {
  const auto size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
    return Error{Errc::corrupt, "MP-Encoding zstd", "the payload is not a zstd frame that tells its size"};
  if (size > kMaxUnpacked)
    return Error{Errc::out_of_range, "MP-Encoding zstd",
                 fmt::format("{} bytes unpacked, at most {} are taken", size, kMaxUnpacked)};
  out.resize(size);
  const auto got = ZSTD_decompress(out.data(), out.size(), packed.data(), packed.size());
  if (ZSTD_isError(got) != 0U) return Error{Errc::corrupt, "MP-Encoding zstd", ZSTD_getErrorName(got)};
  out.resize(got);
  return {};
}

// What a subject tells: "trade-data.binance.spot.BTC-USDT", "lsr-data.okx.perpetual.top-position.BTC-USDT".
struct SubjectParts {
  std::string exchange, market_type, symbol;
};
SubjectParts parts_of(std::string_view subject) {
  std::vector<std::string_view> tokens;
  for (std::size_t at = 0; at <= subject.size();) {
    const auto dot = std::min(subject.find('.', at), subject.size());
    tokens.push_back(subject.substr(at, dot - at));
    at = dot + 1;
  }
  SubjectParts parts;
  if (tokens.size() > 1) parts.exchange = tokens[1];
  if (tokens.size() > 2) parts.market_type = tokens[2];
  if (tokens.size() > 3) parts.symbol = tokens.back();
  return parts;
}

}  // namespace

std::vector<DataSource> sources_beside(DataSource main) {
  if (main == DataSource::live || main == DataSource::backfill) return {DataSource::live, DataSource::backfill};
  return {main};
}

MessageEncoder::MessageEncoder(EncodingOptions options)
    : options_(std::move(options)), table_(table_of(options_.type)) {}

void MessageEncoder::encode(const BusMessage& message, WallTime now, RowBatch& batch) {
  std::string_view lines = message.payload;
  if (message.encoding == "zstd") {
    if (const auto unpacked = unpack_zstd(message.payload, unpacked_); !unpacked)
      return reject(message, message.payload, {message.sequence, 0}, unpacked.error().text(), batch);
    lines = unpacked_;
  } else if (!message.encoding.empty()) {
    return reject(message, message.payload, {message.sequence, 0},
                  fmt::format("MP-Encoding is '{}', only zstd is known", message.encoding), batch);
  }
  std::uint32_t index = 0;
  while (!lines.empty()) {
    const auto end = std::min(lines.find('\n'), lines.size());
    const auto line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (!line.empty()) encode_line(message, line, index++, now, batch);
  }
  if (index == 0) reject(message, message.payload, {message.sequence, 0}, "the message is empty", batch);
}

void MessageEncoder::encode_line(const BusMessage& message, std::string_view line, std::uint32_t index, WallTime now,
                                 RowBatch& batch) {
  const RowKey key{message.sequence, index};
  const auto event = decoder_.decode(line);
  if (!event) return reject(message, line, key, event.error().text(), batch);
  if (const auto appended = append(*event, key, now, batch); !appended)
    return reject(message, line, key, appended.error().text(), batch);
  ++counters_.rows;
}

Result<void> MessageEncoder::append(const MarketEvent& event, RowKey key, WallTime now, RowBatch& batch) {
  if (type_of(event) != options_.type)
    return Error{Errc::bad_value, "type",
                 fmt::format("{} on a subject of {}", to_string(type_of(event)), to_string(options_.type))};
  const auto source = meta_of(event).data_source;
  if (std::find(options_.sources.begin(), options_.sources.end(), source) == options_.sources.end()) {
    ++counters_.foreign;
    foreign_source_ = source;
    return Error{Errc::conflict, "data_source",
                 fmt::format("{} does not belong into a database of {} data", to_string(source),
                             to_string(options_.sources.front()))};
  }
  const auto time = partition_time(event);
  const bool is_old = table_.expires && options_.hot_for && now - time > *options_.hot_for;
  const auto target = is_old ? Target::cold : Target::hot;
  auto& buffer = batch.buffer(target);
  const auto offset = buffer.size();
  if (auto appended = append_row(buffer, event, {options_.stream, key.sequence, key.index}); !appended) return appended;
  batch.add(key, target, partition_number(is_old ? Partitioning::month : table_.partitioning, time), offset);
  return {};
}

void MessageEncoder::reject(const BusMessage& message, std::string_view raw, RowKey key, const std::string& reason,
                            RowBatch& batch) {
  const auto parts = parts_of(message.subject);
  auto& buffer = batch.buffer(Target::rejected);
  const auto offset = buffer.size();
  append_rejected_row(buffer,
                      {.received_at = message.stored_at,
                       .exchange = parts.exchange,
                       .market_type = parts.market_type,
                       .symbol = parts.symbol,
                       .instrument = "",
                       .data_type = options_.type,
                       .data_source = to_string(options_.sources.front()),
                       .reason = reason,
                       .raw = raw},
                      {options_.stream, key.sequence, key.index});
  batch.add(key, Target::rejected, partition_number(Partitioning::month, message.stored_at), offset);
  ++counters_.rejected;
}

}  // namespace mp::sinks::clickhouse
