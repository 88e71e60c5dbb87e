#include "config/resolve.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "config/upstream_url.h"

namespace nearcached::config {
namespace {

Source SourceOf(const GivenPaths& given, std::string_view path) {
  const auto at = given.find(path);
  return at == given.end() ? Source::kDefault : at->second.source;
}

bool CountsMoreThanUrl(const GivenPaths& given, std::string_view path) {
  const Source source = SourceOf(given, path);
  return source != Source::kDefault && source >= SourceOf(given, "upstream.url");
}

// The topology: the key, or the scheme, or the number of hosts.
TopologyKind TopologyOf(const UpstreamConfig& upstream, const UpstreamUrl& url, bool hosts_given,
                        const GivenPaths& given) {
  if (CountsMoreThanUrl(given, "upstream.topology")) {
    return upstream.topology;
  }
  if (hosts_given && url.topology <= TopologyKind::kReplicated) {
    return upstream.hosts.size() > 1 ? TopologyKind::kReplicated : TopologyKind::kSingle;
  }
  return url.topology;
}

void TakeHosts(const std::vector<std::string>& hosts, UpstreamUrl& url) {
  url.unix_path.clear();
  url.nodes.clear();
  for (const std::string& host : hosts) {
    const auto node = ParseHostPort(host, DefaultPort(url.topology));
    if (node.ok()) {  // otherwise reported when it was read
      url.nodes.push_back(*node.value);
    }
  }
}

void ResolveUpstream(UpstreamConfig& upstream, const GivenPaths& given) {
  auto parsed = ParseUpstreamUrl(upstream.url);
  if (!parsed.ok()) {
    return;  // reported when it was read
  }
  UpstreamUrl& url = *parsed.value;
  const bool hosts_given = CountsMoreThanUrl(given, "upstream.hosts") && !upstream.hosts.empty();
  url.topology = TopologyOf(upstream, url, hosts_given, given);
  if (hosts_given) {
    TakeHosts(upstream.hosts, url);
  }
  if (url.username && !CountsMoreThanUrl(given, "upstream.username")) {
    upstream.username = *url.username;
  }
  if (url.password && !CountsMoreThanUrl(given, "upstream.password")) {
    upstream.password = *url.password;
  }
  if (url.db && !CountsMoreThanUrl(given, "upstream.db")) {
    upstream.db = *url.db;
  }
  if (url.master_name && !CountsMoreThanUrl(given, "upstream.sentinel.master_name")) {
    upstream.sentinel.master_name = *url.master_name;
  }
  url.master_name.reset();
  if (url.topology == TopologyKind::kSentinel && !upstream.sentinel.master_name.empty()) {
    url.master_name = upstream.sentinel.master_name;
  }
  upstream.topology = url.topology;
  upstream.tls.enabled = upstream.tls.enabled || url.tls;
  upstream.unix_path = url.unix_path;
  upstream.nodes = url.nodes;
  if (!hosts_given) {
    upstream.hosts.clear();
  }
  upstream.url = url.PlaceOnly();
}

void ResolveNegativeTtls(Config& config, const GivenPaths& given) {
  if (SourceOf(given, "l1.negative_ttl") == Source::kDefault) {
    config.l1.negative_ttl = std::min(config.l1.negative_ttl, config.l1.ttl);
  }
  for (RuleConfig& rule : config.rules) {
    if (rule.cache && rule.ttl && !rule.negative_ttl && *rule.ttl < config.l1.negative_ttl) {
      rule.negative_ttl = rule.ttl;
    }
  }
}

}  // namespace

void Resolve(Config& config, const GivenPaths& given) {
  ResolveUpstream(config.upstream, given);
  ResolveNegativeTtls(config, given);
}

}  // namespace nearcached::config
