#include "config/resolve.h"

#include <algorithm>
#include <string_view>

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

void ResolveUpstream(UpstreamConfig& upstream, const GivenPaths& given) {
  const auto url = ParseUpstreamUrl(upstream.url);
  if (!url.ok()) {
    return;  // reported when it was read
  }
  upstream.host = url.value->host;
  upstream.port = url.value->port;
  upstream.unix_path = url.value->unix_path;
  if (url.value->username && !CountsMoreThanUrl(given, "upstream.username")) {
    upstream.username = *url.value->username;
  }
  if (url.value->password && !CountsMoreThanUrl(given, "upstream.password")) {
    upstream.password = *url.value->password;
  }
  if (url.value->db && !CountsMoreThanUrl(given, "upstream.db")) {
    upstream.db = *url.value->db;
  }
  upstream.url = url.value->PlaceOnly();
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
