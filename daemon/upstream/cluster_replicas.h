// Reads from the replicas of a cluster: one ReplicaSet for each primary, and which of them a key
// belongs to.
//
// Each set works as that of a single primary: who its replicas are, the primary says, and each is
// asked itself what it has (replica_set.h), so the slot map is not asked for them. What is a
// cluster's own: links to replicas say READONLY, or every read would be redirected; only reads of
// one key go there, and only those whose reply shows that the key may have gone (absent_reply.h);
// what a replica redirects, or may have lost, is asked of the cluster, which finds the way. A slot
// that moves has another set's replicas from then on. What its old replicas say before that is
// known can be as old as what they said before, no older: they are read only up to what they have.
//
// One per worker, where read_from is not "primary" and the upstream is a cluster; loop thread only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/upstream/cluster.h"
#include "daemon/upstream/replica_set.h"
#include "daemon/upstream/replicas.h"
#include "daemon/upstream/topology.h"

namespace nearcached {

class ClusterReplicas final : public Replicas {
 public:
  // All borrowed, and outlive the sets. `config` may change between turns (reload).
  struct Deps {
    Scheduler& scheduler;
    Dialer& dialer;
    const config::UpstreamConfig& config;
    Rng& rng;
    const CommandTable& commands;
    Coherence& coherence;
    Cluster& cluster;
    ReplicaStats& stats;
  };
  // REQUIRES: read_from is not "primary".
  explicit ClusterReplicas(const Deps& deps) : deps_(deps) {}

  // Replicas
  void Start() override { OnTick(); }
  void OnPrimaryChanged() override {}  // the map says so
  void Flush() override;
  void Reconnect() override;
  void Stop() override;
  Route RouteRead(const Ask& ask) override;
  [[nodiscard]] std::vector<Report> Reports() const override;
  [[nodiscard]] Duration primary_round_trip() const override { return Duration::zero(); }

 private:
  struct Shard {
    Shard(const Endpoint& primary, const Deps& deps);
    SingleTopology topology;
    ReplicaSet replicas;
  };

  void OnTick();

  const Deps deps_;
  std::map<std::string, std::unique_ptr<Shard>> shards_;  // by the primary's address
  std::unique_ptr<Timer> tick_;
};

}  // namespace nearcached
