#include "app/operate/metrics_page.hpp"

#include <cmath>
#include <cstdlib>
#include <limits>

namespace mp::operate {
namespace {

bool has_all(const MetricLabels& labels, const MetricLabels& with) {
  for (const auto& [name, value] : with) {
    const auto found = labels.find(name);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

double number_in(const std::string& text) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  if (text == "NaN" || text == "Nan") return std::numeric_limits<double>::quiet_NaN();
  return std::strtod(text.c_str(), nullptr);
}

// {a="x",b="y\"z"}; leaves `line` behind the brace. False when it is not well formed.
bool read_labels(std::string_view& line, MetricLabels& labels) {
  line.remove_prefix(1);
  while (!line.empty() && line.front() != '}') {
    const auto equals = line.find("=\"");
    if (equals == std::string_view::npos) return false;
    auto& value = labels[std::string(line.substr(0, equals))];
    line.remove_prefix(equals + 2);
    while (!line.empty() && line.front() != '"') {
      if (line.front() == '\\' && line.size() > 1) {
        line.remove_prefix(1);
        value += line.front() == 'n' ? '\n' : line.front();
      } else {
        value += line.front();
      }
      line.remove_prefix(1);
    }
    if (line.empty()) return false;
    line.remove_prefix(1);
    if (!line.empty() && line.front() == ',') line.remove_prefix(1);
  }
  if (line.empty()) return false;
  line.remove_prefix(1);
  return true;
}

}  // namespace

MetricsPage MetricsPage::parse(std::string_view text) {
  MetricsPage page;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    const auto name = std::string(line.substr(0, line.find_first_of("{ ")));
    line.remove_prefix(name.size());
    MetricSample sample;
    if (!line.empty() && line.front() == '{' && !read_labels(line, sample.labels)) continue;
    if (line.empty() || line.front() != ' ') continue;
    line.remove_prefix(1);
    sample.value = number_in(std::string(line.substr(0, line.find(' '))));
    page.samples_[name].push_back(std::move(sample));
  }
  return page;
}

const std::vector<MetricSample>& MetricsPage::all(const std::string& name) const {
  static const std::vector<MetricSample> none;
  const auto found = samples_.find(name);
  return found == samples_.end() ? none : found->second;
}

std::optional<double> MetricsPage::sum(const std::string& name, const MetricLabels& with) const {
  std::optional<double> sum;
  for (const auto& sample : all(name)) {
    if (!has_all(sample.labels, with)) continue;
    sum = sum.value_or(0) + sample.value;
  }
  return sum && std::isfinite(*sum) ? sum : std::nullopt;
}

std::optional<double> Distribution::mean() const {
  if (count <= 0) return std::nullopt;
  return sum / count;
}

std::optional<double> Distribution::quantile(double q) const {
  if (count <= 0) return std::nullopt;
  const double rank = q * count;
  double below = 0;
  double lower = 0;
  for (const auto& [bound, upto] : buckets) {
    if (upto >= rank && upto > below)
      return std::isinf(bound) ? lower : lower + (bound - lower) * (rank - below) / (upto - below);
    below = upto;
    lower = bound;
  }
  return lower;
}

Distribution distribution_of(const MetricsPage& page, const std::string& name, const MetricLabels& with) {
  Distribution found;
  for (const auto& sample : page.all(name + "_bucket")) {
    const auto le = sample.labels.find("le");
    if (le != sample.labels.end() && has_all(sample.labels, with)) found.buckets[number_in(le->second)] += sample.value;
  }
  found.sum = page.sum(name + "_sum", with).value_or(0);
  found.count = page.sum(name + "_count", with).value_or(0);
  return found;
}

Distribution since(const Distribution& before, const Distribution& now) {
  if (before.count >= now.count || before.buckets.size() != now.buckets.size()) return now;
  Distribution between = now;
  between.sum -= before.sum;
  between.count -= before.count;
  for (auto& [bound, count] : between.buckets) {
    const auto earlier = before.buckets.find(bound);
    if (earlier == before.buckets.end() || earlier->second > count) return now;
    count -= earlier->second;
  }
  return between;
}

}  // namespace mp::operate
