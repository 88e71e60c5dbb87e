#include "daemon/upstream/cluster_replicas.h"

#include <set>
#include <utility>

#include "daemon/upstream/absent_reply.h"

namespace nearcached {

ClusterReplicas::Shard::Shard(const Endpoint& primary, const Deps& deps)
    : topology(primary),
      replicas(ReplicaSet::Deps{.scheduler = deps.scheduler,
                                .dialer = deps.dialer,
                                .topology = topology,
                                .config = deps.config,
                                .rng = deps.rng,
                                .commands = deps.commands,
                                .coherence = deps.coherence,
                                .primary = deps.cluster,
                                .stats = deps.stats,
                                .clustered = true}) {}

// Whom the map names as primaries by now. From a timer, because sets that end take their links with
// them, which must not be in the middle of a callback.
void ClusterReplicas::OnTick() {
  tick_ = deps_.scheduler.After(deps_.config.health_interval, [this] { OnTick(); });
  std::set<std::string> named;
  for (const Endpoint& primary : deps_.cluster.Primaries()) {
    const std::string name = primary.ToString();
    named.insert(name);
    if (!shards_.contains(name)) {
      const auto made = shards_.emplace(name, std::make_unique<Shard>(primary, deps_)).first;
      made->second->replicas.Start();
    }
  }
  std::erase_if(shards_, [&](auto& shard) {
    const bool gone = !named.contains(shard.first);
    if (gone) {
      shard.second->replicas.Stop();
    }
    return gone;
  });
}

void ClusterReplicas::Flush() {
  for (const auto& [name, shard] : shards_) {
    shard->replicas.Flush();
  }
}

void ClusterReplicas::Reconnect() {
  for (const auto& [name, shard] : shards_) {
    shard->replicas.Reconnect();
  }
}

void ClusterReplicas::Stop() {
  tick_.reset();
  for (const auto& [name, shard] : shards_) {
    shard->replicas.Stop();
  }
  shards_.clear();
}

ReadRoutes::Route ClusterReplicas::RouteRead(const Ask& ask) {
  if (!ask.single || !ShowsAbsence(ask.command)) {
    deps_.stats.unfit.Add();
    return {};
  }
  const auto primary = deps_.cluster.PrimaryOf(ask.key);
  const auto shard = primary ? shards_.find(primary->ToString()) : shards_.end();
  if (shard == shards_.end()) {
    deps_.stats.none.Add();
    return {};
  }
  Route route = shard->second->replicas.RouteRead(ask);
  route.beside_others = true;
  return route;
}

std::vector<Replicas::Report> ClusterReplicas::Reports() const {
  std::vector<Report> all;
  for (const auto& [name, shard] : shards_) {
    for (Report& report : shard->replicas.Reports()) {
      report.primary = name;
      all.push_back(std::move(report));
    }
  }
  return all;
}

}  // namespace nearcached
