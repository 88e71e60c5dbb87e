#include "daemon/cache/ghost.h"

#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

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

TEST_CASE("a bucket of the ghost is a ring: the newest key takes the place of the oldest") {
  Ghost ghost;
  ghost.Adapt(30);  // one bucket
  constexpr std::uint32_t kStep = 0x9e3779b1U;
  for (std::uint32_t i = 0; i < 31; ++i) {
    ghost.Remember(i * kStep);
  }
  ghost.CheckInvariants();
  CHECK(ghost.size() == 30);
  CHECK_FALSE(ghost.Take(0));
  for (std::uint32_t i = 1; i < 31; ++i) {
    CAPTURE(i);
    CHECK(ghost.Take(i * kStep));
  }
  CHECK(ghost.size() == 0);
}

TEST_CASE("a key whose fingerprint would be zero is remembered as well") {
  Ghost ghost;
  ghost.Adapt(30);
  CHECK_FALSE(ghost.Take(0));  // an empty place is no fingerprint
  ghost.Remember(0);
  CHECK(ghost.size() == 1);
  CHECK(ghost.Take(0));
  CHECK_FALSE(ghost.Take(0));
  ghost.CheckInvariants();
}

TEST_CASE("a bucket more moves nothing: about half of a split bucket's keys are still found") {
  Ghost ghost;
  Rng rng(7);
  ghost.Adapt(30);
  std::vector<std::uint32_t> keys;
  for (int i = 0; i < 30; ++i) {
    keys.push_back(static_cast<std::uint32_t>(rng.Next()));
    ghost.Remember(keys.back());
  }
  ghost.Adapt(60);
  CHECK(ghost.size() == 30);
  int found = 0;
  for (const std::uint32_t key : keys) {
    found += ghost.Take(key) ? 1 : 0;
  }
  CHECK(found >= 8);
  CHECK(found <= 22);
  ghost.CheckInvariants();
}

TEST_CASE("the ghost keeps one bucket however small the cache is, and memory follows in blocks") {
  Ghost ghost;
  for (int i = 0; i < 130; ++i) {
    ghost.Adapt(130 * 30);
  }
  const std::uint64_t large = ghost.bytes();
  for (int i = 0; i < 300; ++i) {
    ghost.Adapt(0);
  }
  CHECK(ghost.bytes() * 3 == large);  // of three blocks of 64 buckets, the first is left
  ghost.Remember(5);
  CHECK(ghost.Take(5));
}

}  // namespace
}  // namespace nearcached
