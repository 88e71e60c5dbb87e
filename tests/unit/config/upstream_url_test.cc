#include "config/upstream_url.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace nearcached::config {
namespace {

UpstreamUrl Parse(std::string_view text) {
  const auto result = ParseUpstreamUrl(text);
  CAPTURE(text);
  CAPTURE(result.error);
  REQUIRE(result.ok());
  return *result.value;
}

TEST_CASE("a redis URL names host, port, user, password and database") {
  const UpstreamUrl url = Parse("redis://app:s3cret@db.example:7000/3");
  CHECK(url.nodes == std::vector<HostPort>{{"db.example", 7000}});
  CHECK(url.username == "app");
  CHECK(url.password == "s3cret");
  CHECK(url.db == 3U);
}

TEST_CASE("what a redis URL leaves out is not given, and the port is 6379") {
  const UpstreamUrl url = Parse("redis://10.0.0.1");
  CHECK(url.nodes == std::vector<HostPort>{{"10.0.0.1", 6379}});
  CHECK_FALSE(url.username.has_value());
  CHECK_FALSE(url.password.has_value());
  CHECK_FALSE(url.db.has_value());
  CHECK_FALSE(Parse("redis://h/").db.has_value());
  CHECK_FALSE(Parse("redis://:pw@h").username.has_value());
}

TEST_CASE("an IPv6 host goes in brackets") {
  CHECK(Parse("redis://[::1]:7000/1").nodes.front().host == "::1");
  CHECK(Parse("redis://[::1]").nodes.front().port == 6379);
  CHECK_FALSE(ParseUpstreamUrl("redis://::1:7000").ok());
}

TEST_CASE("user and password are percent-decoded") {
  const UpstreamUrl url = Parse("redis://a%40b:p%2Fw%25@h");
  CHECK(url.username == "a@b");
  CHECK(url.password == "p/w%");
  CHECK(Parse("redis://u:a@b@h").password == "a@b");
}

TEST_CASE("a unix URL names path, database and credentials") {
  CHECK(Parse("unix:///run/redis.sock").unix_path == "/run/redis.sock");
  CHECK(Parse("unix:///run/redis.sock?db=2").db == 2U);
  CHECK(Parse("unix://u:p@/run/redis.sock").password == "p");
  CHECK(Parse("unix:///run/a@b.sock").unix_path == "/run/a@b.sock");
  CHECK(Parse("unix:///run/a%20b").unix_path == "/run/a b");
}

TEST_CASE("the place alone reads back as the same place, without credentials") {
  for (const char* text :
       {"redis://u:hidden@h:1/2", "redis://u:hidden@[::1]:1",
        "unix://u:hidden@/run/a%20b%3F.sock?db=3", "rediss://u:hidden@h/2",
        "redis://u:hidden@h:1,[::1]:2,h3/4", "rediss://u:hidden@h:1,h:2",
        "redis-sentinel://u:hidden@s1,s2:5/1#a%23b", "rediss-sentinel://u:hidden@s1",
        "redis-cluster://:hidden@h:1,h:2", "rediss-cluster://:hidden@h:1"}) {
    CAPTURE(text);
    const UpstreamUrl url = Parse(text);
    const std::string place = url.PlaceOnly();
    CHECK(place.find("hidden") == std::string::npos);
    CHECK(Parse(place).topology == url.topology);
    CHECK(Parse(place).tls == url.tls);
    CHECK(Parse(place).nodes == url.nodes);
    CHECK(Parse(place).master_name == url.master_name);
    CHECK(Parse(place).unix_path == url.unix_path);
    CHECK(Parse(place).PlaceOnly() == place);
  }
}

TEST_CASE("several hosts are a primary and its replicas") {
  const UpstreamUrl url = Parse("redis://u:p@h1:7001,h2,[::1]:7003/2");
  CHECK(url.topology == TopologyKind::kReplicated);
  CHECK(url.nodes == std::vector<HostPort>{{"h1", 7001}, {"h2", 6379}, {"::1", 7003}});
  CHECK(url.password == "p");
  CHECK(url.db == 2U);
  CHECK_FALSE(url.tls);
  CHECK(Parse("redis://h1").topology == TopologyKind::kSingle);
}

TEST_CASE("a sentinel URL names sentinels, database and master") {
  const UpstreamUrl url = Parse("redis-sentinel://u:p@s1,s2:5000/3#my%2Dmaster");
  CHECK(url.topology == TopologyKind::kSentinel);
  CHECK(url.nodes == std::vector<HostPort>{{"s1", 26379}, {"s2", 5000}});
  CHECK(url.username == "u");
  CHECK(url.db == 3U);
  CHECK(url.master_name == "my-master");
  CHECK(Parse("redis+sentinel://s1#m").topology == TopologyKind::kSentinel);
  CHECK_FALSE(Parse("redis-sentinel://s1").master_name.has_value());
  CHECK(ParseUpstreamUrl("redis-sentinel://s1#").error.find("master") != std::string::npos);
  CHECK_FALSE(ParseUpstreamUrl("redis-sentinel://s1#a%20b").ok());
  CHECK_FALSE(ParseUpstreamUrl("redis://h#m").ok());
}

TEST_CASE("a cluster URL names some of its nodes") {
  const UpstreamUrl url = Parse("redis-cluster://:p@h1:7000,h2");
  CHECK(url.topology == TopologyKind::kCluster);
  CHECK(url.nodes == std::vector<HostPort>{{"h1", 7000}, {"h2", 6379}});
  CHECK(url.password == "p");
  CHECK(Parse("redis-cluster://h1").topology == TopologyKind::kCluster);
}

TEST_CASE("an additional s is TLS") {
  for (const char* text :
       {"rediss://h", "rediss://h,h2", "rediss-sentinel://h#m", "rediss-cluster://h"}) {
    CHECK(Parse(text).tls);
  }
}

TEST_CASE("bad lists of hosts are refused, with a sentence") {
  for (const char* text :
       {"redis://h1,", "redis://,h1", "redis://h1,,h2", "redis://h:1,h:1", "redis://h,h:6379",
        "redis://h1:1,h2:x", "redis://::1,h", "redis-sentinel://#m", "redis-cluster://"}) {
    CAPTURE(text);
    CHECK(ParseUpstreamUrl(text).error.size() > 20);
  }
  std::string many = "redis://h";
  for (std::size_t i = 0; i < UpstreamUrl::kNodesMax; ++i) {
    many += ",h" + std::to_string(i);
  }
  CHECK(ParseUpstreamUrl(many).error.find("more than 64") != std::string::npos);
}

TEST_CASE("credentials are given once, before the first host") {
  const auto result = ParseUpstreamUrl("redis://u:hidden@h1,u:hidden@h2");
  CHECK(result.error.find("once") != std::string::npos);
}

TEST_CASE("an unknown scheme is a mistake") {
  CHECK(ParseUpstreamUrl("http://h").error.find("scheme") != std::string::npos);
}

TEST_CASE("a bad URL is refused without showing its credentials") {
  for (const char* text :
       {"hidden", "redis://u:hidden@", "redis://u:hidden@h:0", "redis://u:hidden@h:port",
        "redis://u:hidden@h/x", "redis://u:hid/hidden@h", "redis://u:hidden%zz@h",
        "redis://hidden@h", "redis://u:hidden@h:1?x=1", "foo://u:hidden@h",
        "redis://u:hidden@h1,u:hidden@h2", "redis-sentinel://u:hidden@s#",
        "unix://u:hidden@relative", "unix://u:hidden@/a?dbx=1", "unix://u:hidden@/a?db=x",
        "redis://u:hidden@h h", "redis://u:hidden@[::1", "redis://u:hidden@h/99999999999"}) {
    CAPTURE(text);
    const auto result = ParseUpstreamUrl(text);
    CHECK_FALSE(result.ok());
    CHECK(result.error.size() > 20);
    CHECK(result.error.find("hidden") == std::string::npos);
  }
}

}  // namespace
}  // namespace nearcached::config
