#include "daemon/metrics.h"

#include "daemon/admin/metric_reference.h"
#include "daemon/admin/process_metrics.h"
#include "daemon/metrics_of_rooms.h"

namespace nearcached {
namespace {

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
  registry.AddCounter("nearcached_requests_delayed_total",
                      "Requests that waited for room on a link (upstream.link_bytes_max), or for "
                      "another client.",
                      {}, &stats.delayed);
  registry.AddCounter("nearcached_requests_paced_total",
                      "Requests that waited for large replies on their way to their client.", {},
                      &stats.paced);
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

void RegisterFigures(MetricRegistry& registry, const WorkerFigures& figures) {
  RegisterClients(registry, figures.sessions);
  RegisterCacheMetrics(registry, figures);
  RegisterUpstreamMetrics(registry, figures);
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
  RegisterFigures(registry,
                  {worker.session_stats(), worker.l1().stats(), worker.coherence().stats(),
                   worker.coherence().flights().stats(), worker.upstream_stats(),
                   worker.cluster_stats(), worker.topology_stats(), worker.maintenance_stats(),
                   worker.script_stats(), worker.identity_stats(), worker.event_stats(),
                   worker.adaptive_stats(), worker.canary_stats(), worker.hit_check_stats(),
                   worker.hit_touch_stats(), worker.replica_stats()});
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
  const MaintenanceStats maintenance;
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
      registry, {sessions, l1, coherence, flights, upstream, cluster, topology, maintenance,
                 scripts, identities, events, adaptive, canary, hit_checks, hit_touches, replicas});
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
