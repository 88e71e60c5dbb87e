// The public names of everything that is counted. METRICS.md lists them.
//
// Called by app once, at start; what is registered is read until the registry's last Collect.
#pragma once

#include <string>

#include "daemon/admin/metric_registry.h"
#include "daemon/net/cached_resolver.h"
#include "daemon/net/listener.h"
#include "daemon/net/uv_loop.h"
#include "daemon/tls_service.h"
#include "daemon/worker.h"

namespace nearcached {

// Counted by app: what became of the settings read again.
struct ReloadStats {
  Counter ok;
  Counter failed;
};

// Several workers may be registered; their figures are added up.
void RegisterWorkerMetrics(MetricRegistry& registry, const Worker& worker);
void RegisterLoopMetrics(MetricRegistry& registry, const LoopStats& loop,
                         const StreamStats& streams, const ListenerStats& listeners);
void RegisterReloadMetrics(MetricRegistry& registry, const ReloadStats& reloads);

// METRICS.md, printed from what the functions above and RegisterProcessMetrics register.
[[nodiscard]] std::string MetricReference();
void RegisterResolverMetrics(MetricRegistry& registry, const ResolverStats& stats);
void RegisterTlsMetrics(MetricRegistry& registry, const TlsService& tls);

}  // namespace nearcached
