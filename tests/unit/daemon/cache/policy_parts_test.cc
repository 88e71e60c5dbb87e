// The small parts that eviction and ownership are made of: ghost, share tuner, cohorts.
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"
#include "daemon/cache/cohorts.h"
#include "daemon/cache/ghost.h"
#include "daemon/cache/share_tuner.h"

namespace nearcached {
namespace {

TEST_CASE("the ghost remembers about as many of the latest keys as it was sized for, once each") {
  Ghost ghost;
  Rng rng(1);
  constexpr std::size_t kCapacity = 6000;
  std::vector<std::uint32_t> keys;
  for (int i = 0; i < 50000; ++i) {
    keys.push_back(static_cast<std::uint32_t>(rng.Next()));
    ghost.Adapt(kCapacity);
    ghost.Remember(keys.back());
  }
  ghost.CheckInvariants();
  CHECK(ghost.bytes() < kCapacity * 3);
  std::size_t recent = 0;
  std::size_t old = 0;
  for (std::size_t i = 0; i < 3000; ++i) {
    recent += ghost.Take(keys[keys.size() - 1 - i]) ? 1 : 0;
    old += ghost.Take(keys[i]) ? 1 : 0;
  }
  CHECK(recent > 2900);
  CHECK(old < 30);  // only by colliding fingerprints
  std::size_t again = 0;
  for (std::size_t i = 0; i < 3000; ++i) {
    again += ghost.Take(keys[keys.size() - 1 - i]) ? 1 : 0;
  }
  CHECK(again < 30);
}

TEST_CASE("the ghost shrinks with its capacity and keeps its count right") {
  Ghost ghost;
  Rng rng(2);
  for (std::uint64_t capacity : {10000U, 100U, 3000U, 0U}) {
    for (int i = 0; i < 20000; ++i) {
      ghost.Adapt(capacity);
      ghost.Remember(static_cast<std::uint32_t>(rng.Next()));
    }
    ghost.CheckInvariants();
    CHECK(ghost.size() <= capacity + 90);
  }
}

TEST_CASE("without memory the ghost remembers nothing") {
  Ghost ghost;
  ghost.Remember(1);
  CHECK_FALSE(ghost.Take(1));
  CHECK(ghost.bytes() == 0);
}

TEST_CASE("a shadow cache hits what fits and misses a loop that does not") {
  ShadowCache shadow(100, 0.1, 2);
  int hits = 0;
  for (int round = 0; round < 10; ++round) {
    for (std::uint32_t key = 0; key < 100; ++key) {
      hits += shadow.Access(key * 2654435761U) ? 1 : 0;
    }
  }
  CHECK(hits == 900);
  ShadowCache small(10, 0.1, 2);
  hits = 0;
  for (std::uint32_t key = 0; key < 1000; ++key) {
    hits += small.Access(key) ? 1 : 0;
  }
  CHECK(hits == 0);
}

TEST_CASE("bursts of re-reads make probation larger, a scan over a hot set makes it small") {
  ShareTuner tuner(256);
  CHECK(tuner.setting().small_share == doctest::Approx(0.1));
  tuner.SetPopulation(10000);
  Rng rng(3);
  // Each new key is read again twice, a little later than a small probation is long.
  std::vector<std::uint64_t> recent(8000);
  for (std::size_t i = 0; i < 2'000'000; ++i) {
    const std::size_t at = i % recent.size();
    if (i % 3 == 0) {
      recent[at] = rng.Next();
    }
    tuner.Observe(recent[(at + (i % 3) * 2600) % recent.size()]);
  }
  CHECK(tuner.setting().small_share > 0.15);
  std::vector<std::uint64_t> hot(8000);
  for (auto& key : hot) {
    key = rng.Next();
  }
  for (int i = 0; i < 4'000'000; ++i) {
    tuner.Observe(rng.Below(2) == 0 ? rng.Next() : hot[rng.Below(hot.size())]);
  }
  CHECK(tuner.setting().small_share < 0.15);
}

TEST_CASE("nothing is sampled before the population is known") {
  ShareTuner tuner(64);
  for (std::uint64_t i = 0; i < 100000; ++i) {
    tuner.Observe(i << 32U);
  }
  CHECK(tuner.setting().small_share == doctest::Approx(0.1));
}

TEST_CASE("a cohort lives until its owner is dropped, and its number is used again when empty") {
  CohortTable table;
  const auto a = table.Join({3, 1});
  REQUIRE(a);
  CHECK(table.Join({3, 1}) == a);
  table.AddEntry(*a);
  table.Drop({3, 1});
  CHECK_FALSE(table.alive(*a));
  CHECK(table.dropped_entries() == 1);
  CHECK_FALSE(table.Join({3, 1}));
  const auto b = table.Join({3, 2});
  REQUIRE(b);
  CHECK(b != a);
  table.RemoveEntry(*a);
  CHECK(table.dropped_entries() == 0);
  CHECK(table.Join({4, 0}) == a);
  CHECK(table.alive(*a));
}

TEST_CASE("dropping an older epoch does not touch the newer one") {
  CohortTable table;
  const auto a = table.Join({0, 9});
  table.AddEntry(*a);
  table.Drop({0, 8});
  CHECK(table.alive(*a));
  table.RemoveEntry(*a);
}

TEST_CASE("dropping all cohorts leaves the links' standing") {
  CohortTable table;
  const auto a = table.Join({0, 9});
  table.AddEntry(*a);
  table.DropAll();
  CHECK_FALSE(table.alive(*a));
  CHECK_FALSE(table.Join({0, 8}));
  CHECK(table.Join({0, 9}));
  table.RemoveEntry(*a);
}

TEST_CASE("when every cohort still holds entries the next fill is refused, until one is emptied") {
  CohortTable table;
  std::optional<CohortId> first;
  for (std::uint32_t epoch = 1; epoch <= 65535; ++epoch) {
    const auto id = table.Join({0, epoch});
    REQUIRE(id);
    table.AddEntry(*id);
    first = first ? first : id;
  }
  CHECK_FALSE(table.Join({0, 65536}));
  table.RemoveEntry(*first);
  CHECK(table.Join({0, 65536}) == first);
}

}  // namespace
}  // namespace nearcached
