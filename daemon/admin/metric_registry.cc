#include "daemon/admin/metric_registry.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "daemon/base/check.h"

namespace nearcached {
namespace {

bool IsName(std::string_view text) {
  const auto is_lower = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  return !text.empty() && is_lower(text[0]) && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_lower(c) || (c >= '0' && c <= '9');
  });
}

bool IsTypeInName(std::string_view name, MetricType type) {
  const bool is_total = name.ends_with("_total");
  switch (type) {
    case MetricType::kCounter:
      return is_total;
    case MetricType::kHistogram:
      return name.ends_with("_seconds");
    case MetricType::kGauge:
      break;
  }
  return !is_total;
}

bool IsLabel(const std::pair<std::string, std::string>& label) {
  const auto& [name, value] = label;
  return IsName(name) && !name.starts_with("__") && name != "le" && name != "quantile" &&
         !value.empty() && value.size() <= MetricRegistry::kLabelBytesMax &&
         std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

bool HaveSameNames(const MetricLabels& a, const MetricLabels& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first; });
}

HistogramSample Sum(const std::vector<const Histogram*>& histograms) {
  HistogramSample sum;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    for (const Histogram* histogram : histograms) {
      count += histogram->bucket(i);
    }
    sum.cumulative[i] = count;
  }
  for (const Histogram* histogram : histograms) {
    sum.sum_seconds += histogram->sum_seconds();
  }
  return sum;
}

}  // namespace

MetricRegistry::Series& MetricRegistry::FindSeries(const std::string& name, const std::string& help,
                                                   MetricType type, MetricLabels labels) {
  NC_CHECK(IsName(name) && IsTypeInName(name, type) && !help.empty());
  NC_CHECK(labels.size() <= kLabelsMax && std::all_of(labels.begin(), labels.end(), &IsLabel));
  std::sort(labels.begin(), labels.end());
  NC_CHECK(std::adjacent_find(labels.begin(), labels.end(), [](const auto& a, const auto& b) {
             return a.first == b.first;
           }) == labels.end());

  const auto [it, is_new] = families_.try_emplace(name, Family{help, type, {}});
  Family& family = it->second;
  NC_CHECK(family.type == type && family.help == help);
  NC_CHECK(is_new || HaveSameNames(family.series.begin()->first, labels));
  Series& series = family.series[std::move(labels)];
  NC_CHECK(family.series.size() <= kSeriesMax);
  return series;
}

void MetricRegistry::AddCounter(const std::string& name, const std::string& help,
                                MetricLabels labels, const Counter* counter, double scale) {
  Series& series = FindSeries(name, help, MetricType::kCounter, std::move(labels));
  NC_CHECK(std::find(series.identities.begin(), series.identities.end(), counter) ==
           series.identities.end());
  series.identities.push_back(counter);
  series.values.emplace_back(
      [counter, scale] { return static_cast<double>(counter->value()) * scale; });
}

void MetricRegistry::AddGauge(const std::string& name, const std::string& help, MetricLabels labels,
                              const Gauge* gauge, double scale) {
  Series& series = FindSeries(name, help, MetricType::kGauge, std::move(labels));
  NC_CHECK(std::find(series.identities.begin(), series.identities.end(), gauge) ==
           series.identities.end());
  series.identities.push_back(gauge);
  series.values.emplace_back(
      [gauge, scale] { return static_cast<double>(gauge->value()) * scale; });
}

void MetricRegistry::AddHistogram(const std::string& name, const std::string& help,
                                  MetricLabels labels, const Histogram* histogram) {
  Series& series = FindSeries(name, help, MetricType::kHistogram, std::move(labels));
  NC_CHECK(std::find(series.identities.begin(), series.identities.end(), histogram) ==
           series.identities.end());
  series.identities.push_back(histogram);
  series.histograms.push_back(histogram);
}

void MetricRegistry::AddCallbackCounter(const std::string& name, const std::string& help,
                                        MetricLabels labels, std::function<double()> read) {
  AddCallback(FindSeries(name, help, MetricType::kCounter, std::move(labels)), std::move(read));
}

void MetricRegistry::AddCallbackGauge(const std::string& name, const std::string& help,
                                      MetricLabels labels, std::function<double()> read) {
  AddCallback(FindSeries(name, help, MetricType::kGauge, std::move(labels)), std::move(read));
}

// Functions have no identity by which a duplicate could be told from a second worker, so a series
// has one callback and nothing else.
void MetricRegistry::AddCallback(Series& series, std::function<double()> read) {
  NC_CHECK(series.values.empty());
  series.identities.push_back(&series);
  series.values.push_back(std::move(read));
}

MetricSnapshot MetricRegistry::Collect() const {
  MetricSnapshot snapshot;
  snapshot.reserve(families_.size());
  for (const auto& [name, family] : families_) {
    MetricFamily& out = snapshot.emplace_back();
    out.name = name;
    out.help = family.help;
    out.type = family.type;
    out.samples.reserve(family.series.size());
    for (const auto& [labels, series] : family.series) {
      MetricSample& sample = out.samples.emplace_back();
      sample.labels = labels;
      for (const auto& read : series.values) {
        sample.value += read();
      }
      if (family.type == MetricType::kHistogram) {
        sample.histogram = Sum(series.histograms);
      }
    }
  }
  return snapshot;
}

}  // namespace nearcached
