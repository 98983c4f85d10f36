#pragma once
// What a service shows on /metrics, read back. Pure.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mp::operate {

using MetricLabels = std::map<std::string, std::string>;

struct MetricSample {
  MetricLabels labels;
  double value = 0;
};

class MetricsPage {
 public:
  // Prometheus' text form; a line that is none of it is passed over.
  static MetricsPage parse(std::string_view text);

  bool empty() const { return samples_.empty(); }
  const std::vector<MetricSample>& all(const std::string& name) const;
  // Of the samples that have all of these labels: their sum; nothing when there is none, or one is not a number.
  std::optional<double> sum(const std::string& name, const MetricLabels& with = {}) const;

 private:
  std::map<std::string, std::vector<MetricSample>> samples_;
};

// What a histogram has counted, over all series that have these labels.
struct Distribution {
  std::map<double, double> buckets;  // upper bound -> observations up to it
  double sum = 0;
  double count = 0;

  std::optional<double> mean() const;
  // By linear interpolation within the bucket, as Prometheus does it; of what lies beyond the last bound: that bound.
  std::optional<double> quantile(double q) const;
};
Distribution distribution_of(const MetricsPage& page, const std::string& name, const MetricLabels& with = {});
// What came between; `now` itself when nothing did, or the process was started anew.
Distribution since(const Distribution& before, const Distribution& now);

}  // namespace mp::operate
