// The parts that the registration of a worker's metrics is made of. For daemon/metrics*.cc only.
#pragma once

#include <string>
#include <utility>

#include "daemon/admin/metric_registry.h"
#include "daemon/worker.h"

namespace nearcached {

// Of a second, for gauges kept in nanoseconds.
inline constexpr double kNanosecond = 1e-9;

// Registers counters that differ in the value of one label.
class LabelledCounters {
 public:
  LabelledCounters(MetricRegistry& registry, std::string name, std::string help, std::string label)
      : registry_(registry),
        name_(std::move(name)),
        help_(std::move(help)),
        label_(std::move(label)) {}

  LabelledCounters& Add(const char* value, const Counter& counter) {
    registry_.AddCounter(name_, help_, {{label_, value}}, &counter);
    return *this;
  }

 private:
  MetricRegistry& registry_;
  const std::string name_;
  const std::string help_;
  const std::string label_;
};

// Everything a worker counts, or nothing yet (MetricReference).
struct WorkerFigures {
  const SessionStats& sessions;
  const L1Stats& l1;
  const CoherenceStats& coherence;
  const FlightStats& flights;
  const UpstreamStats& upstream;
  const ClusterStats& cluster;
  const TopologyStats& topology;
  const MaintenanceStats& maintenance;
  const ScriptStats& scripts;
  const IdentityStats& identities;
  const EventStats& events;
  const AdaptiveStats& adaptive;
  const CanaryStats& canary;
  const HitCheckStats& hit_checks;
  const HitTouchStats& hit_touches;
  const ReplicaStats& replicas;
};

// L1, coherence, flights, and what checks them. metrics_cache.cc.
void RegisterCacheMetrics(MetricRegistry& registry, const WorkerFigures& figures);
// Links, topologies, and what depends on them. metrics_upstream.cc.
void RegisterUpstreamMetrics(MetricRegistry& registry, const WorkerFigures& figures);

}  // namespace nearcached
