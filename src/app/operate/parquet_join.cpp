#include "app/operate/parquet_join.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

namespace mp::operate {
namespace {

// Thrift's compact protocol (thrift-compact-protocol.md of Apache Thrift), as far as footers need it.
enum class Kind : std::uint8_t {
  yes = 1,
  no = 2,
  byte = 3,
  i16 = 4,
  i32 = 5,
  i64 = 6,
  real = 7,
  binary = 8,
  list = 9,
  set = 10,
  map = 11,
  structure = 12
};

struct Value {
  Kind kind{};
  std::int64_t number = 0;  // of the integers
  std::string bytes{};      // of binary, real and byte
  Kind of{};                // of a list's elements
  std::vector<Value> items{};
  std::vector<std::pair<std::int16_t, Value>> fields{};

  Value* find(std::int16_t id) {
    for (auto& [number_of, value] : fields)
      if (number_of == id) return &value;
    return nullptr;
  }
  void drop(std::int16_t id) {
    std::erase_if(fields, [id](const auto& field) { return field.first == id; });
  }
};

constexpr int kDeepest = 16;

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  std::optional<Value> structure(int depth = 0) {
    Value value;
    value.kind = Kind::structure;
    std::int16_t id = 0;
    for (;;) {
      const auto head = byte();
      if (!head || depth > kDeepest) return std::nullopt;
      if (*head == 0) return value;
      const auto kind = static_cast<Kind>(*head & 15);
      if (const int step = *head >> 4; step != 0) {
        id = static_cast<std::int16_t>(id + step);
      } else {
        const auto said = varint();
        if (!said) return std::nullopt;
        id = static_cast<std::int16_t>(zigzag(*said));
      }
      auto field = of_kind(kind, depth, false);
      if (!field) return std::nullopt;
      value.fields.emplace_back(id, std::move(*field));
    }
  }
  bool at_end() const { return bytes_.empty(); }

 private:
  static std::int64_t zigzag(std::uint64_t n) {
    return static_cast<std::int64_t>(n >> 1) ^ -static_cast<std::int64_t>(n & 1);
  }
  std::optional<std::uint8_t> byte() {
    if (bytes_.empty()) return std::nullopt;
    const auto first = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return first;
  }
  std::optional<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto next = byte();
      if (!next) return std::nullopt;
      value |= static_cast<std::uint64_t>(*next & 127) << shift;
      if ((*next & 128) == 0) return value;
    }
    return std::nullopt;
  }
  std::optional<Value> raw(Value value, std::uint64_t size) {
    if (size > bytes_.size()) return std::nullopt;
    value.bytes = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return value;
  }
  std::optional<Value> of_kind(Kind kind, int depth, bool in_list) {
    Value value;
    value.kind = kind;
    switch (kind) {
      case Kind::yes:
      case Kind::no:
        // A field's truth stands in its kind, an element's in a byte of its own.
        return in_list ? raw(std::move(value), 1) : std::optional(value);
      case Kind::byte: return raw(std::move(value), 1);
      case Kind::real: return raw(std::move(value), 8);
      case Kind::i16:
      case Kind::i32:
      case Kind::i64: {
        const auto said = varint();
        if (!said) return std::nullopt;
        value.number = zigzag(*said);
        return value;
      }
      case Kind::binary: {
        const auto size = varint();
        if (!size) return std::nullopt;
        return raw(std::move(value), *size);
      }
      case Kind::list:
      case Kind::set: return list(std::move(value), depth);
      case Kind::structure: return structure(depth + 1);
      case Kind::map: return std::nullopt;  // footers have none
    }
    return std::nullopt;
  }
  std::optional<Value> list(Value value, int depth) {
    const auto head = byte();
    if (!head || depth > kDeepest) return std::nullopt;
    value.of = static_cast<Kind>(*head & 15);
    std::optional<std::uint64_t> size = *head >> 4;
    if (*size == 15) size = varint();
    if (!size || *size > bytes_.size()) return std::nullopt;  // an element is a byte at least
    for (std::uint64_t i = 0; i < *size; ++i) {
      auto item = of_kind(value.of, depth + 1, true);
      if (!item) return std::nullopt;
      value.items.push_back(std::move(*item));
    }
    return value;
  }

  std::string_view bytes_;
};

void put_varint(std::string& out, std::uint64_t n) {
  for (; n > 127; n >>= 7) out += static_cast<char>((n & 127) | 128);
  out += static_cast<char>(n);
}
void put_zigzag(std::string& out, std::int64_t n) {
  put_varint(out, (static_cast<std::uint64_t>(n) << 1) ^ static_cast<std::uint64_t>(n >> 63));
}

void put(std::string& out, const Value& value) {
  switch (value.kind) {
    case Kind::yes:
    case Kind::no:
    case Kind::byte:
    case Kind::real: out += value.bytes; break;
    case Kind::i16:
    case Kind::i32:
    case Kind::i64: put_zigzag(out, value.number); break;
    case Kind::binary:
      put_varint(out, value.bytes.size());
      out += value.bytes;
      break;
    case Kind::list:
    case Kind::set: {
      const auto kind = static_cast<std::uint8_t>(value.of);
      const bool is_short = value.items.size() < 15;
      out += static_cast<char>((is_short ? value.items.size() << 4 : 0xF0U) | kind);
      if (!is_short) put_varint(out, value.items.size());
      for (const auto& item : value.items) put(out, item);
      break;
    }
    case Kind::structure: {
      std::int16_t last = 0;
      for (const auto& [id, field] : value.fields) {
        const int step = id - last;
        const auto kind = static_cast<std::uint8_t>(field.kind);
        if (step > 0 && step < 16) {
          out += static_cast<char>((step << 4) | kind);
        } else {
          out += static_cast<char>(kind);
          put_zigzag(out, id);
        }
        put(out, field);
        last = id;
      }
      out += '\0';
      break;
    }
    case Kind::map: break;  // never read
  }
}

// Numbers of the fields of parquet.thrift.
constexpr std::int16_t kSchema = 2, kRows = 3, kRowGroups = 4;        // FileMetaData
constexpr std::int16_t kColumns = 1, kGroupOffset = 5, kOrdinal = 7;  // RowGroup
constexpr std::int16_t kChunkOffset = 2, kMetaData = 3;               // ColumnChunk
constexpr std::int16_t kPageIndex[] = {4, 5, 6, 7};                   // ColumnChunk
constexpr std::int16_t kMetaOffsets[] = {9, 10, 11,
                                         14};  // ColumnMetaData: data, index and dictionary pages, bloom filter

void move(Value* offset, std::int64_t by) {
  // 0 stands for "not told" in the optional ones, and for nothing at all in ColumnChunk.file_offset.
  if (offset != nullptr && offset->number > 0) offset->number += by;
}

bool move_group(Value& group, std::int64_t by) {
  auto* columns = group.find(kColumns);
  if (columns == nullptr) return false;
  move(group.find(kGroupOffset), by);
  for (auto& chunk : columns->items) {
    for (const auto id : kPageIndex) chunk.drop(id);
    move(chunk.find(kChunkOffset), by);
    auto* meta = chunk.find(kMetaData);
    if (meta == nullptr) return false;
    for (const auto id : kMetaOffsets) move(meta->find(id), by);
  }
  return true;
}

Error corrupt(const std::string& what) { return {Errc::corrupt, "Parquet footer", what}; }

}  // namespace

Result<std::uint32_t> parquet_footer_size(std::string_view tail) {
  if (tail.size() != kParquetTail || !tail.ends_with(kParquetMagic)) return corrupt("the file does not end with PAR1");
  std::uint32_t size = 0;
  for (int i = 3; i >= 0; --i) size = (size << 8) | static_cast<std::uint8_t>(tail[static_cast<std::size_t>(i)]);
  return size;
}

struct ParquetJoin::Impl {
  std::optional<Value> footer;
  std::string schema;
};

ParquetJoin::ParquetJoin() : impl_(std::make_unique<Impl>()) {}
ParquetJoin::~ParquetJoin() = default;

Result<std::uint64_t> ParquetJoin::add(std::string_view bytes, std::uint64_t data_begin) {
  Reader reader(bytes);
  auto read = reader.structure();
  if (!read || !reader.at_end()) return corrupt("it cannot be read");
  auto* schema = read->find(kSchema);
  auto* rows = read->find(kRows);
  auto* groups = read->find(kRowGroups);
  if (schema == nullptr || rows == nullptr || groups == nullptr || rows->number < 0)
    return corrupt("schema, rows or row groups are missing");
  const auto count = rows->number;
  const auto by = static_cast<std::int64_t>(data_begin) - static_cast<std::int64_t>(kParquetMagic.size());
  for (auto& group : groups->items)
    if (!move_group(group, by)) return corrupt("a row group without columns");
  std::string text;
  put(text, *schema);
  if (!impl_->footer) {
    impl_->schema = std::move(text);
    impl_->footer = std::move(*read);
    return static_cast<std::uint64_t>(count);
  }
  if (text != impl_->schema) return Error{Errc::conflict, "Parquet", "the columns changed while they were read"};
  auto* all = impl_->footer->find(kRowGroups);
  for (auto& group : groups->items) {
    if (auto* ordinal = group.find(kOrdinal)) ordinal->number = static_cast<std::int64_t>(all->items.size());
    all->items.push_back(std::move(group));
  }
  impl_->footer->find(kRows)->number += count;
  // The element kind of an empty list may be anything.
  if (!groups->items.empty()) all->of = groups->of;
  return static_cast<std::uint64_t>(count);
}

std::string ParquetJoin::end() const {
  std::string out;
  put(out, *impl_->footer);
  const auto size = static_cast<std::uint32_t>(out.size());
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(size >> shift);
  return out + std::string(kParquetMagic);
}

}  // namespace mp::operate
