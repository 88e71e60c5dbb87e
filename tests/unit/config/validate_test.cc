#include "config/validate.h"

#include <string>

#include "tests/unit/config/config_cases.h"

namespace nearcached::config {
namespace {

TEST_CASE("a minimum above its maximum is reported at the one that was written") {
  CheckOneProblem(Load("upstream:\n  reconnect_delay_min: 6s\n"),
                  "test.yaml:2: upstream.reconnect_delay_min: ",
                  {"is 6s", "at most upstream.reconnect_delay_max", "5s by default"});
  CheckOneProblem(Load("upstream:\n  reconnect_delay_max: 10ms\n"),
                  "test.yaml:2: upstream.reconnect_delay_max: ",
                  {"is 10ms", "at least upstream.reconnect_delay_min", "50ms by default"});
  CheckOneProblem(Load("upstream:\n  pool: {max_active: 4, min_idle: 5}\n"),
                  "test.yaml:2: upstream.pool.min_idle: ", {"at most upstream.pool.max_active"});
  CheckOneProblem(Load("upstream:\n  pool:\n    min_idle: 9\n"),
                  "test.yaml:3: upstream.pool.min_idle: ", {"at most upstream.pool.max_idle"});
  CheckOneProblem(Load("l1:\n  bytes: 2mb\n  entry_bytes_max: 3mb\n"),
                  "test.yaml:3: l1.entry_bytes_max: ", {"at most l1.bytes, which is 2mb"});
  CheckOneProblem(Load("l1:\n  negative_ttl: 6s\n"),
                  "test.yaml:2: l1.negative_ttl: ", {"at most l1.ttl"});
  CheckOneProblem(Load("limits:\n  bulk_bytes_max: 2gb\n"),
                  "test.yaml:2: limits.bulk_bytes_max: ", {"limits.request_bytes_max"});
  CheckOneProblem(
      Load("limits:\n  request_bytes_max: 8kb\n  bulk_bytes_max: 4kb\n  inline_bytes_max: 16kb\n"),
      "test.yaml:4: limits.inline_bytes_max: ", {"limits.request_bytes_max"});
}

TEST_CASE("a maintenance key needs a login of the sidecar's own, and a server that would have it") {
  const std::string key = "upstream:\n  maintenance_key: \"m\"\n";
  CHECK(Load(key).ok());
  CHECK(Load(key + "  url: \"redis-sentinel://127.0.0.1:1,127.0.0.1:2#m\"\n").ok());
  CheckOneProblem(Load(key + "  identity: client\n"), "test.yaml:2: upstream.maintenance_key: ",
                  {"upstream.identity: client", "say shared"});
  CheckOneProblem(Load(key + "  url: \"redis-cluster://127.0.0.1:1\"\n"),
                  "test.yaml:2: upstream.maintenance_key: ", {"one node only", "drop it"});
}

TEST_CASE("where clients log in to the upstream themselves, nobody else has a login") {
  const std::string client = "upstream:\n  identity: client\n";
  CHECK(Load(client).ok());
  CheckOneProblem(Load(client + "  password: x\n"), "test.yaml:2: upstream.identity: ",
                  {"drop the username and password", "say shared"});
  CheckOneProblem(Load(client + "  url: \"redis://:x@127.0.0.1:6379\"\n"),
                  "test.yaml:2: upstream.identity: ", {"or its url"});
  CHECK(Load(client + "  url: \"redis-cluster://127.0.0.1:6379\"\n").ok());
  CheckOneProblem(Load(client + "listeners: [{address: \"127.0.0.1:1\", password: x}]\n"),
                  "test.yaml:3: listeners[0].password: ", {"the upstream judges every login"});
  CheckOneProblem(Load("upstream:\n  identity: alice\n"),
                  "test.yaml:2: upstream.identity: ", {"shared, client"});
}

TEST_CASE("replicas are read from where there are some, and are looked at in time") {
  const std::string replica = "upstream:\n  read_from: replica\n";
  CHECK(Load(replica).ok());
  CHECK(Load(replica + "  url: \"redis-cluster://127.0.0.1:6379\"\n").ok());
  CheckOneProblem(Load(replica + "  identity: client\n"),
                  "test.yaml:2: upstream.read_from: ", {"upstream.identity: client"});
  CheckOneProblem(Load(replica + "  replica_lag_max: 1s\n"),
                  "test.yaml:3: upstream.replica_lag_max: ", {"longer than"});
  CHECK(Load("upstream:\n  replica_lag_max: 1s\n").ok());
  CheckOneProblem(Load("upstream:\n  read_from: any\n"),
                  "test.yaml:2: upstream.read_from: ", {"prefer_replica", "nearest"});
}

TEST_CASE("keyevents are of one server, and keyspace events name no key") {
  const std::string events = "invalidation:\n  channels: [\"a*\", \"__keyevent@0__:*\"]\n";
  CHECK(Load(events).ok());
  CheckOneProblem(Load(events + "upstream: {url: \"redis-cluster://127.0.0.1:6379\"}\n"),
                  "test.yaml:2: invalidation.channels: ", {"__keyevent@0__:*", "its own keys"});
  CheckOneProblem(Load("invalidation:\n  channels: [\"__keyspace@0__:*\"]\n"),
                  "test.yaml:2: invalidation.channels: ", {"write \"__keyevent@0__:*\""});
  CheckOneProblem(Load("invalidation:\n  channels: [\"\"]\n"),
                  "test.yaml:2: invalidation.channels: ", {"is no channel"});
}

TEST_CASE("a rename says what stands for what, once") {
  CHECK(Load("commands: {rename: [\"flushall=x-9f\", \"wipe=unlink\"]}\n").ok());
  CheckOneProblem(Load("commands:\n  rename: [\"flushall\"]\n"), "test.yaml:2: commands.rename: ",
                  {"\"flushall\" is no rename", "\"flushall=x-flush\""});
  CheckOneProblem(Load("commands:\n  rename: [\"config|set=x\"]\n"),
                  "test.yaml:2: commands.rename: ", {"is no rename"});
  CheckOneProblem(Load("commands:\n  rename: [\"flushall=\"]\n"),
                  "test.yaml:2: commands.rename: ", {"is no rename"});
  CheckOneProblem(Load("commands:\n  rename: [\"AUTH=x\"]\n"),
                  "test.yaml:2: commands.rename: ", {"under its own name"});
  CheckOneProblem(Load("commands:\n  rename: [\"a=x\", \"b=X\"]\n"),
                  "test.yaml:2: commands.rename: ", {"names \"x\" twice"});
}

TEST_CASE("one mistake is one problem: values that are wrong already are not compared") {
  CheckOneProblem(Load("l1:\n  bytes: x\n  entry_bytes_max: 100mb\n"),
                  "test.yaml:2: l1.bytes: ", {});
}

TEST_CASE("an address that other machines can reach needs a password or the words for it") {
  CheckOneProblem(Load("listeners:\n  - \"127.0.0.1:1\"\n  - \"0.0.0.0:6380\"\n"),
                  "test.yaml:3: listeners[1].address: ",
                  {"other machines can reach", "password", "allow_unauthenticated_remote: true"});
  CheckOneProblem(Load("listeners: [\"[::]:6380\"]\n"),
                  "test.yaml:1: listeners[0].address: ", {"other machines can reach"});
  CHECK(Load("listeners: [{address: \"0.0.0.0:6380\", password: x}]\n").ok());
  const LoadResult open =
      Load("listeners: [{address: \"0.0.0.0:6380\", allow_unauthenticated_remote: true}]\n");
  CHECK(open.ok());
  REQUIRE(open.warnings.size() == 1);
  CHECK(open.warnings[0].ToString().find("without a password") != std::string::npos);
  CheckOneProblem(Load("metrics:\n  address: 0.0.0.0:9380\n"),
                  "test.yaml:2: metrics.address: ", {"metrics.allow_remote: true"});
  CHECK(Load("metrics: {address: \"0.0.0.0:9380\", allow_remote: true}\n").ok());
  CheckOneProblem(Load("admin:\n  address: 10.0.0.1:1\n"),
                  "test.yaml:2: admin.address: ", {"unix socket"});
}

TEST_CASE("no two addresses are the same") {
  CheckOneProblem(Load("listeners:\n  - 127.0.0.1:1\n  - localhost:1\n"),
                  "test.yaml:3: listeners[1].address: ", {"listeners[0].address"});
  CheckOneProblem(Load("listeners: [\"127.0.0.1:9380\"]\n"),
                  "configuration: metrics.address: ", {"listeners[0].address"});
  CheckOneProblem(Load("admin: {address: \"127.0.0.1:9380\"}\n"),
                  "test.yaml:1: admin.address: ", {"metrics.address"});
  CheckOneProblem(Load("admin: {address: \"127.0.0.1:6380\"}\n"),
                  "test.yaml:1: admin.address: ", {"listeners[0].address"});
  CHECK(Load("listeners: [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n").ok());
}

TEST_CASE("the listener is not the upstream") {
  CheckOneProblem(Load("listeners: [\"127.0.0.1:6379\"]\n"),
                  "test.yaml:1: listeners[0].address: ", {"connect to itself"});
  CheckOneProblem(Load("listeners: [{address: \"0.0.0.0:6379\", password: x}]\n"),
                  "test.yaml:1: listeners[0].address: ", {"connect to itself"});
  CheckOneProblem(Load("listeners: [\"unix:/a\"]\nupstream: {url: \"unix:///a\"}\n"),
                  "test.yaml:1: listeners[0].address: ", {"connect to itself"});
  CHECK(Load("listeners: [\"127.0.0.1:6379\"]\nupstream: {url: \"redis://10.0.0.1\"}\n").ok());
  CHECK(Load("listeners: [\"127.0.0.1:6379\"]\nupstream: {url: \"redis://db\"}\n").ok());
}

TEST_CASE("a list of listeners has one, with an address") {
  CheckOneProblem(Load("listeners: []\n"), "test.yaml:1: listeners: ", {"at least one"});
  CheckOneProblem(Load("listeners: [\"\"]\n"), "test.yaml:1: listeners[0].address: ", {"is empty"});
}

TEST_CASE("metrics are served over TCP or not at all") {
  CheckOneProblem(Load("metrics: {address: \"unix:/m\"}\n"),
                  "test.yaml:1: metrics.address: ", {"HTTP needs a port"});
  CHECK(Load("metrics: {address: \"\"}\n").ok());
}

TEST_CASE("a user without a password is refused") {
  CheckOneProblem(Load("upstream:\n  username: u\n"),
                  "test.yaml:2: upstream.username: ", {"without upstream.password"});
  CheckOneProblem(Load("listeners:\n- address: 127.0.0.1:1\n  username: u\n"),
                  "test.yaml:3: listeners[0].username: ", {"without a password"});
}

TEST_CASE("a prefix has one rule") {
  CheckOneProblem(Load("rules:\n- prefix: a\n- prefix: ab\n- prefix: a\n"),
                  "test.yaml:4: rules[2].prefix: ", {"\"a\"", "line 2", "one rule"});
}

TEST_CASE("commands are those whose replies can be cached, or all") {
  const LoadResult result = Load(
      "l1:\n  commands: all\nrules:\n- {prefix: a, commands: [GET, HGetAll]}\n- {prefix: b}\n");
  REQUIRE(result.ok());
  CHECK(result.config.l1.commands == std::vector<std::string>{"all"});
  CHECK(result.config.rules[0].commands == std::vector<std::string>{"GET", "HGetAll"});
  CHECK_FALSE(result.config.rules[1].commands.has_value());
  CHECK(Load("rules:\n- {prefix: a, commands: []}\n").config.rules[0].commands->empty());
  CheckOneProblem(Load("rules:\n- {prefix: a, commands: [hgetal]}\n"),
                  "test.yaml:2: rules[0].commands: ", {"did you mean \"hgetall\"?"});
  CheckOneProblem(Load("l1:\n  commands: [set]\n"),
                  "test.yaml:2: l1.commands: ", {"can be cached"});
  CheckOneProblem(Load("l1:\n  commands: hgetall\n"),
                  "test.yaml:2: l1.commands: ", {"must be a list", "or all"});
}

TEST_CASE("a rule that does not cache has no settings of a cache") {
  for (const char* setting : {"ttl: 5s", "ttl_jitter: 0", "negative_ttl: 1s",
                              "entry_bytes_max: 1kb", "allow_locks: true", "commands: all"}) {
    const std::string file =
        "rules:\n- prefix: a\n  cache: false\n  " + std::string(setting) + "\n";
    const std::string key = std::string(setting).substr(0, std::string(setting).find(':'));
    CheckOneProblem(Load(file), "test.yaml:4: rules[0]." + key + ": ", {"cache: false"});
  }
}

TEST_CASE("a rule for keys that are never cached has to say that they are no locks") {
  for (const char* prefix : {"lock:", "lock:x", "a:lock:b", "{lock}"}) {
    const std::string file = "rules:\n- prefix: \"" + std::string(prefix) + "\"\n  ttl: 5s\n";
    CheckOneProblem(Load(file), "test.yaml:2: rules[0].prefix: ",
                    {"l1.never_cache", "allow_locks: true", "cache: false"});
    CHECK(Load(file + "  allow_locks: true\n").ok());
  }
  CHECK(Load("rules:\n- {prefix: \"lock:\", cache: false}\n").ok());
  CHECK(Load("rules:\n- {prefix: \"lo\"}\n- {prefix: \"a:lock\"}\n").ok());
  CHECK(Load("l1:\n  never_cache: []\nrules:\n- {prefix: \"lock:\"}\n").ok());
}

TEST_CASE("what a rule asks for fits into the cache and its ttl") {
  CheckOneProblem(Load("rules:\n- prefix: a\n  entry_bytes_max: 65mb\n"),
                  "test.yaml:3: rules[0].entry_bytes_max: ", {"l1.bytes", "64mb by default"});
  CheckOneProblem(Load("rules:\n- prefix: a\n  ttl: 2s\n  negative_ttl: 3s\n"),
                  "test.yaml:4: rules[0].negative_ttl: ", {"is 3s", "2s"});
  CheckOneProblem(Load("rules:\n- prefix: a\n  negative_ttl: 6s\n"),
                  "test.yaml:3: rules[0].negative_ttl: ", {"is 6s", "5s"});
}

TEST_CASE("a cache that can hold nothing is worth a warning") {
  CHECK(Load("tracking: {mode: off}\n").warnings.size() == 1);
  CHECK(Load("tracking: {mode: off}\nl1: {enabled: false}\n").warnings.empty());
  CHECK(Load("tracking: {mode: off}\nrules: [{prefix: a, ttl: 5s}]\n").warnings.empty());
  CHECK(Load("").warnings.empty());
}

TEST_CASE("prefixes that a server would announce twice are refused where they are announced") {
  const std::string rules = "rules:\n- prefix: \"user:\"\n- prefix: \"user:vip:\"\n";
  CHECK(Load(rules).ok());
  CHECK(Load("tracking: {method: redirect}\n" + rules).ok());
  CheckOneProblem(Load("tracking: {method: bcast}\n" + rules), "test.yaml:4: rules[1].prefix: ",
                  {"overlaps with \"user:\"", "line 3", "tracking.method: auto"});
  CHECK(Load("tracking: {method: bcast}\nrules:\n- prefix: \"user:\"\n- {prefix: \"user:vip:\", "
             "cache: false}\n- prefix: \"users\"\n")
            .ok());
  CheckOneProblem(
      Load("tracking: {method: bcast}\nrules:\n- prefix: a\nverify:\n  canary_key: "
           "b:1\n"),
      "test.yaml:5: verify.canary_key: ", {"no rule caches", "the prefix of such a rule"});
  CheckOneProblem(Load("tracking:\n  method: broadcast\n"),
                  "test.yaml:2: tracking.method: ", {"default", "redirect", "bcast"});
  CHECK(Load("tracking: {mode: off, method: bcast}\nrules: [{prefix: a, ttl: 5s}]\n")
            .warnings.size() == 1);
}

TEST_CASE("the defaults are consistent") {
  ProblemList problems;
  Validate(Config(), GivenPaths(), problems);
  CHECK(problems.empty());
}

TEST_CASE("a cluster has one database") {
  CHECK(Load("upstream:\n  url: redis-cluster://h1:7000,h2\n").ok());
  CHECK(Load("upstream:\n  topology: cluster\n  hosts: [h1]\n").ok());
  CheckOneProblem(Load("upstream:\n  url: redis-cluster://h1\n  db: 1\n"),
                  "test.yaml:3: upstream.db: ", {"must be 0", "cluster"});
}

TEST_CASE("hosts and topology go together") {
  CHECK(Load("upstream:\n  url: \"redis://h1,h2\"\n").ok());
  CHECK(Load("upstream:\n  url: \"redis-sentinel://h#m\"\n").ok());
  CHECK(Load("upstream:\n  hosts: [h1, h2]\n").ok());
  CheckOneProblem(Load("upstream:\n  topology: replicated\n  hosts: [h1]\n"),
                  "test.yaml:2: upstream.topology: ", {"only one host"});
  CheckOneProblem(Load("upstream:\n  topology: sentinel\n  hosts: [h1]\n"),
                  "configuration: upstream.sentinel.master_name: ", {"is missing"});
  CheckOneProblem(Load("upstream:\n  topology: single\n  hosts: [h1, h2]\n"),
                  "test.yaml:2: upstream.topology: ", {"2 hosts"});
  CheckOneProblem(Load("upstream:\n  hosts: [\"h1:1\", \"h1:1\"]\n"),
                  "test.yaml:2: upstream.hosts: ", {"h1:1 twice"});
  CheckOneProblem(Load("upstream:\n  hosts: [\"h1:x\"]\n"),
                  "test.yaml:2: upstream.hosts: ", {"port"});
}

TEST_CASE("settings for sentinels where there are none get a warning") {
  const LoadResult result = Load("upstream:\n  sentinel: {master_name: m}\n");
  CHECK(AllProblems(result) == "");
  REQUIRE(result.warnings.size() == 1);
  CHECK(result.warnings.front().ToString().find("no effect") != std::string::npos);
}

}  // namespace
}  // namespace nearcached::config
