#pragma once
// Several venues behind one port: each has paths of its own.

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/faults.hpp"
#include "sim/venue.hpp"

namespace mp::sim {

class Venues final : public Venue {
 public:
  // `delivery` must outlive it.
  Venues(const FaultOptions& faults, WallTime start, Delivery& delivery) : faults_(faults, start, delivery) {}

  // What the venues send through.
  Delivery& delivery() { return faults_; }
  // Targets that begin with one of these are its own; the longest such beginning decides.
  void add(std::vector<std::string> paths, std::unique_ptr<Venue> venue);

  std::optional<ConnectionRules> open(ClientId client, std::string_view target) override;
  void text(ClientId client, std::string_view frame) override;
  void closed(ClientId client) override;
  std::string farewell(ClientId client, WallTime now) override;
  HttpAnswer rest(const HttpRequest& request, WallTime now) override;
  bool advance(WallTime now) override;
  std::optional<WallTime> next_due() const override;
  bool done() const override { return false; }
  void finish(WallTime now) override;
  std::uint64_t trades() const override;

  const FaultCounters& faults() const { return faults_.counters(); }

 private:
  struct Entry {
    std::vector<std::string> paths;
    std::unique_ptr<Venue> venue;
  };
  Venue* of(std::string_view target) const;

  Faults faults_;
  std::vector<Entry> entries_;
  std::unordered_map<ClientId, Venue*> clients_;
};

}  // namespace mp::sim
