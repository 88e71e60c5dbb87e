// StatLine: metrics as flat names and numbers, for NEARCACHE STATS. Pure, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/admin/metric_snapshot.h"

namespace nearcached {

struct StatLine {
  std::string name;  // `nearcached_l1_hits_total{kind="value"}`, as in the exposition
  double value = 0;
};

// The lines whose name starts with `prefix`, in the snapshot's order. A histogram x_seconds becomes
// x_seconds_count, _sum and, once it has seen anything, _p50 and _p99: the upper bound of the
// bucket in which that quantile lies, so the truth is at most that and more than half of it.
[[nodiscard]] std::vector<StatLine> ToStatLines(const MetricSnapshot& snapshot,
                                                std::string_view prefix);

}  // namespace nearcached
