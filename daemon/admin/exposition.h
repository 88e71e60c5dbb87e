// The text that Prometheus scrapes.
//
// exposition.cc is the only file that names prometheus-cpp. Pure, any thread.
// Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, version 0.0.4)
#pragma once

#include <string>
#include <string_view>

#include "daemon/admin/metric_snapshot.h"

namespace nearcached {

inline constexpr std::string_view kExpositionContentType =
    "text/plain; version=0.0.4; charset=utf-8";

// All of `snapshot` in its order.
[[nodiscard]] std::string ToExposition(const MetricSnapshot& snapshot);

}  // namespace nearcached
