#include "daemon/metrics_of_rooms.h"

namespace nearcached {
namespace {

void RegisterPool(MetricRegistry& registry, const UpstreamStats& stats) {
  registry.AddGauge("nearcached_upstream_exclusive_active", "Links lent to one client each.", {},
                    &stats.exclusive_active);
  registry.AddGauge("nearcached_upstream_exclusive_idle", "Links kept open for that.", {},
                    &stats.exclusive_idle);
  registry.AddGauge("nearcached_upstream_exclusive_limit",
                    "upstream.pool.max_active, for each node of a cluster.", {},
                    &stats.exclusive_limit);
  registry.AddGauge("nearcached_upstream_exclusive_waiting",
                    "Clients that wait for such a link now.", {}, &stats.exclusive_waiting);
  registry.AddGauge("nearcached_upstream_exclusive_oldest_wait_seconds",
                    "How long the first of them has waited.", {}, &stats.exclusive_oldest_wait_ns,
                    kNanosecond);
  registry.AddHistogram("nearcached_upstream_exclusive_wait_seconds",
                        "From asking for such a link to having it, or being refused.", {},
                        &stats.exclusive_wait);
  registry.AddCounter("nearcached_upstream_exclusive_exhausted_total",
                      "Times a client found all of them lent.", {}, &stats.exclusive_exhausted);
  LabelledCounters(registry, "nearcached_upstream_exclusive_opened_total",
                   "Such links made, by why.", "reason")
      .Add("demand", stats.opened_demand)
      .Add("min_idle", stats.opened_min_idle);
}

void RegisterRequests(MetricRegistry& registry, const UpstreamStats& stats) {
  registry.AddCounter("nearcached_upstream_requests_total", "Requests given to a link.", {},
                      &stats.requests);
  registry.AddCounter("nearcached_upstream_replies_total", "Replies handed on.", {},
                      &stats.replies);
  LabelledCounters(registry, "nearcached_upstream_bytes_total",
                   "Bytes exchanged with the upstream.", "direction")
      .Add("sent", stats.bytes_sent)
      .Add("received", stats.bytes_received);
  LabelledCounters(registry, "nearcached_upstream_failures_total",
                   "Requests that got an error of ours instead of a reply.", "reason")
      .Add("timeout", stats.timeouts)
      .Add("unavailable", stats.refused_down)
      .Add("queue_full", stats.refused_full)
      .Add("connection_lost", stats.lost)
      .Add("exclusive_exhausted", stats.exclusive_refused);
  registry.AddCounter("nearcached_upstream_reads_retried_total",
                      "Reads sent once more because their connection was lost.", {},
                      &stats.repeated);
  LabelledCounters(registry, "nearcached_upstream_retried_reads_ended_total",
                   "What became of reads that were sent once more.", "result")
      .Add("answered", stats.repeated_ok)
      .Add("failed", stats.repeated_failed);
  for (std::size_t i = 0; i < kSickReplies; ++i) {
    registry.AddCounter("nearcached_upstream_sick_replies_total",
                        "Errors by which the server said that something is wrong with it.",
                        {{"error", std::string(kSickReplyNames[i])}}, &stats.sick[i]);
  }
  registry.AddCounter("nearcached_upstream_read_pauses_total",
                      "Times a link was not read for 2 ms because a client does not keep up with a "
                      "large reply.",
                      {}, &stats.paused);
  registry.AddCounter("nearcached_upstream_late_replies_total",
                      "Replies that came after their timeout and were thrown away.", {},
                      &stats.late_replies);
  registry.AddCounter("nearcached_upstream_script_loads_total",
                      "Scripts told to the upstream ahead of an EVALSHA.", {}, &stats.script_loads);
}

void RegisterTracking(MetricRegistry& registry, const UpstreamStats& stats) {
  registry.AddGauge("nearcached_tracking_state",
                    "What keeps the cache coherent: 2 server tracking, 1 TTL only, 0 nothing.", {},
                    &stats.tracking_state);
  registry.AddGauge("nearcached_trackers_ready",
                    "Tracking links that stand and are subscribed (tracking.method: redirect).", {},
                    &stats.trackers_ready);
  registry.AddCounter("nearcached_trackers_lost_total",
                      "Tracking links lost: what they covered was dropped.", {},
                      &stats.trackers_lost);
  registry.AddCounter("nearcached_trackers_broken_total",
                      "Times the server said that tracking is redirected to nobody.", {},
                      &stats.redirects_broken);
}

void RegisterUpstream(MetricRegistry& registry, const UpstreamStats& stats) {
  LabelledCounters(registry, "nearcached_upstream_connects_total", "Attempts to open a link.",
                   "result")
      .Add("ok", stats.connects_ok)
      .Add("failed", stats.connects_failed);
  LabelledCounters(registry, "nearcached_upstream_closed_total",
                   "Links that stood and were closed.", "reason")
      .Add("peer", stats.closed_by_peer)
      .Add("silent", stats.closed_silent)
      .Add("protocol_error", stats.closed_protocol)
      .Add("idle", stats.closed_idle)
      .Add("returned", stats.closed_returned)
      .Add("surplus", stats.closed_surplus)
      .Add("room", stats.closed_room)
      .Add("lifetime", stats.closed_lifetime)
      .Add("test_failed", stats.closed_test)
      .Add("reconnect", stats.closed_reconnect)
      .Add("demoted", stats.closed_demoted)
      .Add("sick", stats.closed_sick)
      .Add("primary_changed", stats.closed_switched);
  RegisterPool(registry, stats);
  RegisterRequests(registry, stats);
  registry.AddCounter("nearcached_upstream_pings_total", "Health probes sent.", {}, &stats.pings);
  registry.AddGauge("nearcached_upstream_links", "Links that stand.", {}, &stats.links_ready);
  registry.AddGauge("nearcached_upstream_inflight", "Requests sent and not answered.", {},
                    &stats.inflight);
  for (const auto& [name, state] :
       {std::pair{"closed", BreakerState::kClosed}, std::pair{"half_open", BreakerState::kHalfOpen},
        std::pair{"open", BreakerState::kOpen}}) {
    registry.AddGauge("nearcached_upstream_breakers",
                      "Nodes by the state of their circuit breaker.", {{"state", name}},
                      &stats.breakers[static_cast<std::size_t>(state)]);
  }
  registry.AddCounter("nearcached_upstream_breaker_opened_total",
                      "Times the circuit breaker opened.", {}, &stats.breaker_opened);
  registry.AddCounter("nearcached_upstream_dials_delayed_total",
                      "Times a link waited because upstream.dials_max others were connecting.", {},
                      &stats.dials_delayed);
  registry.AddGauge("nearcached_upstream_up",
                    "1 while the last attempt to reach the upstream succeeded.", {}, &stats.up);
  RegisterTracking(registry, stats);
  registry.AddHistogram("nearcached_upstream_ping_seconds", "PING to PONG on idle links.", {},
                        &stats.ping_rtt);
  registry.AddHistogram("nearcached_upstream_latency_seconds",
                        "From giving a request to a link to the end of its reply.", {},
                        &stats.latency);
}

void RegisterCluster(MetricRegistry& registry, const ClusterStats& stats) {
  LabelledCounters(registry, "nearcached_cluster_redirects_total",
                   "Requests that a node of the cluster did not carry out, by what it said.",
                   "kind")
      .Add("moved", stats.moved)
      .Add("ask", stats.asked)
      .Add("try_again", stats.tried_again)
      .Add("cluster_down", stats.down);
  registry.AddCounter("nearcached_cluster_redirects_exhausted_total",
                      "Requests that got an error because they were redirected too often.", {},
                      &stats.gave_up);
  registry.AddCounter("nearcached_cluster_requests_held_total",
                      "Requests that waited for the first slot map, for a slot that just moved, or "
                      "up to upstream.max_hold for a node that is away or says CLUSTERDOWN.",
                      {}, &stats.held);
  registry.AddGauge("nearcached_cluster_requests_held", "Requests that wait so now.", {},
                    &stats.requests_held);
  registry.AddCounter("nearcached_cluster_split_total",
                      "Requests taken apart because their keys are in several slots.", {},
                      &stats.split);
  registry.AddCounter("nearcached_cluster_fanned_out_total", "Requests sent to every primary.", {},
                      &stats.fanned_out);
  registry.AddCounter("nearcached_cluster_cross_slot_total",
                      "Requests refused because their keys are in several slots.", {},
                      &stats.cross_slot);
  registry.AddCounter("nearcached_cluster_slots_moved_total", "Slots whose owner changed.", {},
                      &stats.slots_moved);
  LabelledCounters(registry, "nearcached_cluster_refreshes_total",
                   "Times the slot map was asked for, from one node after the other.", "result")
      .Add("ok", stats.refreshes)
      .Add("failed", stats.refreshes_failed);
  LabelledCounters(registry, "nearcached_cluster_questions_total",
                   "Questions for the slot map, node by node.", "result")
      .Add("answered", stats.control.answered)
      .Add("failed", stats.control.failed);
  registry.AddGauge("nearcached_cluster_nodes", "Nodes that connections are kept to.", {},
                    &stats.nodes);
  registry.AddGauge("nearcached_cluster_slots_covered",
                    "Slots that some node serves, of 16384; 0 where the upstream is no cluster.",
                    {}, &stats.slots_covered);
}

void RegisterTopology(MetricRegistry& registry, const TopologyStats& stats) {
  registry.AddGauge("nearcached_topology_primary_known",
                    "1 while a node is known to be the primary. Always 0 with a single server.", {},
                    &stats.primary_known);
  registry.AddCounter("nearcached_topology_switches_total",
                      "Times another node became the primary.", {}, &stats.switches);
  registry.AddCounter("nearcached_topology_losses_total",
                      "Times the primary turned out to be none and no other was known.", {},
                      &stats.losses);
  registry.AddCounter("nearcached_topology_suspicions_total",
                      "Doubts that links raised about the primary.", {}, &stats.suspicions);
  registry.AddCounter("nearcached_topology_split_brain_total",
                      "Answers after which several nodes called themselves primary.", {},
                      &stats.split_brain);
  registry.AddCounter("nearcached_topology_refuted_total",
                      "Answers by which a node denied being the primary sentinels call it.", {},
                      &stats.refuted);
  registry.AddGauge("nearcached_topology_nodes", "Nodes watched because they may be the primary.",
                    {}, &stats.nodes);
  registry.AddGauge("nearcached_topology_sentinels_answering",
                    "Sentinels whose last answer named a primary.", {}, &stats.sentinels_answering);
  LabelledCounters(registry, "nearcached_topology_questions_total",
                   "Questions to nodes and sentinels about who is what.", "result")
      .Add("answered", stats.control.answered)
      .Add("failed", stats.control.failed);
}

void RegisterMaintenance(MetricRegistry& registry, const MaintenanceStats& stats) {
  registry.AddGauge("nearcached_upstream_maintenance",
                    "1 while upstream.maintenance_key exists on the primary.", {}, &stats.active);
  registry.AddCounter("nearcached_upstream_maintenance_total", "Times it appeared.", {},
                      &stats.entered);
  LabelledCounters(registry, "nearcached_upstream_maintenance_questions_total",
                   "Questions whether it exists.", "result")
      .Add("answered", stats.control.answered)
      .Add("failed", stats.control.failed);
}

void RegisterScripts(MetricRegistry& registry, const ScriptStats& stats) {
  registry.AddGauge("nearcached_scripts", "Scripts remembered for EVALSHA.", {}, &stats.remembered);
  registry.AddGauge("nearcached_scripts_bytes", "Memory they take.", {}, &stats.bytes);
  registry.AddCounter("nearcached_scripts_evicted_total",
                      "Scripts forgotten because of limits.scripts_bytes_max.", {}, &stats.evicted);
  registry.AddCounter("nearcached_scripts_repaired_total",
                      "EVALSHA answered with NOSCRIPT and sent once more, the script ahead of it.",
                      {}, &stats.repaired);
}

void RegisterIdentities(MetricRegistry& registry, const IdentityStats& stats) {
  registry.AddGauge("nearcached_identities", "Users of the upstream that have links of their own.",
                    {}, &stats.identities);
  LabelledCounters(registry, "nearcached_identity_logins_total",
                   "Logins of clients that the upstream accepted.", "result")
      .Add("ok", stats.entered)
      .Add("too_many", stats.refused);
  registry.AddCounter("nearcached_identities_revoked_total",
                      "Users that the upstream took no more while clients were logged in.", {},
                      &stats.revoked);
}

// What a worker counts, wherever that is kept.
void RegisterReplicas(MetricRegistry& registry, const ReplicaStats& stats) {
  LabelledCounters(
      registry, "nearcached_replica_reads_total",
      "Reads that upstream.read_from concerns, by who was asked and why: a replica; the "
      "primary, because no replica is known to have the key's last write, because it "
      "is nearer, because no replica can be read, or, in a cluster, because the command is not of "
      "one key or its reply would not show that the key has moved; nobody.",
      "to")
      .Add("replica", stats.reads)
      .Add("primary_recent_write", stats.recent_write)
      .Add("primary_nearer", stats.nearer)
      .Add("primary_no_replica", stats.none)
      .Add("primary_unfit", stats.unfit)
      .Add("refused", stats.refused);
  registry.AddCounter("nearcached_replica_reads_asked_again_total",
                      "Reads that a replica did not answer, and the primary was asked for.", {},
                      &stats.again);
  registry.AddCounter("nearcached_replica_left_total",
                      "Times a replica that could be read could not any more.", {}, &stats.left);
  registry.AddGauge("nearcached_replicas", "Replicas that are watched.", {}, &stats.known);
  registry.AddGauge("nearcached_replicas_readable", "Of them, those that can be read.", {},
                    &stats.readable);
  registry.AddGauge(
      "nearcached_replica_missing",
      "Primaries of which no replica can be read while upstream.read_from asks for one.", {},
      &stats.missing);
  registry.AddGauge("nearcached_replica_links", "Links to replicas that stand.", {},
                    &stats.links.links_ready);
  LabelledCounters(registry, "nearcached_replica_questions_total",
                   "Questions about replication, to the primary and to replicas.", "result")
      .Add("answered", stats.control.answered)
      .Add("failed", stats.control.failed);
}

}  // namespace

void RegisterUpstreamMetrics(MetricRegistry& registry, const WorkerFigures& figures) {
  RegisterUpstream(registry, figures.upstream);
  RegisterCluster(registry, figures.cluster);
  RegisterTopology(registry, figures.topology);
  RegisterMaintenance(registry, figures.maintenance);
  RegisterScripts(registry, figures.scripts);
  RegisterIdentities(registry, figures.identities);
  RegisterReplicas(registry, figures.replicas);
}

}  // namespace nearcached
