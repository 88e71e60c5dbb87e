#include "daemon/metrics_of_rooms.h"

namespace nearcached {
namespace {

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
                    {}, &stats.stale_at_most_ns, kNanosecond);
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
                    &canary.last_delay_ns, kNanosecond);
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

}  // namespace

void RegisterCacheMetrics(MetricRegistry& registry, const WorkerFigures& figures) {
  RegisterReads(registry, figures.sessions, figures.l1);
  RegisterStore(registry, figures.l1);
  RegisterCoherence(registry, figures.coherence);
  RegisterFlights(registry, figures.flights);
  RegisterEvents(registry, figures.events);
  RegisterAdaptive(registry, figures.adaptive);
  RegisterVerify(registry, figures.canary, figures.hit_checks, figures.hit_touches);
}

}  // namespace nearcached
