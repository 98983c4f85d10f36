#pragma once
// What the dialects' tests share.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/market/ledger.hpp"
#include "sim/venue.hpp"

namespace mp::sim::test {

// Keeps what a venue sends.
struct Inbox : Delivery {
  void send(ClientId client, std::string_view text) override { messages[client].emplace_back(text); }
  void close(ClientId client, std::string_view reason) override { closed[client] = reason; }
  std::vector<std::string> take(ClientId client) { return std::exchange(messages[client], {}); }
  std::map<ClientId, std::vector<std::string>> messages;
  std::map<ClientId, std::string> closed;
};

struct Lines : LineSink {
  void line(std::string_view text) override { lines.emplace_back(text); }
  std::vector<std::string> lines;
  std::vector<std::string> of_type(std::string_view type) const {
    const std::string start = "{\"type\":\"" + std::string(type) + "\"";
    std::vector<std::string> out;
    for (const auto& line : lines)
      if (line.starts_with(start)) out.push_back(line);
    return out;
  }
};

}  // namespace mp::sim::test
