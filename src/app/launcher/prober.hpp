#pragma once
// Asks the running parts how they are, on a thread of its own, so that a part that does not answer holds up nothing.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/launcher/observe.hpp"
#include "app/launcher/plan.hpp"
#include "net/http_client.hpp"

namespace mp::launcher {

// What the prober saw since the last look. `ready` by the part's own rule.
struct Probe {
  std::size_t part = 0;
  int generation = 0;  // of the process that was asked (see watch)
  bool ready = false;
  Observation seen;
};

class Prober {
 public:
  // `wake` (an eventfd) is written when there is something new. Must outlive this.
  Prober(const std::vector<PartPlan>& parts, std::string nats_http_url, std::string stream, int wake);
  ~Prober();

  // From now on ask this part (0: do not); each process has another generation.
  void watch(std::size_t part, int generation);
  void hurry() { hurried_ = true; }  // ask often: somebody waits for the end
  std::vector<Probe> take();
  std::optional<BusState> bus();  // as last seen

 private:
  struct Target {
    std::string url;
    Ready ready;
    std::atomic<int> generation{0};
    MonoTime next{};
    bool was_ready = false;
    int asked_generation = 0;
  };
  void run(std::stop_token stop);
  void ask(std::size_t part, Target& target, std::stop_token stop);
  void ask_bus(std::stop_token stop);

  std::vector<std::unique_ptr<Target>> targets_;
  const std::string nats_http_url_;
  const std::string stream_;
  const int wake_;
  net::HttpClient client_;
  std::mutex mutex_;
  std::vector<Probe> seen_;
  std::optional<BusState> bus_;
  MonoTime next_bus_{};
  std::atomic<bool> hurried_{false};
  std::jthread thread_;  // last: ends before what it uses
};

// One look at the stream. Errc::unavailable when NATS does not answer; nothing when there is no stream.
Result<std::optional<BusState>> ask_bus_state(net::HttpClient& client, const std::string& nats_http_url,
                                              const std::string& stream);

}  // namespace mp::launcher
