#include "daemon/upstream/backoff.h"

#include <chrono>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using namespace std::chrono_literals;

TEST_CASE("the wait doubles with every failure up to the most, and a random half of it is spared") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Backoff backoff(50ms, 1s);
    Duration ceiling = 50ms;
    for (int failure = 0; failure < 12; ++failure) {
      const Duration wait = backoff.Next(rng);
      REQUIRE(wait <= ceiling);
      REQUIRE(wait > ceiling / 2);
      ceiling = std::min<Duration>(ceiling * 2, 1s);
    }
    backoff.Reset();
    REQUIRE(backoff.Next(rng) <= 50ms);
  }
}

TEST_CASE("many who fail together do not come back together") {
  Rng rng(1);
  Duration earliest = 1h;
  Duration latest = 0s;
  for (int i = 0; i < 100; ++i) {
    Backoff backoff(100ms, 1s);
    const Duration wait = backoff.Next(rng);
    earliest = std::min(earliest, wait);
    latest = std::max(latest, wait);
  }
  CHECK(latest - earliest > 40ms);
}

TEST_CASE("a wait of one nanosecond is not divided away") {
  Rng rng(1);
  Backoff backoff(1ns, 1ns);
  CHECK(backoff.Next(rng) == 1ns);
}

}  // namespace
}  // namespace nearcached
