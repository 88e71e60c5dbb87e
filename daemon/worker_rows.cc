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

}  // namespace

std::vector<AdminRow> PoolRows(const Worker& worker) {
  const UpstreamStats& stats = worker.upstream_stats();
  const config::PoolConfig& limits = worker.config().upstream.pool;
  std::vector<AdminRow> rows;
  rows.push_back({{"pool", "exclusive"},
                  {"active", stats.exclusive_active.value()},
                  {"idle", stats.exclusive_idle.value()},
                  {"waiting", stats.exclusive_waiting.value()},
                  {"oldest_wait_ms", stats.exclusive_oldest_wait_ns.value() / 1'000'000},
                  {"max_active", std::int64_t{limits.max_active}},
                  {"max_idle", std::int64_t{limits.max_idle}},
                  {"min_idle", std::int64_t{limits.min_idle}},
                  {"max_wait_ms", std::int64_t{limits.max_wait.count()}},
                  {"exhausted", Number(stats.exclusive_exhausted.value())},
                  {"refused", Number(stats.exclusive_refused.value())}});
  struct Sum {
    std::int64_t links = 0;
    std::int64_t ready = 0;
    std::int64_t unanswered = 0;
    std::int64_t longest = 0;
  };
  std::map<std::tuple<bool, DbIndex, proto::Protocol>, Sum> groups;
  const auto add = [&](const Link& link) {
    const auto& spec = link.spec();
    const bool fill = spec.purpose == Link::Purpose::kFill;
    Sum& sum = groups[{fill, spec.db, spec.protocol}];
    ++sum.links;
    sum.ready += link.state() == Link::State::kReady ? 1 : 0;
    sum.unanswered += Number(link.unanswered());
    sum.longest = std::max(sum.longest, Number(link.unanswered()));
  };
  worker.ForEachPool([&](const Pool& pool) { pool.ForEachShared(add); });
  for (const auto& [key, sum] : groups) {
    const auto& [fill, db, protocol] = key;
    rows.push_back({{"pool", fill ? "fill" : "lane"},
                    {"db", std::int64_t{db}},
                    {"resp", protocol == proto::Protocol::kResp3 ? 3 : 2},
                    {"links", sum.links},
                    {"ready", sum.ready},
                    {"unanswered", sum.unanswered},
                    {"longest_queue", sum.longest}});
  }
  return rows;
}

// Counters are of all the nodes of a cluster together.
std::vector<AdminRow> UpstreamRows(const Worker& worker) {
  std::vector<AdminRow> rows;
  const UpstreamStats& stats = worker.upstream_stats();
  worker.ForEachPool([&](const Pool& pool) {
    rows.push_back({{"upstream", pool.EndpointText()},
                    {"state", pool.standing() ? "up" : "down"},
                    {"breaker", BreakerText(pool.gate().state())},
                    {"version", std::string(pool.server_version())},
                    {"last_failure", pool.last_failure()},
                    {"links", stats.links_ready.value()},
                    {"unanswered", stats.inflight.value()},
                    {"connects_ok", Number(stats.connects_ok.value())},
                    {"connects_failed", Number(stats.connects_failed.value())},
                    {"timeouts", Number(stats.timeouts.value())},
                    {"lost", Number(stats.lost.value())}});
  });
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
                        {"mode", pool.TrackingText()}});
      }
    });
  });
  return rows;
}

}  // namespace nearcached
