#include "journal/record_codec.hpp"

#include "journal/bytes.hpp"
#include "journal/segment_format.hpp"

namespace mp::journal {
namespace {

// A record begins with a tag: its kind in the low four bits, and what follows in the others.
constexpr unsigned kKindMask = 0x0F;
constexpr unsigned kHasConnection = 0x10;   // the connection's number follows
constexpr unsigned kSameConnection = 0x20;  // it is the previous record's
constexpr unsigned kHasSource = 0x40;       // the source's number in this block follows
// Kinds that are no records.
constexpr unsigned kDefineSource = 14;
constexpr unsigned kDefineConnection = 15;

bool is_record_kind(unsigned kind) {
  return kind >= static_cast<unsigned>(RecordKind::start) && kind <= static_cast<unsigned>(RecordKind::unreadable);
}

bool carries_url(RecordKind kind) {
  return kind == RecordKind::opened || kind == RecordKind::rest || kind == RecordKind::rest_failed ||
         kind == RecordKind::unreadable;
}

void put_tag(std::string& out, unsigned tag) { out.push_back(static_cast<char>(tag)); }

}  // namespace

void RecordEncoder::begin_block() {
  sources_.clear();
  connections_.clear();
  previous_time_ = 0;
  previous_connection_ = 0;
}

std::size_t RecordEncoder::source_index(std::string& out, const Source& source) {
  const auto [at, added] = sources_.try_emplace(source, sources_.size());
  if (added) {
    put_tag(out, kDefineSource);
    put_text(out, source.exchange);
    put_text(out, source.market);
  }
  return at->second;
}

void RecordEncoder::define_connection(std::string& out, const RawRecord& record, const Connection* known) {
  const Source* source = known != nullptr ? known->source : record.source;
  if (source == nullptr) return;  // nothing is known that could be defined
  const auto index = source_index(out, *source);
  put_tag(out, kDefineConnection);
  put_varint(out, record.connection);
  put_varint(out, index);
  put_text(out, known != nullptr ? std::string_view(known->url) : std::string_view());
  connections_[record.connection] = index;
}

void RecordEncoder::append(std::string& out, const RawRecord& record, const Connection* known) {
  const bool defines = record.kind == RecordKind::opened;
  if (record.connection != 0 && !defines && !connections_.contains(record.connection))
    define_connection(out, record, known);

  // A record's source is told when its connection does not tell it.
  bool tells_source = false;
  std::size_t source = 0;
  if (record.source != nullptr) {
    source = source_index(out, *record.source);
    const auto of_connection = connections_.find(record.connection);
    tells_source = defines || of_connection == connections_.end() || of_connection->second != source;
  }
  unsigned tag = static_cast<unsigned>(record.kind);
  if (record.connection != 0) tag |= record.connection == previous_connection_ ? kSameConnection : kHasConnection;
  if (tells_source) tag |= kHasSource;

  put_tag(out, tag);
  if ((tag & kHasConnection) != 0) put_varint(out, record.connection);
  const auto time = nanos_since_epoch(record.received_at);
  // Wraps around rather than overflow: the reader adds in the same arithmetic.
  put_varint(out, zigzag(static_cast<std::int64_t>(static_cast<std::uint64_t>(time) -
                                                   static_cast<std::uint64_t>(previous_time_))));
  if (tells_source) put_varint(out, source);
  if (record.kind == RecordKind::rest) put_varint(out, zigzag(record.status));
  if (carries_url(record.kind)) put_text(out, record.url);
  put_text(out, record.payload);

  previous_time_ = time;
  if (record.connection != 0) previous_connection_ = record.connection;
  if (defines && record.connection != 0) {
    if (tells_source)
      connections_[record.connection] = source;
    else
      connections_.erase(record.connection);
  }
}

void RecordDecoder::begin_block() {
  block_sources_.clear();
  connections_.clear();
  previous_time_ = 0;
  previous_connection_ = 0;
  left_ = {};
}

void RecordDecoder::begin_group(std::string_view padded_bytes) { left_ = padded_bytes; }

bool RecordDecoder::define_source() {
  ByteReader in(left_);
  Source source;
  source.exchange = std::string(in.text());
  source.market = std::string(in.text());
  left_ = in.left();
  if (!in.ok()) return false;
  block_sources_.push_back(sources_->intern(source));
  return true;
}

bool RecordDecoder::define_connection() {
  ByteReader in(left_);
  const auto id = in.varint();
  const auto source = in.varint();
  const auto url = in.text();
  left_ = in.left();
  if (!in.ok() || id == 0 || id > UINT32_MAX || source >= block_sources_.size() || url.size() > kMaxUrl) return false;
  connections_[static_cast<ConnectionId>(id)] = {block_sources_[source], std::string(url)};
  return true;
}

bool RecordDecoder::read_record(unsigned char tag, RawRecord& record) {
  ByteReader in(left_);
  record = RawRecord{};
  record.kind = static_cast<RecordKind>(tag & kKindMask);
  if ((tag & kSameConnection) != 0) record.connection = previous_connection_;
  if ((tag & kHasConnection) != 0) {
    const auto id = in.varint();
    if (id == 0 || id > UINT32_MAX) return false;
    record.connection = static_cast<ConnectionId>(id);
  }
  const auto time = static_cast<std::int64_t>(static_cast<std::uint64_t>(previous_time_) +
                                              static_cast<std::uint64_t>(unzigzag(in.varint())));
  record.received_at = wall_from_nanos(time);
  if ((tag & kHasSource) != 0) {
    const auto index = in.varint();
    if (index >= block_sources_.size()) return false;
    record.source = block_sources_[index];
  } else if (const auto* known = connection(record.connection)) {
    record.source = known->source;
  }
  if (record.kind == RecordKind::rest) record.status = static_cast<int>(unzigzag(in.varint()));
  if (carries_url(record.kind)) record.url = in.text();
  record.payload = in.text();
  left_ = in.left();
  if (!in.ok() || record.payload.size() > kMaxPayload || record.url.size() > kMaxUrl) return false;

  previous_time_ = time;
  if (record.connection != 0) previous_connection_ = record.connection;
  if (record.kind == RecordKind::opened && record.connection != 0)
    connections_[record.connection] = {record.source, std::string(record.url)};
  return true;
}

RecordDecoder::Next RecordDecoder::next(RawRecord& record) {
  while (!left_.empty()) {
    const auto tag = static_cast<unsigned char>(left_.front());
    left_.remove_prefix(1);
    const unsigned kind = tag & kKindMask;
    if (kind == kDefineSource || kind == kDefineConnection) {
      if (!(kind == kDefineSource ? define_source() : define_connection())) return Next::malformed;
      continue;
    }
    if (!is_record_kind(kind) || !read_record(tag, record)) return Next::malformed;
    return Next::record;
  }
  return Next::end;
}

const Connection* RecordDecoder::connection(ConnectionId id) const {
  const auto at = connections_.find(id);
  return at == connections_.end() ? nullptr : &at->second;
}

}  // namespace mp::journal
