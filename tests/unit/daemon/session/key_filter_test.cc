#include "daemon/session/key_filter.h"

#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

namespace nearcached {
namespace {

TEST_CASE("an empty filter contains nothing") {
  KeyFilter filter;
  CHECK(filter.empty());
  CHECK_FALSE(filter.MayContain(0));
}

TEST_CASE("a key added twice is contained until it is removed twice") {
  KeyFilter filter;
  filter.Add(7);
  filter.Add(7);
  filter.Remove(7);
  CHECK(filter.MayContain(7));
  filter.Remove(7);
  CHECK_FALSE(filter.MayContain(7));
  CHECK(filter.empty());
}

TEST_CASE("removing a key that shares a place with another leaves the other") {
  KeyFilter filter;
  filter.Add(1);
  filter.Add(1 + 256);
  filter.Remove(1);
  CHECK(filter.MayContain(1 + 256));
}

TEST_CASE("what was added is always found, and of what was not only a little is") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    KeyFilter filter;
    std::vector<std::uint64_t> added;
    for (int step = 0; step < 3'000; ++step) {
      if (added.size() < 10 && rng.Below(2) == 0) {
        added.push_back(rng.Next());
        filter.Add(added.back());
      } else if (!added.empty()) {
        const std::size_t i = rng.Below(added.size());
        filter.Remove(added[i]);
        added.erase(added.begin() + static_cast<std::ptrdiff_t>(i));
      }
      REQUIRE(filter.empty() == added.empty());
      for (const std::uint64_t hash : added) {
        REQUIRE(filter.MayContain(hash));
      }
    }
    int wrong = 0;
    for (int i = 0; i < 1'000; ++i) {
      wrong += static_cast<int>(filter.MayContain(rng.Next()));
    }
    CHECK(wrong < 100);  // ten keys in 256 places: four in a hundred
  }
}

TEST_CASE("a filter that gave its memory back can be used again") {
  KeyFilter filter;
  filter.Add(3);
  filter.Remove(3);
  filter.Release();
  CHECK_FALSE(filter.MayContain(3));
  filter.Add(3);
  CHECK(filter.MayContain(3));
}

}  // namespace
}  // namespace nearcached
