#pragma once
// Which connections live, by the records alone: a replay knows the same ones. Small and searched linearly: a session
// has a handful.

#include <algorithm>
#include <vector>

#include "base/raw_record.hpp"
#include "feed/checkpoint.hpp"

namespace mp {

class Connections {
 public:
  // Recordings may open connections and never close them: then the oldest is forgotten.
  static constexpr std::size_t kMostOpen = 1024;

  // It was opened, or has brought a frame (recordings may lack the line that opened it). 0 is no connection.
  void seen(ConnectionId connection) {
    if (connection == 0 || is_open(connection)) return;
    if (open_.size() >= kMostOpen) open_.erase(open_.begin());
    open_.push_back(connection);
  }
  void closed(ConnectionId connection) { std::erase(open_, connection); }
  // A collector or a recording begins: every earlier connection is over.
  void clear() { open_.clear(); }

  bool is_open(ConnectionId connection) const { return std::ranges::find(open_, connection) != open_.end(); }
  // Another living connection brought this stream last: what seems to be missing may come from there.
  bool others_carry(ConnectionId mine, ConnectionId last) const { return last != 0 && last != mine && is_open(last); }

  void save(StateWriter& out) const {
    out.put(std::uint64_t{open_.size()});
    for (const auto connection : open_) out.put(std::uint64_t{connection});
  }
  void restore(StateReader& in) {
    open_.clear();
    for (auto n = in.count(); n > 0 && in.ok(); --n) open_.push_back(static_cast<ConnectionId>(in.number()));
  }

 private:
  std::vector<ConnectionId> open_;  // oldest first
};

}  // namespace mp
