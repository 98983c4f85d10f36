#include "telemetry/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <mutex>
#include <set>

#include "base/version.hpp"
#include "net/clock.hpp"

namespace mp::telemetry {

void Counter::add(double by) { counter_->Increment(by); }
double Counter::value() const { return counter_->Value(); }
void Gauge::set(double value) { gauge_->Set(value); }
void Gauge::add(double by) { gauge_->Increment(by); }
double Gauge::value() const { return gauge_->Value(); }
void Histogram::observe(double value) { histogram_->Observe(value); }

struct Metrics::Impl {
  explicit Impl(std::size_t limit) : max_series(limit) {}

  // True when this series may be shown; counts the refused ones.
  bool admit(const std::string& name, const Labels& labels) {
    const std::lock_guard lock(mutex);
    if (series.contains({name, labels})) return true;
    if (series.size() >= max_series) {
      refused.Increment();
      return false;
    }
    series.emplace(name, labels);
    return true;
  }

  const std::size_t max_series;
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  // What refused series count into; not in the registry, so never shown.
  prometheus::Registry hidden{prometheus::Registry::InsertBehavior::Merge};
  prometheus::Counter& refused = prometheus::BuildCounter()
                                     .Name("marketprism_metric_series_refused_total")
                                     .Help("Requests for a metric series beyond this process's limit of series")
                                     .Register(registry)
                                     .Add({});
  std::mutex mutex;
  std::set<std::pair<std::string, Labels>> series;
  std::vector<std::function<void()>> updates;
};

Metrics::Metrics(std::size_t max_series) : impl_(std::make_unique<Impl>(max_series)) {}
Metrics::~Metrics() = default;

Counter Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
  const bool shown = impl_->admit(name, labels);
  auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(shown ? impl_->registry : impl_->hidden);
  return Counter(family.Add(shown ? labels : Labels{}));
}

Gauge Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  const bool shown = impl_->admit(name, labels);
  auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(shown ? impl_->registry : impl_->hidden);
  return Gauge(family.Add(shown ? labels : Labels{}));
}

Histogram Metrics::histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                             const Labels& labels) {
  const bool shown = impl_->admit(name, labels);
  auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(shown ? impl_->registry : impl_->hidden);
  return Histogram(family.Add(shown ? labels : Labels{}, bounds));
}

void Metrics::before_scrape(std::function<void()> update) {
  const std::lock_guard lock(impl_->mutex);
  impl_->updates.push_back(std::move(update));
}

std::string Metrics::text() {
  std::vector<std::function<void()>> updates;
  {
    const std::lock_guard lock(impl_->mutex);
    updates = impl_->updates;
  }
  for (const auto& update : updates) update();
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

const std::vector<double>& delay_bounds() {
  static const std::vector<double> bounds{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3,
                                          50e-3, 0.1,    0.25,   0.5,    1,    2.5,    5,    10,    30};
  return bounds;
}

namespace {

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double pages_total = 0;
  double pages_resident = 0;
  statm >> pages_total >> pages_resident;
  return pages_resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_files() {
  std::error_code ignored;
  double count = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", ignored);
       it != std::filesystem::directory_iterator(); it.increment(ignored)) {
    ++count;
  }
  return count;
}

}  // namespace

void add_process_metrics(Metrics& metrics, const std::string& part) {
  metrics
      .gauge("marketprism_build_info", "Always 1; the labels tell the version", {{"part", part}, {"version", kVersion}})
      .set(1);
  metrics.gauge("process_start_time_seconds", "When this process started, seconds since 1970")
      .set(static_cast<double>(nanos_since_epoch(net::now().wall)) * 1e-9);
  auto resident = metrics.gauge("process_resident_memory_bytes", "Resident memory");
  auto files = metrics.gauge("process_open_fds", "Open file descriptors");
  auto cpu = metrics.counter("process_cpu_seconds_total", "User and system time used");
  metrics.before_scrape([resident, files, cpu]() mutable {
    resident.set(resident_bytes());
    files.set(open_files());
    cpu.add(cpu_seconds() - cpu.value());
  });
}

void add_disk_metrics(Metrics& metrics, const std::string& use, const std::string& directory) {
  auto free = metrics.gauge("marketprism_disk_free_bytes", "What may still be written there", {{"use", use}});
  auto size = metrics.gauge("marketprism_disk_size_bytes", "Size of the file system", {{"use", use}});
  metrics.before_scrape([free, size, directory]() mutable {
    std::error_code error;
    const auto space = std::filesystem::space(directory, error);
    const auto unknown = std::numeric_limits<double>::quiet_NaN();
    free.set(error ? unknown : static_cast<double>(space.available));
    size.set(error ? unknown : static_cast<double>(space.capacity));
  });
}

}  // namespace mp::telemetry
