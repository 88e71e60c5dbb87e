#include "daemon/admin/metric_reference.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

namespace nearcached {
namespace {

constexpr std::string_view kIntroduction =
    R"(# Metrics

Printed by `nearcached --print-metrics-reference` from what the daemon registers; a test compares the
two. `GET /metrics` at `metrics.address` serves them in the text format of Prometheus,
`NEARCACHE STATS [prefix]` shows the same over RESP. Alerts and a dashboard that use them are in
`deploy/`.

Counters only rise and begin at 0 with the process. A histogram is three families: `_bucket` with
the label `le`, `_sum` and `_count`; its bounds double from one microsecond to 16.8 seconds. No key and
no value is ever a label, and no label value comes from the wire. A series is there from the start,
whether anything happened or not, unless its line says "only where".

| name | type | unit | labels | meaning |
|---|---|---|---|---|
)";

std::string_view TypeWord(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      break;
  }
  return "histogram";
}

// The unit is part of the name (base units only), before "_total".
std::string_view UnitOf(std::string_view name) {
  if (name.ends_with("_total")) {
    name.remove_suffix(std::string_view("_total").size());
  }
  if (name.ends_with("_seconds")) {
    return "seconds";
  }
  return name.ends_with("_bytes") || name.ends_with("_bytes_max") ? "bytes" : "number";
}

// "`reason`: age, size", for every label of the family.
std::string LabelsOf(const MetricFamily& family) {
  constexpr std::size_t kListed = 16;
  std::map<std::string, std::set<std::string>> values;
  for (const MetricSample& sample : family.samples) {
    for (const auto& [label, value] : sample.labels) {
      values[label].insert(value);
    }
  }
  std::string out;
  for (const auto& [label, all] : values) {
    out += (out.empty() ? "`" : "; `") + label + "`";
    if (all.size() > kListed || family.name.ends_with("_info")) {
      continue;
    }
    std::string_view before = ": ";
    for (const std::string& value : all) {
      out.append(before).append(value);
      before = ", ";
    }
  }
  return out;
}

// A bar would end the cell.
std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c == '|' ? "\\|" : std::string(1, c);
  }
  return out;
}

}  // namespace

std::string RenderMetricReference(const MetricSnapshot& snapshot) {
  std::string out(kIntroduction);
  for (const MetricFamily& family : snapshot) {
    out.append("| `").append(family.name).append("` | ").append(TypeWord(family.type));
    out.append(" | ").append(UnitOf(family.name)).append(" | ").append(Cell(LabelsOf(family)));
    out.append(" | ").append(Cell(family.help)).append(" |\n");
  }
  return out;
}

}  // namespace nearcached
