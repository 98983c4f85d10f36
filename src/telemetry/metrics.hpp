#pragma once
// The numbers that this process shows on /metrics, in Prometheus' text form. Names begin with
// marketprism_, counters end in _total, units are base units (seconds, bytes).
// Thread-safe. Handles are cheap to copy and live as long as their Metrics; ask for one once, not per message.

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace mp::telemetry {

using Labels = std::map<std::string, std::string>;

class Counter {
 public:
  explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
  void add(double by = 1);
  double value() const;

 private:
  prometheus::Counter* counter_;
};

class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  void set(double value);
  void add(double by);
  double value() const;

 private:
  prometheus::Gauge* gauge_;
};

class Histogram {
 public:
  explicit Histogram(prometheus::Histogram& histogram) : histogram_(&histogram) {}
  void observe(double value);

 private:
  prometheus::Histogram* histogram_;
};

class Metrics {
 public:
  // Full-policy: a series beyond `max_series` is not shown; its handle counts into nothing and
  // marketprism_metric_series_refused_total says so.
  explicit Metrics(std::size_t max_series = 50'000);
  ~Metrics();

  // The same name and labels give the same series. Throws when a name was used with another type, or is
  // not a metric name: a programming error.
  Counter counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                      const Labels& labels = {});

  // Called before each scrape, to bring gauges up to date. Runs on: the thread that calls text().
  void before_scrape(std::function<void()> update);

  // What GET /metrics answers.
  std::string text();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Upper bounds in seconds for delays, from 50 µs to 30 s.
const std::vector<double>& delay_bounds();

// process_resident_memory_bytes, process_cpu_seconds_total, process_open_fds, process_start_time_seconds and
// marketprism_build_info, by the names that dashboards expect.
void add_process_metrics(Metrics& metrics, const std::string& part);

// marketprism_disk_free_bytes (what this user may still write) and marketprism_disk_size_bytes of the file system that
// holds `directory`, labelled with `use`; read at each scrape. NaN when it cannot be asked.
void add_disk_metrics(Metrics& metrics, const std::string& use, const std::string& directory);

}  // namespace mp::telemetry
