#include "daemon/worker_rows.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

namespace nearcached {
namespace {

std::int64_t Number(std::size_t n) {
  return static_cast<std::int64_t>(n);
}

std::string StateText(Link::State state) {
  switch (state) {
    case Link::State::kClosed:
      return "closed";
    case Link::State::kConnecting:
      return "connecting";
    case Link::State::kHandshake:
      return "handshake";
    case Link::State::kReady:
      return "ready";
    case Link::State::kBackoff:
      return "waiting to reconnect";
  }
  return "?";
}

std::string BreakerText(BreakerState state) {
  switch (state) {
    case BreakerState::kClosed:
      return "closed";
    case BreakerState::kHalfOpen:
      return "half-open";
    case BreakerState::kOpen:
      return "open";
  }
  return "?";
}

// N: nothing special, P: talks with the server itself, x: in a transaction, b: blocked.
std::string Flags(const Session& session) {
  if (session.pin.passthrough) {
    return "P";
  }
  if (session.pin.blocking) {
    return "b";
  }
  return session.pin.link != nullptr ? "x" : "N";
}

// The links that are lent out. What is counted, is counted for all nodes of a cluster together.
AdminRow ExclusiveRow(const Worker& worker, const Pool& pool) {
  const UpstreamStats& stats = worker.upstream_stats();
  const config::PoolConfig& limits = worker.config().upstream.pool;
  const ExclusivePool& exclusive = pool.exclusive();
  return {{"pool", "exclusive"},
          {"upstream", pool.EndpointText()},
          {"active", Number(exclusive.lent() + exclusive.tested())},
          {"idle", Number(exclusive.idle())},
          {"waiting", Number(exclusive.waiting())},
          {"oldest_wait_ms", ToMillis(exclusive.oldest_wait())},
          {"max_active", std::int64_t{limits.max_active}},
          {"max_idle", std::int64_t{limits.max_idle}},
          {"min_idle", std::int64_t{limits.min_idle}},
          {"max_wait_ms", std::int64_t{limits.max_wait.count()}},
          {"exhausted", Number(stats.exclusive_exhausted.value())},
          {"refused", Number(stats.exclusive_refused.value())}};
}

// One row for the lanes, and one for the fill links, of each database and protocol.
void AppendSharedRows(const Pool& pool, std::vector<AdminRow>& rows) {
  struct Sum {
    std::int64_t links = 0;
    std::int64_t ready = 0;
    std::int64_t unanswered = 0;
    std::int64_t longest = 0;
  };
  std::map<std::tuple<Link::Purpose, DbIndex, proto::Protocol>, Sum> groups;
  pool.ForEachShared([&](const Link& link) {
    const auto& spec = link.spec();
    Sum& sum = groups[{spec.purpose, spec.db, spec.protocol}];
    ++sum.links;
    sum.ready += link.state() == Link::State::kReady ? 1 : 0;
    sum.unanswered += Number(link.unanswered());
    sum.longest = std::max(sum.longest, Number(link.unanswered()));
  });
  for (const auto& [key, sum] : groups) {
    const auto& [purpose, db, protocol] = key;
    rows.push_back({{"pool", std::string(PurposeText(purpose))},
                    {"upstream", pool.EndpointText()},
                    {"db", std::int64_t{db}},
                    {"resp", protocol == proto::Protocol::kResp3 ? 3 : 2},
                    {"links", sum.links},
                    {"ready", sum.ready},
                    {"unanswered", sum.unanswered},
                    {"longest_queue", sum.longest}});
  }
}

std::string StateText(const Pool& pool) {
  return pool.gate().maintenance() ? "maintenance" : pool.standing() ? "up" : "down";
}

AdminRow NodeRow(const Pool& pool) {
  return {{"upstream", pool.EndpointText()},
          {"state", StateText(pool)},
          {"breaker", BreakerText(pool.gate().state())},
          {"version", std::string(pool.server_version())},
          {"last_failure", pool.last_failure()}};
}

void AppendTotals(const UpstreamStats& stats, AdminRow& row) {
  row.insert(row.end(), {{"links", stats.links_ready.value()},
                         {"unanswered", stats.inflight.value()},
                         {"connects_ok", Number(stats.connects_ok.value())},
                         {"connects_failed", Number(stats.connects_failed.value())},
                         {"timeouts", Number(stats.timeouts.value())},
                         {"lost", Number(stats.lost.value())}});
}

// One node of several: what is counted is counted for all of them, so its links are looked at.
void AppendOwnLinks(const Pool& pool, AdminRow& row) {
  std::int64_t ready = 0;
  std::int64_t unanswered = 0;
  pool.ForEachShared([&](const Link& link) {
    ready += link.state() == Link::State::kReady ? 1 : 0;
    unanswered += Number(link.unanswered());
  });
  row.insert(row.end(), {{"shared_links", ready},
                         {"exclusive_links", Number(pool.exclusive().links())},
                         {"unanswered", unanswered}});
}

// All nodes together.
AdminRow ClusterRow(const Worker& worker) {
  const ClusterStats& stats = worker.cluster_stats();
  AdminRow row = {{"upstream", worker.UpstreamText()},
                  {"state", worker.upstream_up() ? "up" : "down"},
                  {"nodes", stats.nodes.value()},
                  {"slots_covered", stats.slots_covered.value()},
                  {"requests_held", stats.requests_held.value()},
                  {"maps", Number(stats.refreshes.value())},
                  {"maps_failed", Number(stats.refreshes_failed.value())}};
  AppendTotals(worker.upstream_stats(), row);
  return row;
}

std::int64_t Micros(Duration d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

void AppendReplicaRows(const Replicas& replicas, std::vector<AdminRow>& rows) {
  for (const Replicas::Report& report : replicas.Reports()) {
    rows.push_back({{"replica", report.node},
                    {"primary", report.primary},
                    {"state", report.why_not.empty() ? "readable" : "not readable"},
                    {"why", report.why_not},
                    {"older_at_most_ms", ToMillis(report.older_than_now)},
                    {"round_trip_us", Micros(report.round_trip)},
                    {"nearest", report.nearest ? "yes" : "no"},
                    {"links", Number(report.links)}});
  }
}

}  // namespace

std::vector<AdminRow> PoolRows(const Worker& worker) {
  std::vector<AdminRow> rows;
  worker.ForEachPool([&](const Pool& pool) {
    rows.push_back(ExclusiveRow(worker, pool));
    AppendSharedRows(pool, rows);
  });
  return rows;
}

std::vector<AdminRow> UpstreamRows(const Worker& worker) {
  std::vector<AdminRow> rows;
  if (worker.cluster() == nullptr) {
    worker.ForEachPool([&](const Pool& pool) {
      rows.push_back(NodeRow(pool));
      AppendTotals(worker.upstream_stats(), rows.back());
    });
    if (worker.replicas() != nullptr) {
      const Duration own = worker.replicas()->primary_round_trip();
      rows.front().emplace_back("round_trip_us", Micros(own));
      AppendReplicaRows(*worker.replicas(), rows);
    }
    return rows;
  }
  worker.ForEachPool([&](const Pool& pool) {
    rows.push_back(NodeRow(pool));
    rows.back().emplace_back("slots", Number(worker.cluster()->SlotsOf(pool)));
    AppendOwnLinks(pool, rows.back());
  });
  if (worker.replicas() != nullptr) {
    AppendReplicaRows(*worker.replicas(), rows);
  }
  rows.push_back(ClusterRow(worker));
  return rows;
}

std::vector<AdminRow> ClientRows(const Worker& worker, MonoTime now) {
  std::vector<AdminRow> rows;
  const auto seconds = [&](MonoTime since) { return ToMillis(now - since) / 1000; };
  worker.server().ForEach([&](const Session& session) {
    rows.push_back({{"id", Number(session.client_id())},
                    {"addr", session.PeerName()},
                    {"laddr", session.listener().config.address},
                    {"name", session.client.name},
                    {"lib", session.client.lib_name},
                    {"age_seconds", seconds(session.accepted_at())},
                    {"idle_seconds", seconds(session.last_active())},
                    {"flags", Flags(session)},
                    {"db", std::int64_t{session.client.db}},
                    {"resp", session.client.protocol == proto::Protocol::kResp3 ? 3 : 2},
                    {"unanswered", Number(session.unanswered())},
                    {"waits_for", std::string(session.WaitsFor())},
                    {"input_bytes", Number(session.input_bytes())},
                    {"output_bytes", Number(session.output_bytes())}});
  });
  return rows;
}

std::vector<AdminRow> TrackingRows(const Worker& worker) {
  std::vector<AdminRow> rows;
  worker.ForEachPool([&](const Pool& pool) {
    pool.ForEachShared([&](const Link& link) {
      if (link.spec().purpose == Link::Purpose::kFill) {
        rows.push_back({{"upstream", pool.EndpointText()},
                        {"db", std::int64_t{link.spec().db}},
                        {"link", std::int64_t{link.spec().id}},
                        {"state", StateText(link.state())},
                        {"tracking", link.armed() ? "armed" : "off"},
                        {"connection", std::int64_t{link.owner().epoch}},
                        {"mode", pool.TrackingText()},
                        {"stale_at_most_ms", ToMillis(worker.StaleAtMost(pool))}});
      } else if (link.spec().purpose == Link::Purpose::kTracker) {
        rows.push_back({{"upstream", pool.EndpointText()},
                        {"db", std::int64_t{link.spec().db}},
                        {"link", "tracker"},
                        {"state", StateText(link.state())},
                        {"tracking", pool.redirection_ready() ? "subscribed" : "off"},
                        {"connection", std::int64_t{link.owner().epoch}},
                        {"mode", pool.TrackingText()},
                        {"stale_at_most_ms", ToMillis(worker.StaleAtMost(pool))}});
      }
    });
  });
  return rows;
}

}  // namespace nearcached
