// One event loop's worth of nearcached: everything between accepted client streams and dialled
// upstream streams, wired together.
//
// A worker owns all it uses but time, the network and the log, so several can run side by side, and
// the simulator runs it unchanged. Not yet built for more than one: a write would have to reach the
// L1 of every worker before its reply is released (consistency.md R14).
//
// Owned by app (or the simulator), which also owns the scheduler and the dialer and outlives it.
// Loop thread only; stats may be read from anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "daemon/base/hash.h"
#include "daemon/base/rng.h"
#include "daemon/base/scheduler.h"
#include "daemon/cache/l1.h"
#include "daemon/command/command_table.h"
#include "daemon/fetch/canary.h"
#include "daemon/fetch/coherence.h"
#include "daemon/fetch/hit_check.h"
#include "daemon/fetch/hit_touch.h"
#include "daemon/fetch/script_memory.h"
#include "daemon/policy/adaptive_stop.h"
#include "daemon/session/server.h"
#include "daemon/session/session_context.h"
#include "daemon/upstream/cluster.h"
#include "daemon/upstream/identities.h"
#include "daemon/upstream/invalidation_channel.h"
#include "daemon/upstream/maintenance_watch.h"
#include "daemon/upstream/pool.h"
#include "daemon/upstream/replica_stats.h"
#include "daemon/upstream/replicas.h"
#include "daemon/upstream/topology.h"
#include "daemon/upstream/topology_stats.h"

namespace nearcached {

class Worker final : private TopologyObserver, private UnreadObserver {
 public:
  // Copies `config`, which must be valid. `seed` feeds the hash, jitter and backoff.
  Worker(const config::Config& config, Scheduler& scheduler, Dialer& dialer, std::uint64_t seed);
  // REQUIRES: Stop() was called.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Answers NEARCACHE. Set before Start.
  void SetAdmin(AdminHandler& admin) { context_.admin = &admin; }

  // Connects to the upstream and begins housekeeping.
  void Start();

  // Takes in a client; see Server::Accept. `listener` outlives the worker.
  void Accept(const ListenerContext& listener, const Server::OpenStream& open) {
    server_.Accept(listener, open);
  }

  // Changes what is reloadable (config::CompareForReload decided what that is). What is cached is
  // dropped when a rule or an L1 setting changed.
  void Reload(const config::Config& config);

  // Takes no more requests; clients leave as their last replies are sent.
  void StartDrain() { server_.StartDrain(); }
  [[nodiscard]] bool drained() const { return server_.active() == 0; }
  // Closes everything, now. Nothing is left on the scheduler afterwards.
  void Stop();

  // NEARCACHE FLUSH, INVALIDATE, ENABLE, DISABLE, EXPLAIN.
  std::size_t FlushCache(std::string_view prefix);
  std::size_t Invalidate(std::span<const std::string_view> keys) {
    return coherence_.Invalidate(keys);
  }
  void SetCacheEnabled(bool on);
  [[nodiscard]] Explanation Explain(std::span<const std::string_view> command);

  // NEARCACHE PAUSE, RESUME, RECONNECT, KILL. Paused: requests that need the upstream wait, those
  // under way end; `quiet` says they have. Answers from memory go on.
  void SetPaused(bool on);
  [[nodiscard]] bool paused() const { return context_.paused; }
  [[nodiscard]] bool quiet() const { return context_.quiet; }
  void Reconnect();
  bool Kill(std::uint64_t client_id) { return server_.Kill(static_cast<std::int64_t>(client_id)); }
  [[nodiscard]] bool cache_enabled() const { return context_.cache_enabled; }

  [[nodiscard]] const config::Config& config() const { return config_; }
  [[nodiscard]] const L1& l1() const { return l1_; }
  [[nodiscard]] const Coherence& coherence() const { return coherence_; }
  [[nodiscard]] const Server& server() const { return server_; }
  // The one pool of an upstream that is no cluster; of a cluster, a pool that is never used.
  [[nodiscard]] const Pool& pool() const { return pool_; }
  // Calls `visit` for each pool that is used: one, or one for each node of a cluster.
  void ForEachPool(const std::function<void(const Pool&)>& visit) const;
  // Null where the upstream is no cluster.
  [[nodiscard]] const Cluster* cluster() const { return cluster_.get(); }
  [[nodiscard]] const ClusterStats& cluster_stats() const { return cluster_stats_; }
  // What holds for either.
  [[nodiscard]] const UpstreamStats& upstream_stats() const {
    return cluster_ != nullptr ? cluster_->stats() : pool_.stats();
  }
  [[nodiscard]] bool upstream_up() const {
    return cluster_ != nullptr ? cluster_->up() : pool_.up();
  }
  [[nodiscard]] std::string UpstreamText() const {
    return cluster_ != nullptr ? cluster_->EndpointText() : pool_.EndpointText();
  }
  // How long a value may be served after somebody else has changed it, at the worst: while the
  // server tracks, until a link that has fallen silent is given up (else a change shows after one
  // push); where it does not, the longest ttl that a rule gives.
  [[nodiscard]] Duration StaleAtMost(const Pool& pool) const;
  [[nodiscard]] std::string TrackingText() const {
    return cluster_ != nullptr ? cluster_->TrackingText() : pool_.TrackingText();
  }
  // Null where only the primary is read from.
  [[nodiscard]] const Replicas* replicas() const { return replicas_.get(); }
  [[nodiscard]] const ReplicaStats& replica_stats() const { return replica_stats_; }
  [[nodiscard]] const TopologyStats& topology_stats() const { return topology_stats_; }
  [[nodiscard]] const MaintenanceStats& maintenance_stats() const { return maintenance_.stats(); }
  [[nodiscard]] const IdentityStats& identity_stats() const { return identity_stats_; }
  [[nodiscard]] const CanaryStats& canary_stats() const { return canary_.stats(); }
  [[nodiscard]] const HitCheckStats& hit_check_stats() const { return hit_check_.stats(); }
  [[nodiscard]] const HitTouchStats& hit_touch_stats() const { return hit_touch_.stats(); }
  [[nodiscard]] const AdaptiveStats& adaptive_stats() const { return adaptive_.stats(); }
  [[nodiscard]] const EventStats& event_stats() const { return event_stats_; }
  [[nodiscard]] const ScriptStats& script_stats() const { return scripts_.stats(); }
  [[nodiscard]] const SessionStats& session_stats() const { return session_stats_; }

 private:
  std::unique_ptr<Cluster> MakeCluster(Dialer& dialer);
  std::unique_ptr<Identities> MakeIdentities(Dialer& dialer);
  Cluster::Deps ClusterDeps(Dialer& dialer);
  std::unique_ptr<Replicas> MakeReplicas(Dialer& dialer);
  [[nodiscard]] std::vector<Endpoint> SubscribeNodes() const;
  void OnMaintenance(bool on);
  void OnPrimaryChanged() override;
  void OnDiedUnread(std::string_view key) override;
  void OnRuleStopped(std::int32_t rule, bool stopped);
  void ConfigureAdaptive();
  void ConfigureVerify();
  Upstream& TheUpstream() {
    return cluster_ != nullptr ? static_cast<Upstream&>(*cluster_) : pool_;
  }
  FillChannel& Fills() {
    return cluster_ != nullptr ? static_cast<FillChannel&>(*cluster_) : pool_;
  }
  void OnTurnEnd();
  void OnTick();
  [[nodiscard]] bool NothingUnderWay() const;

  config::Config config_;
  Scheduler& scheduler_;
  const KeyHasher hasher_;
  Rng rng_;
  CommandTable commands_;
  TopologyStats topology_stats_;
  std::unique_ptr<Topology> topology_;
  MaintenanceWatch maintenance_;
  L1 l1_;
  Pool pool_;
  ClusterStats cluster_stats_;
  std::unique_ptr<Cluster> cluster_;  // in place of the pool, where the upstream is a cluster
  IdentityStats identity_stats_;
  std::unique_ptr<Identities> identities_;  // where clients log in to the upstream themselves
  Coherence coherence_;
  ReplicaStats replica_stats_;
  std::unique_ptr<Replicas> replicas_;           // where reads may go to replicas
  std::unique_ptr<RecentWrites> recent_writes_;  // and then
  EventStats event_stats_;
  InvalidationChannel events_;
  ScriptMemory scripts_;
  AdaptiveStop adaptive_;
  Canary canary_;
  HitCheck hit_check_;
  HitTouch hit_touch_;
  SessionStats session_stats_;
  SessionContext context_;
  Server server_;
  std::unique_ptr<Timer> turn_end_;
  std::unique_ptr<Timer> tick_;
  std::unique_ptr<Timer> wake_;   // keeps the loop from sleeping while clients can go on
  std::uint64_t links_made_ = 0;  // when that was last looked at
  bool stopped_ = false;
};

}  // namespace nearcached
