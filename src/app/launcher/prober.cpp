#include "app/launcher/prober.hpp"

#include <unistd.h>

#include "net/clock.hpp"

namespace mp::launcher {
namespace {

using namespace std::chrono_literals;
constexpr auto kTick = 50ms;
constexpr auto kWhileStarting = 100ms;
constexpr auto kWhileRunning = 1000ms;
// While it starts or drains an answer may be slow; a part that does not answer for longer is not well.
constexpr net::HttpTimeouts kTimeouts{.connect = 1s, .total = 3s};

}  // namespace

Result<std::optional<BusState>> ask_bus_state(net::HttpClient& client, const std::string& nats_http_url,
                                              const std::string& stream) {
  auto answer = client.request({.url = nats_http_url + "/jsz?streams=true&consumers=true", .timeouts = kTimeouts});
  if (!answer) return answer.error();
  if (answer->status != 200)
    return Error{Errc::refused, nats_http_url + "/jsz", "HTTP status " + std::to_string(answer->status)};
  return read_bus(answer->body, stream);
}

Prober::Prober(const std::vector<PartPlan>& parts, std::string nats_http_url, std::string stream, int wake)
    : nats_http_url_(std::move(nats_http_url)), stream_(std::move(stream)), wake_(wake) {
  for (const auto& part : parts) {
    targets_.push_back(std::make_unique<Target>());
    targets_.back()->url = part.health_url;
    targets_.back()->ready = part.ready;
  }
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

Prober::~Prober() = default;

void Prober::watch(std::size_t part, int generation) { targets_[part]->generation = generation; }

std::vector<Probe> Prober::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(seen_, {});
}

std::optional<BusState> Prober::bus() {
  const std::lock_guard lock(mutex_);
  return bus_;
}

void Prober::ask(std::size_t part, Target& target, std::stop_token stop) {
  const int generation = target.generation;
  if (generation != target.asked_generation) {
    target.asked_generation = generation;
    target.was_ready = false;
  }
  const auto answer = client_.request({.url = target.url, .timeouts = kTimeouts}, stop);
  Probe probe{part, generation, false, {}};
  probe.seen.at = net::now().mono;
  if (answer) probe.seen = read_health(answer->body, answer->status, probe.seen.at);
  probe.ready = answer && (target.ready == Ready::answer || answer->status == 200);
  if (!answer && target.was_ready) probe.seen.problem = "does not answer";
  target.was_ready = target.was_ready || probe.ready;
  target.next = net::now().mono + (target.was_ready && !hurried_ ? kWhileRunning : kWhileStarting);
  const std::lock_guard lock(mutex_);
  seen_.push_back(std::move(probe));
}

void Prober::ask_bus(std::stop_token) {
  const auto state = ask_bus_state(client_, nats_http_url_, stream_);
  next_bus_ = net::now().mono + kWhileRunning;
  const std::lock_guard lock(mutex_);
  if (state && *state) bus_ = **state;
}

void Prober::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    bool something = false;
    for (std::size_t i = 0; i < targets_.size() && !stop.stop_requested(); ++i) {
      if (targets_[i]->generation == 0 || net::now().mono < targets_[i]->next) continue;
      ask(i, *targets_[i], stop);
      something = true;
    }
    // The bus is the first part; it is asked once it has been seen well.
    if (targets_[0]->generation != 0 && targets_[0]->was_ready && net::now().mono >= next_bus_) ask_bus(stop);
    const std::uint64_t one = 1;
    if (something) [[maybe_unused]]
      const auto ignored = ::write(wake_, &one, sizeof one);
    std::this_thread::sleep_for(kTick);
  }
}

}  // namespace mp::launcher
