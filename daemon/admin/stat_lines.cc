#include "daemon/admin/stat_lines.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

namespace nearcached {
namespace {

std::string LabelText(const MetricLabels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    text += text.empty() ? '{' : ',';
    text.append(name).append("=\"").append(value).append("\"");
  }
  if (!text.empty()) {
    text += '}';
  }
  return text;
}

double Quantile(const HistogramSample& sample, std::uint64_t percent) {
  for (std::size_t i = 0; i < Histogram::kBounds; ++i) {
    // cumulative / count >= percent / 100, in integers
    if (sample.cumulative[i] * 100 >= sample.count() * percent) {
      return Histogram::BoundSeconds(i);
    }
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace

std::vector<StatLine> ToStatLines(const MetricSnapshot& snapshot, std::string_view prefix) {
  std::vector<StatLine> lines;
  const auto add = [&](std::string name, double value) {
    if (name.starts_with(prefix)) {
      lines.push_back({std::move(name), value});
    }
  };
  for (const MetricFamily& family : snapshot) {
    for (const MetricSample& sample : family.samples) {
      const std::string labels = LabelText(sample.labels);
      if (!sample.histogram.has_value()) {
        add(family.name + labels, sample.value);
        continue;
      }
      const HistogramSample& histogram = *sample.histogram;
      add(family.name + "_count" + labels, static_cast<double>(histogram.count()));
      add(family.name + "_sum" + labels, histogram.sum_seconds);
      if (histogram.count() > 0) {
        add(family.name + "_p50" + labels, Quantile(histogram, 50));
        add(family.name + "_p99" + labels, Quantile(histogram, 99));
      }
    }
  }
  return lines;
}

}  // namespace nearcached
