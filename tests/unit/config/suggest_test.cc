#include "config/suggest.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace nearcached::config {
namespace {

const std::vector<std::string> kNames = {"ttl", "ttl_jitter", "negative_ttl", "bytes", "enabled"};

TEST_CASE("the nearest name is the one with the fewest typing mistakes") {
  CHECK(NearestName("tll", kNames) == "ttl");
  CHECK(NearestName("ttl-jitter", kNames) == "ttl_jitter");
  CHECK(NearestName("ttljitter", kNames) == "ttl_jitter");
  CHECK(NearestName("Bytes", kNames) == "bytes");
  CHECK(NearestName("enbaled", kNames) == "enabled");
  CHECK(NearestName("negativ_ttl", kNames) == "negative_ttl");
}

TEST_CASE("a name that is like none has no suggestion") {
  CHECK(NearestName("eviction", kNames).empty());
  CHECK(NearestName("", kNames).empty());
  CHECK(NearestName(std::string(100'000, 't'), kNames).empty());
}

}  // namespace
}  // namespace nearcached::config
