#include "daemon/upstream/topology.h"

#include "daemon/upstream/watched_topology.h"

namespace nearcached {

namespace {

TlsUse TlsOf(const config::UpstreamConfig& config) {
  return config.tls.enabled ? TlsUse::kUpstream : TlsUse::kNone;
}

}  // namespace

Endpoint EndpointOf(const config::HostPort& node, const config::UpstreamConfig& config) {
  Endpoint endpoint;
  endpoint.host = node.host;
  endpoint.port = node.port;
  endpoint.tls = TlsOf(config);
  return endpoint;
}

Endpoint SentinelEndpointOf(const config::HostPort& sentinel,
                            const config::UpstreamConfig& config) {
  Endpoint endpoint = EndpointOf(sentinel, config);
  if (config.sentinel.tls.mode != "upstream") {
    endpoint.tls = config.sentinel.tls.mode == "own" ? TlsUse::kSentinels : TlsUse::kNone;
  }
  return endpoint;
}

std::unique_ptr<Topology> MakeTopology(const TopologyContext& context) {
  const config::UpstreamConfig& config = context.config;
  switch (config.topology) {
    case config::TopologyKind::kReplicated:
    case config::TopologyKind::kSentinel:
      return std::make_unique<WatchedTopology>(context);
    case config::TopologyKind::kSingle:
    case config::TopologyKind::kCluster:  // asks a Cluster instead
      break;
  }
  Endpoint endpoint;
  if (config.unix_path.empty()) {
    endpoint = EndpointOf(config.nodes.front(), config);
  } else {
    endpoint.unix_path = config.unix_path;
    endpoint.tls = TlsOf(config);
  }
  return std::make_unique<SingleTopology>(std::move(endpoint));
}

}  // namespace nearcached
