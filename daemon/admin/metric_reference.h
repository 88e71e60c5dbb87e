// METRICS.md as text: one line per metric, printed from what is registered. Pure; any thread.
#pragma once

#include <string>

#include "daemon/admin/metric_snapshot.h"

namespace nearcached {

// The whole page for the metrics of `snapshot`; their values do not matter. Labels are shown with
// their values where these are few and do not depend on the build.
[[nodiscard]] std::string RenderMetricReference(const MetricSnapshot& snapshot);

}  // namespace nearcached
