#include "daemon/admin/exposition.h"

#include <cstddef>
#include <limits>
#include <sstream>
#include <vector>

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace nearcached {
namespace {

prometheus::MetricType TypeOf(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return prometheus::MetricType::Counter;
    case MetricType::kHistogram:
      return prometheus::MetricType::Histogram;
    case MetricType::kGauge:
      break;
  }
  return prometheus::MetricType::Gauge;
}

prometheus::ClientMetric::Histogram ToPrometheus(const HistogramSample& sample) {
  prometheus::ClientMetric::Histogram out;
  out.sample_count = sample.count();
  out.sample_sum = sample.sum_seconds;
  out.bucket.resize(Histogram::kBuckets);
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    out.bucket[i].cumulative_count = sample.cumulative[i];
    out.bucket[i].upper_bound = i < Histogram::kBounds ? Histogram::BoundSeconds(i)
                                                       : std::numeric_limits<double>::infinity();
  }
  return out;
}

prometheus::ClientMetric ToPrometheus(const MetricSample& sample, MetricType type) {
  prometheus::ClientMetric out;
  out.label.reserve(sample.labels.size());
  for (const auto& [name, value] : sample.labels) {
    out.label.push_back({name, value});
  }
  if (sample.histogram.has_value()) {
    out.histogram = ToPrometheus(*sample.histogram);
  } else if (type == MetricType::kCounter) {
    out.counter.value = sample.value;
  } else {
    out.gauge.value = sample.value;
  }
  return out;
}

}  // namespace

std::string ToExposition(const MetricSnapshot& snapshot) {
  std::vector<prometheus::MetricFamily> families;
  families.reserve(snapshot.size());
  for (const MetricFamily& family : snapshot) {
    prometheus::MetricFamily& out = families.emplace_back();
    out.name = family.name;
    out.help = family.help;
    out.type = TypeOf(family.type);
    out.metric.reserve(family.samples.size());
    for (const MetricSample& sample : family.samples) {
      out.metric.push_back(ToPrometheus(sample, family.type));
    }
  }
  // Throws nothing of its own: only memory can run out here, and that ends the process anyway.
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return std::move(text).str();
}

}  // namespace nearcached
