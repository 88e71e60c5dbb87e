// Metrics of the process itself, read when somebody asks: CPU, memory, descriptors, build.
#pragma once

#include <cstdint>

#include "daemon/admin/metric_registry.h"

namespace nearcached {

// Whether nearcached_allocator_bytes is registered where there is no jemalloc to ask: then it is
// not a number.
enum class AllocatorMetrics : std::uint8_t { kIfThereAreAny, kAlways };

// Registers process_cpu_seconds_total, process_resident_memory_bytes,
// process_virtual_memory_bytes, process_open_fds, process_max_fds, process_start_time_seconds (the
// names every Prometheus client uses), nearcached_build_info, and, where the process runs on
// jemalloc, nearcached_allocator_bytes. The callbacks read /proc and may run on any thread.
void RegisterProcessMetrics(MetricRegistry& registry,
                            AllocatorMetrics allocator = AllocatorMetrics::kIfThereAreAny);

}  // namespace nearcached
