#include "daemon/metrics.h"

#include <utility>

#include "daemon/admin/metric_reference.h"
#include "daemon/admin/process_metrics.h"

namespace nearcached {
namespace {

constexpr double kNanos = 1e-9;  // of a second, for gauges kept in nanoseconds

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

void RegisterClients(MetricRegistry& registry, const SessionStats& stats) {
  registry.AddCounter("nearcached_clients_accepted_total", "Client connections taken in.", {},
                      &stats.accepted);
  LabelledCounters(registry, "nearcached_clients_rejected_total", "Client connections turned away.",
                   "reason")
      .Add("clients_max", stats.rejected_full)
      .Add("draining", stats.rejected_draining);
  LabelledCounters(registry, "nearcached_clients_closed_total", "Client connections closed.",
                   "reason")
      .Add("client", stats.closed_by_client)
      .Add("protocol_error", stats.closed_protocol)
      .Add("output_limit", stats.closed_output)
      .Add("idle_timeout", stats.closed_idle)
      .Add("killed", stats.closed_killed)
      .Add("request_timeout", stats.closed_request)
      .Add("upstream_lost", stats.closed_upstream)
      .Add("killed", stats.closed_admin)
      .Add("identity_revoked", stats.closed_revoked)
      .Add("drain", stats.closed_drain);
  registry.AddGauge("nearcached_clients", "Client connections open now.", {}, &stats.active);
  registry.AddGauge("nearcached_clients_resp3", "Of those, the ones that speak RESP3.", {},
                    &stats.resp3);
  registry.AddGauge("nearcached_clients_pinned",
                    "Of those, the ones that hold an upstream link of their own.", {},
                    &stats.pinned);
  LabelledCounters(registry, "nearcached_client_bytes_total", "Bytes exchanged with clients.",
                   "direction")
      .Add("received", stats.bytes_received)
      .Add("sent", stats.bytes_sent);
  registry.AddCounter("nearcached_auth_failures_total", "Wrong passwords from clients.", {},
                      &stats.auth_failures);
  registry.AddCounter("nearcached_requests_denied_total",
                      "Requests refused by commands.deny or by a read-only listener.", {},
                      &stats.denied);
  registry.AddCounter("nearcached_requests_total", "Requests taken from clients.", {},
                      &stats.requests);
  registry.AddCounter("nearcached_requests_parked_total",
                      "Requests that waited for earlier ones of the same client, to keep order.",
                      {}, &stats.parked);
  registry.AddCounter("nearcached_stale_served_total",
                      "Values served from memory while the upstream was away (stale_if_error).", {},
                      &stats.stale_served);
  registry.AddCounter("nearcached_requests_held_total",
                      "Requests that waited up to upstream.max_hold for an upstream just gone.", {},
                      &stats.held);
  registry.AddCounter("nearcached_requests_streamed_total",
                      "Requests larger than limits.stream_above that were handed on as they came.",
                      {}, &stats.streamed);
  registry.AddCounter("nearcached_requests_crowded_total",
                      "Requests that waited because their client had many on a busy link.", {},
                      &stats.crowded);
  registry.AddCounter("nearcached_clients_paused_total",
                      "Times a client was not read because it was too far ahead.", {},
                      &stats.reading_paused);
  registry.AddCounter("nearcached_local_errors_total",
                      "Error replies that nearcached said in its own name.", {},
                      &stats.local_errors);
  registry.AddHistogram("nearcached_request_duration_seconds",
                        "From taking a request to the end of its reply, where a reply came from "
                        "upstream or from another client's read.",
                        {{"served_from", "upstream"}}, &stats.upstream_wait);
  for (std::size_t i = 0; i < CommandTable::IdCount(); ++i) {
    const auto id = static_cast<std::uint16_t>(i);
    const std::string name(CommandTable::IdName(id));
    registry.AddCounter("nearcached_commands_total", "Requests by command.", {{"command", name}},
                        &stats.commands[id]);
    registry.AddCounter("nearcached_command_errors_total", "Error replies by command.",
                        {{"command", name}}, &stats.command_errors[id]);
  }
}

void RegisterReads(MetricRegistry& registry, const SessionStats& session, const L1Stats& l1) {
  LabelledCounters(registry, "nearcached_l1_hits_total", "Keys answered from memory.", "kind")
      .Add("value", l1.hits_value)
      .Add("negative", l1.hits_negative);
  LabelledCounters(registry, "nearcached_l1_misses_total", "Keys looked up in memory in vain.",
                   "reason")
      .Add("absent", l1.misses_absent)
      .Add("expired", l1.misses_expired)
      .Add("dropped", l1.misses_dropped);
  LabelledCounters(registry, "nearcached_l1_bypass_total",
                   "Cacheable reads that went past the cache.", "reason")
      .Add("policy", session.bypass_policy)
      .Add("own_write", session.bypass_own_write)
      .Add("identity", session.bypass_identity)
      .Add("transaction", session.bypass_transaction)
      .Add("not_armed", session.bypass_not_armed)
      .Add("disabled", session.bypass_disabled)
      .Add("adaptive_stop", session.bypass_stopped)
      .Add("variants", session.bypass_variants);
  for (const CommandRow& row : BuiltinRows()) {
    if (row.cache_class == CacheClass::kReply) {
      const std::string name(row.name);
      registry.AddCounter("nearcached_l1_command_hits_total",
                          "Requests other than GET and MGET answered from memory, by command.",
                          {{"command", name}}, &session.variant_hits[row.id]);
      registry.AddCounter("nearcached_l1_command_misses_total",
                          "Those that had to be asked for, by command.", {{"command", name}},
                          &session.variant_misses[row.id]);
    }
  }
}

void RegisterStore(MetricRegistry& registry, const L1Stats& l1) {
  registry.AddGauge("nearcached_l1_entries", "Entries in memory, missing keys included.", {},
                    &l1.entries);
  registry.AddGauge("nearcached_l1_negative_entries", "Entries that say a key does not exist.", {},
                    &l1.negative_entries);
  registry.AddGauge("nearcached_l1_variants",
                    "Of the entries, replies to other commands than GET and MGET.", {},
                    &l1.variants);
  registry.AddCounter("nearcached_l1_variants_displaced_total",
                      "Such replies that gave way because their key had l1.variants_max of them.",
                      {}, &l1.variants_displaced);
  registry.AddGauge("nearcached_l1_bytes", "Bytes charged against l1.bytes, everything counted.",
                    {}, &l1.bytes);
  registry.AddGauge("nearcached_l1_bytes_max", "The limit l1.bytes.", {}, &l1.bytes_max);
  registry.AddGauge("nearcached_l1_negative_bytes", "Bytes of entries for missing keys.", {},
                    &l1.negative_bytes);
  registry.AddGauge("nearcached_l1_pinned_bytes",
                    "Bytes of values that left the cache and are still being sent.", {},
                    &l1.pinned_bytes);
  registry.AddGauge("nearcached_l1_overhead_bytes", "Bytes of index, ghosts, timers, free slots.",
                    {}, &l1.overhead_bytes);
  LabelledCounters(registry, "nearcached_l1_fills_total", "Values offered to the cache.", "result")
      .Add("stored", l1.inserts)
      .Add("replaced", l1.replaced)
      .Add("too_large", l1.rejected_too_large)
      .Add("not_admitted", l1.rejected_not_admitted)
      .Add("no_room", l1.rejected_no_room)
      .Add("expired", l1.rejected_expired);
  LabelledCounters(registry, "nearcached_l1_evictions_total", "Entries that left the cache.",
                   "reason")
      .Add("size", l1.evictions_size)
      .Add("age", l1.evictions_expired)
      .Add("invalidated", l1.evictions_erased)
      .Add("flushed", l1.evictions_dropped);
}

void RegisterCoherence(MetricRegistry& registry, const CoherenceStats& stats) {
  registry.AddCounter("nearcached_invalidation_messages_total", "Invalidation pushes received.", {},
                      &stats.pushes);
  registry.AddCounter("nearcached_invalidation_keys_total", "Keys named in invalidation pushes.",
                      {}, &stats.pushed_keys);
  LabelledCounters(registry, "nearcached_invalidated_entries_total",
                   "Entries dropped because their key changed.", "by")
      .Add("push", stats.entries_invalidated)
      .Add("own_request", stats.own_entries_dropped)
      .Add("event", stats.entries_event)
      .Add("admin", stats.entries_admin);
  registry.AddCounter("nearcached_own_writes_total",
                      "Writes through this sidecar to keys that may be cached.", {},
                      &stats.own_writes);
  LabelledCounters(registry, "nearcached_l1_flushes_total", "Times everything was dropped.",
                   "reason")
      .Add("push", stats.flushes_push)
      .Add("command", stats.flushes_command)
      .Add("tracking_lost", stats.flushes_tracking)
      .Add("primary_changed", stats.flushes_primary)
      .Add("admin", stats.flushes_admin)
      .Add("event", stats.flushes_event);
  registry.AddGauge("nearcached_held_keys", "Keys not filled while a write of them is unanswered.",
                    {}, &stats.holds);
  registry.AddGauge("nearcached_staleness_bound_seconds",
                    "How long a value may be served, at the worst, after somebody else changed it.",
                    {}, &stats.stale_at_most_ns, kNanos);
}

void RegisterAdaptive(MetricRegistry& registry, const AdaptiveStats& stats) {
  registry.AddGauge("nearcached_l1_rules_stopped",
                    "Rules whose caching rests because their entries died unread "
                    "(l1.adaptive_stop).",
                    {}, &stats.stopped);
  LabelledCounters(registry, "nearcached_l1_adaptive_stops_total",
                   "Times that a rule was stopped so, and times that one was found to pay again.",
                   "event")
      .Add("stopped", stats.stops)
      .Add("resumed", stats.resumptions);
}

// The contract, measured in production: verify.
void RegisterVerify(MetricRegistry& registry, const CanaryStats& canary, const HitCheckStats& hits,
                    const HitTouchStats& touches) {
  LabelledCounters(registry, "nearcached_canary_rounds_total",
                   "Rounds of verify.canary_key, by how they ended.", "result")
      .Add("heard", canary.heard)
      .Add("overdue", canary.overdue)
      .Add("failed", canary.failed)
      .Add("not_armed", canary.not_armed);
  registry.AddHistogram("nearcached_canary_delay_seconds",
                        "From sending a write past the cache to hearing the server say so.", {},
                        &canary.delay);
  registry.AddGauge("nearcached_canary_last_delay_seconds", "The same, of the latest round.", {},
                    &canary.last_delay_ns, kNanos);
  LabelledCounters(registry, "nearcached_hit_checks_total",
                   "Answers from memory that were compared with the upstream (verify.hit_rate).",
                   "result")
      .Add("agreed", hits.agreed)
      .Add("changed", hits.changed)
      .Add("broken", hits.broken)
      .Add("failed", hits.failed)
      .Add("skipped", hits.skipped);
  LabelledCounters(registry, "nearcached_touched_keys_total",
                   "Answers from memory that the upstream was to be told by TOUCH (l1.touch_rate).",
                   "result")
      .Add("sent", touches.sent)
      .Add("failed", touches.failed)
      .Add("skipped", touches.skipped);
}

void RegisterEvents(MetricRegistry& registry, const EventStats& stats) {
  registry.AddGauge("nearcached_event_channels", "Channels of invalidation.channels.", {},
                    &stats.channels);
  registry.AddGauge("nearcached_event_channels_subscribed",
                    "Of those, the ones that are listened to: all of them or none.", {},
                    &stats.channels_subscribed);
  LabelledCounters(registry, "nearcached_event_subscriptions_total",
                   "Times all channels were subscribed to, and times that ended or failed.",
                   "result")
      .Add("ok", stats.subscribed)
      .Add("lost", stats.lost);
  LabelledCounters(registry, "nearcached_event_messages_total",
                   "Messages heard on invalidation channels.", "result")
      .Add("applied", stats.messages_applied)
      .Add("own_origin", stats.messages_own)
      .Add("unreadable", stats.messages_bad);
  LabelledCounters(registry, "nearcached_event_names_total",
                   "Keys and prefixes that messages named.", "kind")
      .Add("key", stats.keys)
      .Add("prefix", stats.prefixes);
  registry.AddCounter("nearcached_event_prefixes_too_wide_total",
                      "Prefixes for which everything was dropped, as there was too much to search.",
                      {}, &stats.prefixes_too_wide);
  LabelledCounters(registry, "nearcached_event_questions_total",
                   "SUBSCRIBE and PING on the link of the channels.", "result")
      .Add("answered", stats.control.answered)
      .Add("failed", stats.control.failed);
}

void RegisterFlights(MetricRegistry& registry, const FlightStats& stats) {
  registry.AddCounter("nearcached_flights_total", "Upstream reads begun to fill the cache.", {},
                      &stats.started);
  registry.AddCounter("nearcached_coalesced_total",
                      "Reads that joined an upstream read already on its way.", {},
                      &stats.coalesced);
  registry.AddCounter("nearcached_flights_detached_total",
                      "Upstream reads that a write or an invalidation closed to newcomers.", {},
                      &stats.detached);
  registry.AddCounter("nearcached_flights_lost_total", "Upstream reads that failed or timed out.",
                      {}, &stats.lost);
  LabelledCounters(registry, "nearcached_flight_fills_total",
                   "What became of the values that flights brought.", "result")
      .Add("stored", stats.fills_stored)
      .Add("poisoned", stats.fills_poisoned)
      .Add("refused", stats.fills_refused);
  registry.AddGauge("nearcached_flights_open", "Upstream reads on their way.", {}, &stats.open);
  registry.AddGauge("nearcached_flight_waiters", "Reads that wait for one of them.", {},
                    &stats.waiters);
  registry.AddHistogram("nearcached_flight_wait_seconds", "From joining a flight to its answer.",
                        {}, &stats.wait);
}

// The links lent to one client each: upstream.pool.
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
                    kNanos);
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
  registry.AddCounter("nearcached_upstream_late_replies_total",
                      "Replies that came after their timeout and were thrown away.", {},
                      &stats.late_replies);
  registry.AddCounter("nearcached_upstream_script_loads_total",
                      "Scripts told to the upstream ahead of an EVALSHA.", {}, &stats.script_loads);
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
                      "Requests that waited for the first slot map, or for a slot that just moved.",
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
      "is nearer, or because no replica can be read; nobody.",
      "to")
      .Add("replica", stats.reads)
      .Add("primary_recent_write", stats.recent_write)
      .Add("primary_nearer", stats.nearer)
      .Add("primary_no_replica", stats.none)
      .Add("refused", stats.refused);
  registry.AddCounter("nearcached_replica_reads_asked_again_total",
                      "Reads that a replica did not answer, and the primary was asked for.", {},
                      &stats.again);
  registry.AddCounter("nearcached_replica_left_total",
                      "Times a replica that could be read could not any more.", {}, &stats.left);
  registry.AddGauge("nearcached_replicas", "Replicas that are watched.", {}, &stats.known);
  registry.AddGauge("nearcached_replicas_readable", "Of them, those that can be read.", {},
                    &stats.readable);
  registry.AddGauge("nearcached_replica_missing",
                    "1 while upstream.read_from asks for replicas and none can be read.", {},
                    &stats.missing);
  registry.AddGauge("nearcached_replica_links", "Links to replicas that stand.", {},
                    &stats.links.links_ready);
  LabelledCounters(registry, "nearcached_replica_questions_total",
                   "Questions about replication, to the primary and to replicas.", "result")
      .Add("answered", stats.control.answered)
      .Add("failed", stats.control.failed);
}

struct WorkerFigures {
  const SessionStats& sessions;
  const L1Stats& l1;
  const CoherenceStats& coherence;
  const FlightStats& flights;
  const UpstreamStats& upstream;
  const ClusterStats& cluster;
  const TopologyStats& topology;
  const ScriptStats& scripts;
  const IdentityStats& identities;
  const EventStats& events;
  const AdaptiveStats& adaptive;
  const CanaryStats& canary;
  const HitCheckStats& hit_checks;
  const HitTouchStats& hit_touches;
  const ReplicaStats& replicas;
};

void RegisterFigures(MetricRegistry& registry, const WorkerFigures& figures) {
  RegisterClients(registry, figures.sessions);
  RegisterReads(registry, figures.sessions, figures.l1);
  RegisterStore(registry, figures.l1);
  RegisterCoherence(registry, figures.coherence);
  RegisterFlights(registry, figures.flights);
  RegisterUpstream(registry, figures.upstream);
  RegisterCluster(registry, figures.cluster);
  RegisterTopology(registry, figures.topology);
  RegisterScripts(registry, figures.scripts);
  RegisterIdentities(registry, figures.identities);
  RegisterEvents(registry, figures.events);
  RegisterAdaptive(registry, figures.adaptive);
  RegisterVerify(registry, figures.canary, figures.hit_checks, figures.hit_touches);
  RegisterReplicas(registry, figures.replicas);
}

void RegisterTlsSide(MetricRegistry& registry, const std::string& side, const TlsStats& stats) {
  const auto with = [&](const char* label, const char* value) {
    return MetricLabels{{"side", side}, {label, value}};
  };
  const std::string handshakes = "nearcached_tls_handshakes_total";
  const std::string handshakes_help = "TLS handshakes that succeeded.";
  registry.AddCounter(handshakes, handshakes_help, with("kind", "full"), &stats.handshakes_full);
  registry.AddCounter(handshakes, handshakes_help, with("kind", "resumed"),
                      &stats.handshakes_resumed);
  for (std::size_t i = 0; i < kTlsFailures; ++i) {
    registry.AddCounter("nearcached_tls_failures_total",
                        "TLS connections that failed, in the handshake or after it.",
                        with("reason", TlsFailureName(static_cast<TlsFailure>(i))),
                        &stats.failures[i]);
  }
  const std::string reloads = "nearcached_tls_reloads_total";
  const std::string reloads_help = "Certificate files that changed, and whether they were usable.";
  registry.AddCounter(reloads, reloads_help, with("result", "ok"), &stats.reloads_ok);
  registry.AddCounter(reloads, reloads_help, with("result", "failed"), &stats.reloads_failed);
  registry.AddCounter("nearcached_tls_truncated_total",
                      "TLS connections that ended without saying so (close_notify).",
                      {{"side", side}}, &stats.truncated);
  registry.AddGauge("nearcached_tls_connections", "TLS connections that stand.", {{"side", side}},
                    &stats.connections);
  registry.AddHistogram("nearcached_tls_handshake_seconds", "How long TLS handshakes took.",
                        {{"side", side}}, &stats.handshake);
}

void RegisterCertificate(MetricRegistry& registry, const std::string& use, const Gauge& ends) {
  registry.AddGauge(
      "nearcached_tls_certificate_expiry_timestamp_seconds",
      "When our own certificate expires, in seconds since 1970; only where there is one.",
      {{"use", use}}, &ends);
}

}  // namespace

void RegisterResolverMetrics(MetricRegistry& registry, const ResolverStats& stats) {
  LabelledCounters(registry, "nearcached_dns_lookups_total",
                   "Names of upstreams that were looked up to connect to them.", "result")
      .Add("ok", stats.resolved)
      .Add("failed", stats.failed)
      .Add("cached", stats.cached);
}

void RegisterTlsMetrics(MetricRegistry& registry, const TlsService& tls) {
  RegisterTlsSide(registry, "upstream", tls.upstream_stats());
  RegisterTlsSide(registry, "listener", tls.listener_stats());
  const auto add = [&](const TlsCredentials* credentials) {
    if (credentials != nullptr && credentials->certificate_ends().value() != 0) {
      RegisterCertificate(registry, credentials->use(), credentials->certificate_ends());
    }
  };
  add(tls.upstream());
  add(tls.sentinels());
  for (const auto& listener : tls.listeners()) {
    add(listener.get());
  }
}

void RegisterWorkerMetrics(MetricRegistry& registry, const Worker& worker) {
  RegisterFigures(
      registry,
      {worker.session_stats(), worker.l1().stats(), worker.coherence().stats(),
       worker.coherence().flights().stats(), worker.upstream_stats(), worker.cluster_stats(),
       worker.topology_stats(), worker.script_stats(), worker.identity_stats(),
       worker.event_stats(), worker.adaptive_stats(), worker.canary_stats(),
       worker.hit_check_stats(), worker.hit_touch_stats(), worker.replica_stats()});
}

void RegisterLoopMetrics(MetricRegistry& registry, const LoopStats& loop,
                         const StreamStats& streams, const ListenerStats& listeners) {
  registry.AddCounter("nearcached_loop_turns_total", "Turns of the event loop.", {}, &loop.turns);
  registry.AddHistogram("nearcached_loop_busy_seconds",
                        "One turn's work: what one client can delay another.", {}, &loop.turn_busy);
  registry.AddHistogram("nearcached_loop_lag_seconds", "How late timers ran.", {}, &loop.timer_lag);
  LabelledCounters(registry, "nearcached_stream_calls_total", "Read and write system calls.",
                   "call")
      .Add("read", streams.reads)
      .Add("write", streams.writes);
  registry.AddCounter("nearcached_stream_short_writes_total",
                      "Writes that found the kernel's buffer full.", {}, &streams.short_writes);
  registry.AddCounter("nearcached_stream_broken_total", "Streams that ended with an error.", {},
                      &streams.broken);
  registry.AddCounter("nearcached_accept_errors_total",
                      "Connections that could not be accepted, such as for want of descriptors.",
                      {}, &listeners.accept_errors);
  registry.AddCounter("nearcached_accept_pauses_total", "Times accepting paused because of that.",
                      {}, &listeners.pauses);
}

void RegisterReloadMetrics(MetricRegistry& registry, const ReloadStats& reloads) {
  LabelledCounters(registry, "nearcached_config_reloads_total",
                   "Times SIGHUP had the settings read again.", "result")
      .Add("ok", reloads.ok)
      .Add("failed", reloads.failed);
}

std::string MetricReference() {
  const SessionStats sessions;
  const L1Stats l1;
  const CoherenceStats coherence;
  const FlightStats flights;
  const UpstreamStats upstream;
  const ClusterStats cluster;
  const TopologyStats topology;
  const LoopStats loop;
  const StreamStats streams;
  const ListenerStats listeners;
  const ReloadStats reloads;
  const ScriptStats scripts;
  const IdentityStats identities;
  const EventStats events;
  const AdaptiveStats adaptive;
  const CanaryStats canary;
  const HitCheckStats hit_checks;
  const HitTouchStats hit_touches;
  const ReplicaStats replicas;
  const TlsStats tls_upstream;
  const TlsStats tls_listener;
  const Gauge certificate_ends;
  const ResolverStats names;
  MetricRegistry registry;
  RegisterFigures(
      registry, {sessions, l1, coherence, flights, upstream, cluster, topology, scripts, identities,
                 events, adaptive, canary, hit_checks, hit_touches, replicas});
  RegisterLoopMetrics(registry, loop, streams, listeners);
  RegisterReloadMetrics(registry, reloads);
  RegisterTlsSide(registry, "upstream", tls_upstream);
  RegisterTlsSide(registry, "listener", tls_listener);
  RegisterCertificate(registry, "upstream", certificate_ends);
  RegisterResolverMetrics(registry, names);
  RegisterProcessMetrics(registry, AllocatorMetrics::kAlways);
  return RenderMetricReference(registry.Collect());
}

}  // namespace nearcached
