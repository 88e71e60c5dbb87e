#include "config/resolve.h"

#include <chrono>
#include <string>
#include <vector>

#include "tests/unit/config/config_cases.h"

namespace nearcached::config {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kUrlInFile = "upstream:\n  url: redis://u:p@h:7000/3\n";

TEST_CASE("the upstream's URL is taken apart, and keeps no credentials") {
  const LoadResult result = Load(kUrlInFile);
  CHECK(AllProblems(result) == "");
  const UpstreamConfig& upstream = result.config.upstream;
  CHECK(upstream.url == "redis://h:7000");
  CHECK(upstream.nodes == std::vector<HostPort>{{"h", 7000}});
  CHECK(upstream.username == "u");
  CHECK(upstream.password == "p");
  CHECK(upstream.db == 3);
  CHECK(Load("upstream:\n  url: unix:///r.sock?db=2\n").config.upstream.unix_path == "/r.sock");
  CHECK(Load("upstream:\n  url: unix:///r.sock?db=2\n").config.upstream.nodes.empty());
}

TEST_CASE("hosts come before those of the URL, and the rest of the URL stays") {
  const UpstreamConfig upstream =
      Load(std::string(kUrlInFile) + "  hosts: [\"h2\", \"[::1]:5\"]\n").config.upstream;
  CHECK(upstream.topology == TopologyKind::kReplicated);
  CHECK(upstream.nodes == std::vector<HostPort>{{"h2", 6379}, {"::1", 5}});
  CHECK(upstream.url == "redis://h2:6379,[::1]:5");
  CHECK(upstream.password == "p");
  CHECK(upstream.db == 3);
}

TEST_CASE("the topology may be said by a key of its own, and the ports follow it") {
  const UpstreamConfig upstream = Load(
                                      "upstream:\n  topology: sentinel\n  hosts: [s1, s2]\n"
                                      "  sentinel: {master_name: m}\n")
                                      .config.upstream;
  CHECK(upstream.url == "redis-sentinel://s1:26379,s2:26379#m");
}

TEST_CASE("a URL on the command line comes before hosts, topology and master of the file") {
  LoadOptions options;
  options.overrides = {{"upstream.url", "redis-sentinel://s#cli", "--upstream"}};
  const UpstreamConfig upstream =
      LoadText("upstream:\n  topology: single\n  hosts: [h]\n  sentinel: {master_name: f}\n", "f",
               {}, options)
          .config.upstream;
  CHECK(upstream.url == "redis-sentinel://s:26379#cli");
  CHECK(upstream.topology == TopologyKind::kSentinel);
  CHECK(upstream.sentinel.master_name == "cli");
}

TEST_CASE("a key of its own comes before the URL beside it") {
  const UpstreamConfig upstream =
      Load(std::string(kUrlInFile) + "  password: own\n  db: 5\n").config.upstream;
  CHECK(upstream.username == "u");
  CHECK(upstream.password == "own");
  CHECK(upstream.db == 5);
}

TEST_CASE("a URL on the command line comes before the keys of the file") {
  LoadOptions options;
  options.overrides = {{"upstream.url", "redis://:cli@other", "--upstream"}};
  const UpstreamConfig upstream =
      LoadText("upstream:\n  password: own\n  db: 5\n", "f", {}, options).config.upstream;
  CHECK(upstream.nodes.front().host == "other");
  CHECK(upstream.password == "cli");
  CHECK(upstream.db == 5);  // the URL names none
}

TEST_CASE("a password in the environment comes before the URL of the file") {
  Environment environment;
  environment.variables["NEARCACHED_UPSTREAM_PASSWORD"] = "env";
  CHECK(Load(kUrlInFile, environment).config.upstream.password == "env");
}

TEST_CASE("a negative ttl nobody gave is lowered to the ttl beside it") {
  const LoadResult result =
      Load("l1:\n  ttl: 300ms\nrules:\n- {prefix: a, ttl: 200ms}\n- {prefix: b, ttl: 9s}\n");
  CHECK(AllProblems(result) == "");
  CHECK(result.config.l1.negative_ttl == milliseconds(300));
  CHECK(result.config.rules[0].negative_ttl == milliseconds(200));
  CHECK_FALSE(result.config.rules[1].negative_ttl.has_value());
}

}  // namespace
}  // namespace nearcached::config
