#include "config/validate.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/broadcast.h"
#include "config/listen_address.h"
#include "config/quote.h"
#include "config/schema.h"
#include "config/units.h"
#include "config/upstream_url.h"
#include "config/validate_tls.h"
#include "config/value.h"

namespace nearcached::config {
namespace {

class Checker {
 public:
  Checker(const Config& config, const GivenPaths& given, ProblemList& problems)
      : config_(config), given_(given), problems_(problems) {}

  void Run() {
    CheckUpstream();
    ValidateTls(config_, given_, problems_);
    CheckCache();
    CheckInvalidation();
    CheckLimits();
    CheckAddresses();
    CheckRules();
    CheckCanary();
  }

 private:
  // An address that is bound, and the key that says so.
  struct Bound {
    std::string path;
    ListenAddress address;
  };

  bool Given(std::string_view path) const { return given_.find(path) != given_.end(); }

  void Fail(std::string_view path, std::string message) {
    problems_.Add(PlaceOf(given_, path), std::string(path), std::move(message));
  }

  std::string Value(std::string_view path) const {
    return FormatValue(*FindRow(path), 0, config_) + (Given(path) ? "" : " by default");
  }

  // Reports that `small` is not at most `large`, at the one somebody wrote.
  void CheckOrder(bool holds, std::string_view small, std::string_view large) {
    if (holds || problems_.Holds(small) || problems_.Holds(large)) {
      return;
    }
    const bool blame_small = Given(small) || !Given(large);
    const std::string_view blamed = blame_small ? small : large;
    const std::string_view other = blame_small ? large : small;
    Fail(blamed, "is " + Value(blamed) + ", must be " + (blame_small ? "at most " : "at least ") +
                     std::string(other) + ", which is " + Value(other));
  }

  // Each name stands for one thing, on either side.
  void CheckRenames() {
    std::map<std::string, std::size_t> seen;
    for (std::size_t i = 0; i < config_.commands.rename.size() && !problems_.full(); ++i) {
      std::string pair = config_.commands.rename[i];
      std::ranges::transform(pair, pair.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
      });
      const std::size_t equals = pair.find('=');
      for (const std::string& name : {pair.substr(0, equals), pair.substr(equals + 1)}) {
        if (!seen.emplace(name, i).second) {
          Fail("commands.rename", "names \"" + name + "\" twice, must name each command once");
          return;
        }
      }
    }
  }

  // Who has not logged in must not get what a login of the sidecar's own may do.
  void CheckIdentity() {
    if (!config_.upstream.password.empty()) {
      Fail(
          "upstream.identity",
          "is client, so clients log in to the upstream themselves: drop the username and password "
          "of upstream or its url, or say shared");
    }
    for (std::size_t i = 0; i < config_.listeners.size() && !problems_.full(); ++i) {
      if (!config_.listeners[i].password.empty()) {
        Fail("listeners[" + std::to_string(i) + "].password",
             "is given, but with upstream.identity: client the upstream judges every login: drop "
             "it, or say shared");
      }
    }
  }

  void CheckReadFrom() {
    const UpstreamConfig& upstream = config_.upstream;
    const std::string given = "is " + upstream.read_from;
    if (upstream.identity == "client") {
      Fail("upstream.read_from",
           given + ", which is not there with upstream.identity: client: say primary");
    }
    if (upstream.replica_lag_max <= upstream.health_interval) {
      Fail("upstream.replica_lag_max",
           "must be longer than upstream.health_interval, in which replicas are looked at");
    }
  }

  // Who asks for the key needs a login of the sidecar's own and one server that would have it.
  void CheckMaintenance() {
    const UpstreamConfig& upstream = config_.upstream;
    if (upstream.identity == "client") {
      Fail("upstream.maintenance_key",
           "is given, which is not there with upstream.identity: client: drop it, or say shared");
    } else if (upstream.topology == TopologyKind::kCluster) {
      Fail("upstream.maintenance_key",
           "is given, but in a cluster a key lives on one node only: drop it, and move slots away "
           "from a node before you work on it");
    }
  }

  void CheckUpstream() {
    const UpstreamConfig& upstream = config_.upstream;
    CheckOrder(upstream.pool.min_idle <= upstream.pool.max_active, "upstream.pool.min_idle",
               "upstream.pool.max_active");
    CheckOrder(upstream.pool.min_idle <= upstream.pool.max_idle, "upstream.pool.min_idle",
               "upstream.pool.max_idle");
    CheckOrder(upstream.reconnect_delay_min <= upstream.reconnect_delay_max,
               "upstream.reconnect_delay_min", "upstream.reconnect_delay_max");
    if (!upstream.username.empty() && upstream.password.empty() &&
        !problems_.Holds("upstream.password")) {
      Fail("upstream.username",
           "is given without upstream.password: Redis knows no login by name alone");
    }
    CheckRenames();
    if (upstream.identity == "client") {
      CheckIdentity();
    }
    if (upstream.read_from != "primary") {
      CheckReadFrom();
    }
    if (!upstream.maintenance_key.empty()) {
      CheckMaintenance();
    }
    if (!problems_.Holds("upstream.url") && !problems_.Holds("upstream.hosts") &&
        !problems_.Holds("upstream.topology")) {
      CheckTopology();
      CheckSentinel();
    }
  }

  // The key that says what the topology is.
  std::string_view TopologyKey() const {
    for (const std::string_view key : {"upstream.topology", "upstream.hosts"}) {
      if (Given(key)) {
        return key;
      }
    }
    return "upstream.url";
  }

  void CheckTopology() {
    const UpstreamConfig& upstream = config_.upstream;
    const std::string_view key = TopologyKey();
    for (auto node = upstream.nodes.begin(); node != upstream.nodes.end(); ++node) {
      if (std::find(upstream.nodes.begin(), node, *node) != node) {
        Fail(Given("upstream.hosts") ? "upstream.hosts" : "upstream.url",
             "names " + node->ToString() + " twice: name each node once");
        return;
      }
    }
    if (upstream.nodes.size() > UpstreamUrl::kNodesMax) {
      Fail("upstream.hosts", "names more than " + std::to_string(UpstreamUrl::kNodesMax) +
                                 " hosts: some of them are enough to find the others");
      return;
    }
    switch (upstream.topology) {
      case TopologyKind::kSingle:
        if (upstream.nodes.size() > 1) {
          Fail(key, "is single, but there are " + std::to_string(upstream.nodes.size()) +
                        " hosts: name one, or say topology: replicated");
        }
        return;
      case TopologyKind::kReplicated:
        if (upstream.nodes.size() < 2) {
          Fail(key, "is replicated, but there is only one host: name the primary and its replicas");
        }
        return;
      case TopologyKind::kSentinel:
        if (upstream.nodes.empty()) {
          Fail(key, "is sentinel, but upstream.url is a unix socket: name the sentinels");
        }
        return;
      case TopologyKind::kCluster:
        if (upstream.db != 0) {
          Fail("upstream.db", "must be 0 with a cluster, which has no other database");
        }
        return;
    }
  }

  void CheckSentinel() {
    const SentinelConfig& sentinel = config_.upstream.sentinel;
    if (config_.upstream.topology != TopologyKind::kSentinel) {
      return;  // what is given for sentinels has no effect, which is worth a warning
    }
    if (sentinel.master_name.empty()) {
      Fail("upstream.sentinel.master_name",
           "is missing: write the name of the line \"sentinel monitor <name> …\" here, or behind "
           "'#' in upstream.url");
    }
    if (!sentinel.username.empty() && sentinel.password.empty() &&
        !problems_.Holds("upstream.sentinel.password")) {
      Fail("upstream.sentinel.username",
           "is given without upstream.sentinel.password: Redis knows no login by name alone");
    }
  }

  void CheckCache() {
    CheckOrder(config_.l1.entry_bytes_max <= config_.l1.bytes, "l1.entry_bytes_max", "l1.bytes");
    CheckOrder(config_.l1.negative_ttl <= config_.l1.ttl, "l1.negative_ttl", "l1.ttl");
  }

  // Keyevents are published at the node that owns the key and nowhere else.
  void CheckInvalidation() {
    for (const std::string& channel : config_.invalidation.channels) {
      if (config_.upstream.topology == TopologyKind::kCluster &&
          (channel.starts_with("__keyevent@") || channel.starts_with("__keyspace@"))) {
        Fail("invalidation.channels",
             "names " + QuotedForMessage(channel) +
                 ", but each node of a cluster tells such events only of its own keys: drop it, "
                 "CLIENT TRACKING does the same for all nodes");
        return;
      }
      if (channel.starts_with("__keyspace@")) {
        Fail("invalidation.channels", "names " + QuotedForMessage(channel) +
                                          ", whose messages do not name the key: write "
                                          "\"__keyevent@0__:*\" instead");
        return;
      }
    }
  }

  void CheckLimits() {
    const LimitsConfig& limits = config_.limits;
    CheckOrder(limits.bulk_bytes_max <= limits.request_bytes_max, "limits.bulk_bytes_max",
               "limits.request_bytes_max");
    CheckOrder(limits.inline_bytes_max <= limits.request_bytes_max, "limits.inline_bytes_max",
               "limits.request_bytes_max");
  }

  // --- Addresses ---

  void CheckAddresses() {
    std::vector<Bound> bound;
    if (config_.listeners.empty()) {
      Fail("listeners", "is empty: give at least one address, as in [\"127.0.0.1:6380\"]");
    }
    for (std::size_t i = 0; i < config_.listeners.size() && !problems_.full(); ++i) {
      CheckListener(i, bound);
    }
    CheckMetrics(bound);
    CheckAdmin(bound);
  }

  // The address at `path`, if it is one, after it has been compared to those before.
  std::optional<ListenAddress> Bind(const std::string& path, const std::string& text,
                                    std::vector<Bound>& bound) {
    auto parsed = ParseListenAddress(text);
    if (!parsed.ok() || problems_.Holds(path)) {
      return std::nullopt;
    }
    for (const Bound& other : bound) {
      if (Clash(*parsed.value, other.address)) {
        Fail(path, "is " + parsed.value->ToString() + ", which " + other.path + " (" +
                       other.address.ToString() + ") has already: give each its own");
        return std::nullopt;
      }
    }
    bound.push_back({path, *parsed.value});
    return std::move(parsed.value);
  }

  void CheckListener(std::size_t i, std::vector<Bound>& bound) {
    const ListenerConfig& listener = config_.listeners[i];
    const std::string element = "listeners[" + std::to_string(i) + "]";
    if (listener.address.empty() && !problems_.Holds(element)) {
      Fail(element + ".address", "is empty: write an address, as in 127.0.0.1:6380");
    }
    const auto address = Bind(element + ".address", listener.address, bound);
    if (!listener.username.empty() && listener.password.empty()) {
      Fail(element + ".username",
           "is given without a password: add password, or drop username to ask for no AUTH");
    }
    if (!address) {
      return;
    }
    if (!address->loopback() && listener.password.empty() && !listener.tls.authenticates() &&
        !listener.allow_unauthenticated_remote) {
      Fail(element + ".address",
           "is " + address->ToString() +
               ", which other machines can reach, and has no password: add password, or require "
               "certificates (tls.client_auth: required), or listen on 127.0.0.1 or a unix socket, "
               "or say allow_unauthenticated_remote: true");
    }
    if (IsUpstream(*address)) {
      Fail(element + ".address", "is " + address->ToString() +
                                     ", which is upstream.url as well: nearcached would connect to "
                                     "itself, give one of them another port");
    }
  }

  bool IsUpstream(const ListenAddress& address) const {
    const UpstreamConfig& upstream = config_.upstream;
    if (problems_.Holds("upstream.url")) {
      return false;
    }
    if (address.is_unix() || !upstream.unix_path.empty()) {
      return address.unix_path == upstream.unix_path;
    }
    return std::ranges::any_of(upstream.nodes, [&](const HostPort& node) {
      const auto there = ParseListenAddress(node.ToString());  // fails for names: not looked up
      return there.ok() && there.value->port == address.port &&
             (there.value->host == address.host || (there.value->loopback() && address.any()));
    });
  }

  void CheckMetrics(std::vector<Bound>& bound) {
    const auto address = Bind("metrics.address", config_.metrics.address, bound);
    if (!address) {
      return;
    }
    if (address->is_unix()) {
      Fail("metrics.address",
           "is a unix socket, but HTTP needs a port: write 127.0.0.1:9380, or \"\" for none");
    } else if (!address->loopback() && !config_.metrics.allow_remote) {
      Fail("metrics.address",
           "is " + address->ToString() +
               ", which other machines can reach without a password: listen on 127.0.0.1, or say "
               "metrics.allow_remote: true");
    }
  }

  void CheckAdmin(std::vector<Bound>& bound) {
    const auto address = Bind("admin.address", config_.admin.address, bound);
    if (address && !address->loopback()) {
      Fail("admin.address",
           "is " + address->ToString() +
               ", which other machines can reach: listen on 127.0.0.1 or a unix socket");
    }
  }

  // --- Rules ---

  void CheckRules() {
    std::map<std::string_view, std::size_t> places;
    for (std::size_t i = 0; i < config_.rules.size() && !problems_.full(); ++i) {
      const RuleConfig& rule = config_.rules[i];
      const std::string path = "rules[" + std::to_string(i) + "]";
      if (problems_.Holds(path)) {
        continue;
      }
      const auto [first, is_new] = places.emplace(rule.prefix, i);
      if (!is_new) {
        const std::size_t line = config_.rules[first->second].line;
        Fail(path + ".prefix", "is " + QuotedForMessage(rule.prefix) +
                                   ", for which there is a rule already" +
                                   (line > 0 ? " in line " + std::to_string(line) : std::string()) +
                                   ": make one rule of the two");
        continue;
      }
      CheckUncached(rule, path);
      CheckNeverApplies(rule, path);
      CheckRuleLimits(rule, path);
      CheckOverlap(i, path);
    }
  }

  // A canary that the server never announces would be overdue for ever.
  void CheckCanary() {
    const std::string& canary = config_.verify.canary_key;
    const std::vector<std::string> prefixes = BroadcastPrefixes(config_.rules);
    if (config_.tracking.method == TrackingConfig::Method::kBcast && !canary.empty() &&
        !prefixes.empty() && std::ranges::none_of(prefixes, [&](const std::string& prefix) {
          return canary.starts_with(prefix);
        })) {
      Fail(
          "verify.canary_key",
          "is " + QuotedForMessage(canary) +
              ", which no rule caches, so with tracking.method: bcast the server does not announce "
              "it: let it begin with the prefix of such a rule");
    }
  }

  // The server refuses to broadcast a key to one connection twice.
  void CheckOverlap(std::size_t i, const std::string& path) {
    if (config_.tracking.method != TrackingConfig::Method::kBcast || !config_.rules[i].cache) {
      return;
    }
    for (std::size_t j = 0; j < i; ++j) {
      const RuleConfig& other = config_.rules[j];
      if (other.cache && PrefixesOverlap(config_.rules[i].prefix, other.prefix)) {
        Fail(path + ".prefix",
             "is " + QuotedForMessage(config_.rules[i].prefix) + ", which overlaps with " +
                 QuotedForMessage(other.prefix) + " of the rule" +
                 (other.line > 0 ? " in line " + std::to_string(other.line)
                                 : " rules[" + std::to_string(j) + "]") +
                 ", and a server broadcasts no key twice: make one rule of the two, or say "
                 "tracking.method: auto");
        return;
      }
    }
  }

  // Settings of a cache beside "do not cache": one of the two is not meant.
  void CheckUncached(const RuleConfig& rule, const std::string& path) {
    if (rule.cache) {
      return;
    }
    const auto refuse = [&](bool set, std::string_view key) {
      if (set) {
        Fail(path + "." + std::string(key),
             "has no effect, the rule says cache: false: drop one of the two");
      }
    };
    refuse(rule.ttl.has_value(), "ttl");
    refuse(rule.ttl_jitter.has_value(), "ttl_jitter");
    refuse(rule.negative_ttl.has_value(), "negative_ttl");
    refuse(rule.stale_if_error.has_value(), "stale_if_error");
    refuse(rule.entry_bytes_max.has_value(), "entry_bytes_max");
    refuse(rule.commands.has_value(), "commands");
    refuse(rule.allow_locks, "allow_locks");
  }

  // A rule that asks for caching where l1.never_cache takes every key it could match.
  void CheckNeverApplies(const RuleConfig& rule, const std::string& path) {
    if (!rule.cache || rule.allow_locks || problems_.Holds("l1.never_cache")) {
      return;
    }
    for (const std::string& pattern : config_.l1.never_cache) {
      if (TakesAllKeysUnder(pattern, rule.prefix)) {
        Fail(path + ".prefix",
             "is " + QuotedForMessage(rule.prefix) + ", all of whose keys l1.never_cache (" +
                 QuotedForMessage(pattern) +
                 ") keeps out of the cache: add allow_locks: true if they are no locks, or say "
                 "cache: false");
        return;
      }
    }
  }

  static bool TakesAllKeysUnder(std::string_view pattern, std::string_view prefix) {
    if (!pattern.ends_with('*')) {
      return false;  // what the keys end with is not known
    }
    pattern.remove_suffix(1);
    if (pattern.starts_with('*')) {
      return prefix.find(pattern.substr(1)) != std::string_view::npos;
    }
    return prefix.starts_with(pattern);
  }

  void CheckRuleLimits(const RuleConfig& rule, const std::string& path) {
    if (rule.entry_bytes_max.value_or(0) > config_.l1.bytes && !problems_.Holds("l1.bytes")) {
      Fail(path + ".entry_bytes_max", "is " + FormatBytes(*rule.entry_bytes_max) +
                                          ", must be at most l1.bytes, which is " +
                                          Value("l1.bytes"));
    }
    const Duration ttl = rule.ttl.value_or(config_.l1.ttl);
    if (rule.negative_ttl.value_or(Duration{0}) > ttl && !problems_.Holds("l1.ttl")) {
      Fail(path + ".negative_ttl", "is " + FormatDuration(*rule.negative_ttl) +
                                       ", must be at most the ttl of the rule, which is " +
                                       FormatDuration(ttl));
    }
  }

  const Config& config_;
  const GivenPaths& given_;
  ProblemList& problems_;
};

}  // namespace

Place PlaceOf(const GivenPaths& given, std::string_view path) {
  while (!path.empty()) {
    if (const auto at = given.find(path); at != given.end()) {
      return at->second.place;
    }
    const std::size_t cut = path.find_last_of(".[");
    path = path.substr(0, cut == std::string_view::npos ? 0 : cut);
  }
  return {"configuration"};
}

void Validate(const Config& config, const GivenPaths& given, ProblemList& problems) {
  Checker(config, given, problems).Run();
}

}  // namespace nearcached::config
