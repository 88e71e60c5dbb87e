// MetricRegistry: gives the modules' counters their public names.
//
// Modules count into plain structs (base/counter.h) and know no names; app, which knows every
// module, registers pointers here at start-up. A scrape then reads those counters with relaxed
// loads: the hot path neither locks nor looks anything up.
//
// Thread: registration on one thread, before the first Collect; afterwards nothing changes and
// Collect may be called by any thread. Everything registered must outlive the last Collect.
//
// Names are part of the product's interface, so the rules are checked here and a breach is a bug
// (NC_CHECK): a name is [a-z_][a-z0-9_]*; counters end in _total, histograms in _seconds, gauges in
// neither; every series of a name has the same type, help and label names; at most
// kLabelsMax labels, kSeriesMax series; label values are printable ASCII of at most kLabelBytesMax
// bytes. A label value never comes from the wire: a client could then make metrics without end.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "daemon/admin/metric_snapshot.h"
#include "daemon/base/counter.h"

namespace nearcached {

class MetricRegistry final : public MetricsSource {
 public:
  static constexpr std::size_t kLabelsMax = 4;
  static constexpr std::size_t kLabelBytesMax = 128;
  static constexpr std::size_t kSeriesMax = 1024;

  MetricRegistry() = default;
  MetricRegistry(const MetricRegistry&) = delete;
  MetricRegistry& operator=(const MetricRegistry&) = delete;
  ~MetricRegistry() = default;

  // Registered again under the same name and labels, several counters (gauges, histograms) become
  // one series, their sum: that is how workers are added up. Registering the same object twice is a
  // bug. `help` is one sentence. What is shown is the counter times `scale`: 1e-9 makes seconds of
  // nanoseconds.
  void AddCounter(const std::string& name, const std::string& help, MetricLabels labels,
                  const Counter* counter, double scale = 1.0);
  void AddGauge(const std::string& name, const std::string& help, MetricLabels labels,
                const Gauge* gauge, double scale = 1.0);
  void AddHistogram(const std::string& name, const std::string& help, MetricLabels labels,
                    const Histogram* histogram);

  // Values that nobody counts but anybody can ask for. `read` is called by every thread that
  // collects, perhaps by several at once.
  void AddCallbackCounter(const std::string& name, const std::string& help, MetricLabels labels,
                          std::function<double()> read);
  void AddCallbackGauge(const std::string& name, const std::string& help, MetricLabels labels,
                        std::function<double()> read);

  [[nodiscard]] MetricSnapshot Collect() const override;

 private:
  // One line of the exposition, or one set of buckets.
  struct Series {
    std::vector<const void*> identities;          // what it reads, to notice duplicates
    std::vector<std::function<double()>> values;  // summed
    std::vector<const Histogram*> histograms;     // summed
  };
  struct Family {
    std::string help;
    MetricType type = MetricType::kGauge;
    std::map<MetricLabels, Series> series;
  };

  Series& FindSeries(const std::string& name, const std::string& help, MetricType type,
                     MetricLabels labels);
  void AddCallback(Series& series, std::function<double()> read);

  std::map<std::string, Family> families_;
};

}  // namespace nearcached
