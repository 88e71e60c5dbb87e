// MetricSnapshot: all metrics as plain values at one moment, for whoever shows them.
//
// The exposition format (exposition.h) and NEARCACHE STATS (stat_lines.h) are two views of it, so
// nothing can be in one and missing from the other. Plain values, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/counter.h"

namespace nearcached {

enum class MetricType : std::uint8_t { kCounter, kGauge, kHistogram };

// Name and value, sorted by name.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

struct HistogramSample {
  // Observations at or below Histogram::BoundSeconds(i); the last is all of them.
  std::array<std::uint64_t, Histogram::kBuckets> cumulative{};
  double sum_seconds = 0;

  [[nodiscard]] std::uint64_t count() const { return cumulative.back(); }
};

struct MetricSample {
  MetricLabels labels;
  double value = 0;                          // counters and gauges
  std::optional<HistogramSample> histogram;  // histograms
};

// Every series of one name.
struct MetricFamily {
  std::string name;
  std::string help;
  MetricType type = MetricType::kGauge;
  std::vector<MetricSample> samples;  // sorted by labels
};

using MetricSnapshot = std::vector<MetricFamily>;  // sorted by name

// Whoever can be asked for the metrics. Any thread, several at once.
class MetricsSource {
 public:
  [[nodiscard]] virtual MetricSnapshot Collect() const = 0;

 protected:
  ~MetricsSource() = default;
};

}  // namespace nearcached
