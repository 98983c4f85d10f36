#pragma once
// Which connections live, and when they were last heard, by the records alone: a replay knows the same. Small and
// searched linearly: a session has a handful.

#include <algorithm>
#include <optional>
#include <vector>

#include "base/raw_record.hpp"
#include "feed/checkpoint.hpp"

namespace mp {

class Connections {
 public:
  // Recordings may open connections and never close them: then the oldest is forgotten.
  static constexpr std::size_t kMostOpen = 1024;

  // When a connection last proved that it lived, by receive times.
  struct Heard {
    ConnectionId connection = 0;
    WallTime frame_at{};                // a frame of any kind, or its opening; epoch where no record told
    std::optional<WallTime> data_at{};  // a frame that carries data
  };

  // It was opened, or has brought a frame (recordings may lack the line that opened it). 0 is no connection.
  void seen(ConnectionId connection) { entry(connection); }
  // A frame of any kind came over it.
  void heard(ConnectionId connection, WallTime at) {
    if (auto* known = entry(connection)) known->frame_at = std::max(known->frame_at, at);
  }
  // A frame with data came over it. True the first time.
  bool brought(ConnectionId connection, WallTime at) {
    auto* known = entry(connection);
    if (!known) return false;
    const bool first = !known->data_at;
    known->data_at = std::max(known->data_at.value_or(at), at);
    return first;
  }
  std::optional<Heard> last_heard(ConnectionId connection) const {
    const auto found = std::ranges::find(open_, connection, &Heard::connection);
    return found == open_.end() ? std::nullopt : std::optional{*found};
  }
  void closed(ConnectionId connection) {
    std::erase_if(open_, [&](const Heard& each) { return each.connection == connection; });
  }
  // A collector or a recording begins: every earlier connection is over.
  void clear() { open_.clear(); }

  bool is_open(ConnectionId connection) const {
    return std::ranges::find(open_, connection, &Heard::connection) != open_.end();
  }
  // Another living connection brought this stream last: what seems to be missing may come from there.
  bool others_carry(ConnectionId mine, ConnectionId last) const { return last != 0 && last != mine && is_open(last); }

  void save(StateWriter& out) const {
    out.put(std::uint64_t{open_.size()});
    for (const auto& each : open_) {
      out.put(std::uint64_t{each.connection});
      out.put(each.frame_at);
      out.put(each.data_at);
    }
  }
  void restore(StateReader& in) {
    open_.clear();
    for (auto n = in.count(3); n > 0 && in.ok(); --n) {
      Heard each;
      each.connection = static_cast<ConnectionId>(in.number());
      each.frame_at = in.time();
      each.data_at = in.optional<WallTime>([&] { return in.time(); });
      if (in.ok()) open_.push_back(each);
    }
  }

 private:
  Heard* entry(ConnectionId connection) {
    if (connection == 0) return nullptr;
    const auto found = std::ranges::find(open_, connection, &Heard::connection);
    if (found != open_.end()) return &*found;
    if (open_.size() >= kMostOpen) open_.erase(open_.begin());
    return &open_.emplace_back(Heard{.connection = connection});
  }

  std::vector<Heard> open_;  // oldest first
};

}  // namespace mp
