#include "config/upstream_url.h"

#include <string>

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
  CHECK(url.host == "db.example");
  CHECK(url.port == 7000);
  CHECK(url.username == "app");
  CHECK(url.password == "s3cret");
  CHECK(url.db == 3U);
}

TEST_CASE("what a redis URL leaves out is not given, and the port is 6379") {
  const UpstreamUrl url = Parse("redis://10.0.0.1");
  CHECK(url.host == "10.0.0.1");
  CHECK(url.port == 6379);
  CHECK_FALSE(url.username.has_value());
  CHECK_FALSE(url.password.has_value());
  CHECK_FALSE(url.db.has_value());
  CHECK_FALSE(Parse("redis://h/").db.has_value());
  CHECK_FALSE(Parse("redis://:pw@h").username.has_value());
}

TEST_CASE("an IPv6 host goes in brackets") {
  CHECK(Parse("redis://[::1]:7000/1").host == "::1");
  CHECK(Parse("redis://[::1]").port == 6379);
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
  for (const char* text : {"redis://u:hidden@h:1/2", "redis://u:hidden@[::1]:1",
                           "unix://u:hidden@/run/a%20b%3F.sock?db=3"}) {
    CAPTURE(text);
    const UpstreamUrl url = Parse(text);
    const std::string place = url.PlaceOnly();
    CHECK(place.find("hidden") == std::string::npos);
    CHECK(Parse(place).host == url.host);
    CHECK(Parse(place).port == url.port);
    CHECK(Parse(place).unix_path == url.unix_path);
    CHECK(Parse(place).PlaceOnly() == place);
  }
}

TEST_CASE("what is known but not supported yet is told apart from a mistake") {
  CHECK(ParseUpstreamUrl("rediss://h").error.find("TLS") != std::string::npos);
  CHECK(ParseUpstreamUrl("redis-sentinel://h").error.find("Sentinel") != std::string::npos);
  CHECK(ParseUpstreamUrl("redis-cluster://h").error.find("Cluster") != std::string::npos);
  for (const char* text : {"rediss://h", "redis-sentinel://h", "redis-cluster://h"}) {
    CHECK(ParseUpstreamUrl(text).error.find("not supported yet") != std::string::npos);
  }
  CHECK(ParseUpstreamUrl("http://h").error.find("scheme") != std::string::npos);
}

TEST_CASE("a bad URL is refused without showing its credentials") {
  for (const char* text :
       {"hidden", "redis://u:hidden@", "redis://u:hidden@h:0", "redis://u:hidden@h:port",
        "redis://u:hidden@h/x", "redis://u:hid/hidden@h", "redis://u:hidden%zz@h",
        "redis://hidden@h", "redis://u:hidden@h:1?x=1", "rediss://u:hidden@h", "foo://u:hidden@h",
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
