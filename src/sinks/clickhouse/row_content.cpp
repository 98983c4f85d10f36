#include "sinks/clickhouse/row_content.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace mp::sinks::clickhouse {
namespace {

constexpr std::string_view kNullable = "Nullable(";
constexpr std::size_t kBusBytes = 8 + 8 + 4;  // bus_stream, bus_sequence, bus_index
constexpr std::size_t kLevelBytes = 32;       // two Decimal(38, …)

std::int64_t int64_at(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return static_cast<std::int64_t>(value);
}

// bus_sequence and bus_index.
RowKey key_at(std::string_view bytes) {
  RowKey key{static_cast<std::uint64_t>(int64_at(bytes)), 0};
  for (std::size_t i = 0; i < 4; ++i) key.index |= std::uint32_t{static_cast<unsigned char>(bytes[8 + i])} << (8 * i);
  return key;
}

std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

// A length in front, then so many pieces of `each` bytes.
std::optional<std::size_t> counted_size(std::string_view bytes, std::size_t each) {
  auto rest = bytes;
  const auto count = take_varint(rest);
  if (!count || *count > rest.size() / each) return std::nullopt;
  return bytes.size() - rest.size() + static_cast<std::size_t>(*count) * each;
}

// What tells one event of a table from another.
constexpr std::string_view kIdentity[] = {
    "timestamp",  "received_at", "detected_at",   "valid_from",     "exchange",    "market_type", "symbol",
    "data_type",  "trade_id",    "is_aggregated", "last_update_id", "is_snapshot", "depth",       "period",
    "resolution", "side",        "price",         "quantity",       "gap_id",      "version",     "raw"};

bool is_text(std::string_view type) { return type == "String" || type == kWord; }

}  // namespace

std::optional<std::size_t> value_size(std::string_view type, std::string_view bytes) {
  const auto fixed = [&](std::size_t size) { return bytes.size() >= size ? std::optional(size) : std::nullopt; };
  if (type.starts_with(kNullable)) {
    if (bytes.empty()) return std::nullopt;
    if (bytes.front() != '\0') return 1;
    const auto inner = value_size(type.substr(kNullable.size(), type.size() - kNullable.size() - 1), bytes.substr(1));
    return inner ? std::optional(*inner + 1) : std::nullopt;
  }
  if (is_text(type)) return counted_size(bytes, 1);
  if (type == kLevels) return counted_size(bytes, kLevelBytes);
  if (type.starts_with("DateTime64(")) return fixed(8);
  if (type.starts_with("Decimal(38")) return fixed(16);
  if (type == "UInt64") return fixed(8);
  if (type == "UInt32") return fixed(4);
  if (type == "Bool") return fixed(1);
  return std::nullopt;
}

Content::Content(const Table& table, bool rejected_by_storage) {
  for (const auto& column : table.columns) {
    const std::string_view name = column.name;
    if (name.starts_with("bus_")) continue;
    const bool is_bus_time = rejected_by_storage && name == "received_at";
    const bool chosen =
        std::find(std::begin(kIdentity), std::end(kIdentity), name) != std::end(kIdentity) && !is_bus_time;
    const bool is_range = chosen && (name == "timestamp" || name == "received_at" || name == "detected_at");
    steps_.push_back({column.type, chosen, is_range});
    if (chosen) names.emplace_back(name);
    if (is_range) ranges.emplace_back(name);
  }
}

std::optional<Content::Row> Content::of_row(std::string_view row) const {
  Row out;
  for (const auto& step : steps_) {
    const auto size = value_size(step.type, row);
    if (!size) return std::nullopt;
    if (step.chosen) out.content += row.substr(0, *size);
    if (step.is_range) out.times.push_back(int64_at(row));
    row.remove_prefix(*size);
  }
  if (row.size() != kBusBytes) return std::nullopt;
  out.stream = int64_at(row);
  return out;
}

std::optional<Content::Found> Content::take(std::string_view& answer) const {
  if (answer.size() < kBusBytes) return std::nullopt;
  Found out;
  out.stream = int64_at(answer);
  out.key = key_at(answer.substr(8));
  auto rest = answer.substr(kBusBytes);
  for (const auto& step : steps_) {
    if (!step.chosen) continue;
    const auto size = value_size(step.type, rest);
    if (!size) return std::nullopt;
    out.content += rest.substr(0, *size);
    rest.remove_prefix(*size);
  }
  answer = rest;
  return out;
}

std::string where_stream(WallTime stream) {
  const auto first = nanos_since_epoch(stream);
  return fmt::format(
      "bus_stream BETWEEN fromUnixTimestamp64Nano(toInt64({}), 'UTC') AND fromUnixTimestamp64Nano(toInt64({}), 'UTC')",
      first, first + kLivesOfAStream - 1);
}

Occupation occupation_of(const RowBatch& batch, const Content& data, const Content& rejected,
                         std::vector<Content::Found> data_rows, std::vector<Content::Found> rejected_rows) {
  const auto by_key = [](const Content::Found& a, const Content::Found& b) { return a.key < b.key; };
  std::sort(data_rows.begin(), data_rows.end(), by_key);
  std::sort(rejected_rows.begin(), rejected_rows.end(), by_key);
  Occupation out;
  for (std::uint32_t number = 0; number < batch.rows().size(); ++number) {
    const auto& row = batch.rows()[number];
    const bool goes_to_rejected = row.target == Target::rejected;
    const Content::Found place{0, row.key, {}};
    const auto [first, last] = std::equal_range(data_rows.begin(), data_rows.end(), place, by_key);
    const auto [first_rejected, last_rejected] =
        std::equal_range(rejected_rows.begin(), rejected_rows.end(), place, by_key);
    if (first == last && first_rejected == last_rejected) continue;
    const auto own = (goes_to_rejected ? rejected : data).of_row(batch.bytes_of(row));
    const auto same = [&](const Content::Found& there) { return own && there.content == own->content; };
    const bool in_the_other = goes_to_rejected ? first != last : first_rejected != last_rejected;
    if (in_the_other ||
        (goes_to_rejected ? std::any_of(first_rejected, last_rejected, same) : std::any_of(first, last, same))) {
      out.present.push_back(row.key);
      continue;
    }
    std::int64_t latest = 0;
    for (auto there = goes_to_rejected ? first_rejected : first; there != (goes_to_rejected ? last_rejected : last);
         ++there)
      latest = std::max(latest, there->stream);
    out.displaced.emplace_back(number, latest + 1);
  }
  return out;
}

Recognition::Recognition(const RowBatch& batch, Target target, const Content& content)
    : ranges_(content.ranges.size(),
              {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
  if (!batch.rows().empty()) {
    first_ = batch.rows().front().key.sequence;
    last_ = batch.rows().back().key.sequence;
  }
  for (const auto& row : batch.rows()) {
    if (row.target != target) continue;
    auto read = content.of_row(batch.bytes_of(row));
    if (!read) continue;  // we wrote it: cannot be
    in_batch_.emplace(row.key, read->content);
    if (!row.again) continue;
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      ranges_[i].first = std::min(ranges_[i].first, read->times[i]);
      ranges_[i].second = std::max(ranges_[i].second, read->times[i]);
    }
    wanted_.push_back({std::move(read->content), read->stream, row.key});
  }
  std::stable_sort(wanted_.begin(), wanted_.end(), [](const auto& a, const auto& b) { return a.content < b.content; });
}

std::string Recognition::where(const Content& content) const {
  std::string out;
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    out += fmt::format(
        "{}{} BETWEEN fromUnixTimestamp64Nano(toInt64({}), 'UTC') AND fromUnixTimestamp64Nano(toInt64({}), 'UTC')",
        out.empty() ? "" : " AND ", content.ranges[i], ranges_[i].first, ranges_[i].second);
  }
  return out;
}

// A row of the present stream, which came from a message that is not there any more.
bool Recognition::is_stale(const Content::Found& row, const IsCurrent& is_current) const {
  if (row.key.sequence < first_ || row.key.sequence > last_) return !is_current(row.key, row.content);
  const auto there = in_batch_.find(row.key);
  return there == in_batch_.end() || there->second != row.content;
}

void Recognition::found(const Content::Found& row, const IsCurrent& is_current) {
  auto at = std::lower_bound(wanted_.begin(), wanted_.end(), row.content,
                             [](const Wanted& wanted, const std::string& text) { return wanted.content < text; });
  for (; at != wanted_.end() && at->content == row.content; ++at) {
    if (at->recognised) continue;
    if (is_same_stream(at->stream, row.stream) && !is_stale(row, is_current)) return;
    at->recognised = true;
    keys_.push_back(at->key);
    return;
  }
}

}  // namespace mp::sinks::clickhouse
