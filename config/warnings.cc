// What is allowed, and yet hardly meant.
#include <string>
#include <utility>

#include "config/listen_address.h"
#include "config/validate.h"

namespace nearcached::config {

void CollectWarnings(const Config& config, const GivenPaths& given, ProblemList& warnings) {
  const auto warn = [&](const std::string& path, std::string message) {
    warnings.Add(PlaceOf(given, path), path, std::move(message));
  };
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const ListenerConfig& listener = config.listeners[i];
    const auto address = ParseListenAddress(listener.address);
    if (address.ok() && !address.value->loopback() && listener.password.empty() &&
        !listener.tls.authenticates()) {
      warn("listeners[" + std::to_string(i) + "].address",
           "other machines can reach " + address.value->ToString() + " without a password");
    }
  }
  for (const std::string_view key : {"upstream.sentinel.master_name", "upstream.sentinel.username",
                                     "upstream.sentinel.password", "upstream.sentinel.tls.mode"}) {
    if (given.find(key) != given.end() && config.upstream.topology != TopologyKind::kSentinel) {
      warn(std::string(key),
           "has no effect, as upstream.topology is not sentinel: drop it, or write "
           "redis-sentinel://host:26379#master-name as upstream.url");
    }
  }
  if (config.upstream.tls.enabled && config.upstream.tls.verify == "none") {
    warn("upstream.tls.verify",
         "is none: whoever stands between nearcached and the upstream can read and change "
         "everything");
  }
  if (config.upstream.sentinel.tls.mode == "own" && config.upstream.sentinel.tls.verify == "none") {
    warn("upstream.sentinel.tls.verify",
         "is none: whoever stands between nearcached and the sentinels can name another primary");
  }
  bool any_ttl = false;
  for (const RuleConfig& rule : config.rules) {
    any_ttl = any_ttl || rule.ttl.has_value();
  }
  if (config.l1.enabled && config.tracking.mode == TrackingConfig::Mode::kOff && !any_ttl) {
    warn("tracking.mode",
         "is off and no rule has a ttl, so nothing is ever cached: add rules, or say "
         "l1.enabled: false");
  }
  if (config.tracking.mode == TrackingConfig::Mode::kOff &&
      given.find("tracking.method") != given.end()) {
    warn("tracking.method", "has no effect, as tracking.mode is off: drop one of the two");
  }
}

}  // namespace nearcached::config
