#pragma once
// Who is subscribed to what, by the topic's name.

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/venue.hpp"

namespace mp::sim {

struct Topic {
  std::string name;
  std::vector<ClientId> clients;  // in order of subscription
  bool empty() const { return clients.empty(); }
};

class Topics {
 public:
  // Stays where it is as long as this object lives.
  Topic& topic(std::string_view name) {
    auto found = topics_.find(name);
    if (found == topics_.end()) {
      found = topics_.emplace(std::string(name), std::make_unique<Topic>()).first;
      found->second->name = name;
    }
    return *found->second;
  }

  // False when it was so already.
  bool subscribe(ClientId client, std::string_view name) {
    if (!of_[client].insert(std::string(name)).second) return false;
    topic(name).clients.push_back(client);
    return true;
  }
  bool unsubscribe(ClientId client, std::string_view name) {
    if (of_[client].erase(std::string(name)) == 0) return false;
    std::erase(topic(name).clients, client);
    return true;
  }
  // The names of what it had.
  std::set<std::string> forget(ClientId client) {
    std::set<std::string> names = std::move(of_[client]);
    of_.erase(client);
    for (const auto& name : names) std::erase(topic(name).clients, client);
    return names;
  }
  std::size_t count(ClientId client) const {
    const auto found = of_.find(client);
    return found == of_.end() ? 0 : found->second.size();
  }

 private:
  std::map<std::string, std::unique_ptr<Topic>, std::less<>> topics_;
  std::unordered_map<ClientId, std::set<std::string>> of_;
};

}  // namespace mp::sim
