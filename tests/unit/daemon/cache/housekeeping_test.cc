// What a tick does, how much of it at most, and when it says that there is more. (Expiry and
// dropped owners as a user sees them: l1_test.cc.)
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/daemon/cache/l1_fixture.h"

namespace nearcached {
namespace {

constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

std::string Name(int i) {
  return "key:" + std::to_string(i);
}

TEST_CASE_FIXTURE(L1Fixture, "a store with nothing due has nothing to do") {
  CHECK_FALSE(l1.Tick(now));
  Put("a", "1");
  CHECK_FALSE(l1.Tick(now));
  CHECK(Get("a") == "1");
}

TEST_CASE_FIXTURE(L1Fixture, "a lowered limit is approached a bounded number of entries a tick") {
  for (int i = 0; i < 20'000; ++i) {
    Put(Name(i), std::string(100, 'x'));
  }
  const std::uint64_t before = l1.bytes_used();
  REQUIRE(before > 3 * kMib);
  l1.SetBytesMax(kMib);
  CHECK(l1.bytes_used() == before);  // not at once: nobody's request pays for it
  std::uint64_t entries = l1.entries();
  int ticks = 0;
  for (bool more = true; more; ++ticks) {
    more = l1.Tick(now);
    REQUIRE(entries - l1.entries() <= 32);
    entries = l1.entries();
    if (l1.bytes_used() > l1.bytes_max()) {
      REQUIRE(more);
    }
    REQUIRE(ticks < 20'000);
  }
  CHECK(l1.bytes_used() <= kMib);
  CHECK(l1.entries() > 2000);  // and no further than asked
  CHECK(l1.stats().evictions_size.value() > 10'000);
}

TEST_CASE_FIXTURE(L1Fixture,
                  "a limit of nothing empties the store, refuses fills and comes to rest") {
  for (int i = 0; i < 3000; ++i) {
    Put(Name(i), std::string(50, 'x'));
  }
  l1.SetBytesMax(0);
  Settle();
  CHECK(l1.entries() == 0);
  CHECK(Put("a", "1") != L1::InsertResult::kStored);
  CHECK_FALSE(Get("a"));
  l1.SetBytesMax(8 * kMib);
  CHECK(Put("a", "1") == L1::InsertResult::kStored);
  CHECK(Get("a") == "1");
}

TEST_CASE_FIXTURE(L1Fixture,
                  "erasing a large value gives its memory back within a few ticks, in pieces") {
  const std::string large(kMib + kMib / 2, 'v');
  REQUIRE(Put("large", large) == L1::InsertResult::kStored);
  const std::uint64_t before = l1.bytes_used();
  REQUIRE(l1.Erase(Key("large")));
  CHECK_FALSE(Get("large"));
  std::uint64_t used = l1.bytes_used();
  CHECK(used > before - 4096 * 4);  // still there
  int ticks = 0;
  for (bool more = true; more; ++ticks) {
    more = l1.Tick(now);
    REQUIRE(used - l1.bytes_used() <= 512 * 1024 + 4096 * 4);
    used = l1.bytes_used();
    REQUIRE(ticks < 10);
  }
  CHECK(ticks >= 3);
  CHECK(used < before - large.size());
}

TEST_CASE_FIXTURE(L1Fixture,
                  "a small store is swept when its owner is dropped, a large one by ticks") {
  for (int i = 0; i < 1000; ++i) {
    Put(Name(i), "x");
  }
  l1.DropOwner(owner);
  CHECK(l1.entries() == 0);

  owner.epoch = 2;
  for (int i = 0; i < 5000; ++i) {
    Put(Name(i), "x");
  }
  l1.DropOwner(owner);
  CHECK(l1.entries() == 5000);
  CHECK_FALSE(Get(Name(1)));
  std::uint64_t entries = l1.entries();
  while (l1.Tick(now)) {
    REQUIRE(entries - l1.entries() <= 128);
    entries = l1.entries();
  }
  CHECK(l1.entries() == 0);
  CHECK(l1.stats().evictions_dropped.value() + l1.stats().misses_dropped.value() >= 6000);
}

TEST_CASE_FIXTURE(L1Fixture, "many owners are dropped at once, and nobody else's entries") {
  for (std::uint16_t link = 1; link <= 300; ++link) {
    owner = {link, 1};
    Put(Name(link), "x");
  }
  std::vector<FillOwner> ended;
  for (std::uint16_t link = 1; link <= 299; ++link) {
    ended.push_back({link, 1});
  }
  l1.DropOwners(ended);
  CHECK(l1.entries() == 1);
  CHECK(Get(Name(300)) == "x");
  CHECK_FALSE(Get(Name(299)));
  owner = {7, 1};
  CHECK(Put("late", "x") == L1::InsertResult::kExpired);
}

TEST_CASE_FIXTURE(L1Fixture, "what is stored while the sweep is under way is not swept") {
  for (int i = 0; i < 5000; ++i) {
    Put(Name(i), "old");
  }
  l1.Clear();
  int stored = 0;
  for (int i = 0; l1.Tick(now); ++i) {
    Put(Name(i), "new");
    ++stored;
  }
  REQUIRE(stored > 20);
  for (int i = 0; i < stored; ++i) {
    REQUIRE(Get(Name(i)) == "new");
  }
  CHECK(l1.entries() == static_cast<std::uint64_t>(stored));
}

TEST_CASE_FIXTURE(L1Fixture, "time that a tick has seen does not go back") {
  ttl = std::chrono::seconds(10);
  Put("a", "1");
  l1.Tick(now + std::chrono::seconds(60));
  l1.Tick(now);
  CHECK(l1.entries() == 0);
  CHECK(l1.stats().evictions_expired.value() == 1);
}

TEST_CASE_FIXTURE(L1Fixture, "after a great deal was erased the slabs shrink to what is left") {
  for (int i = 0; i < 30'000; ++i) {
    Put(Name(i), std::string(100, 'x'));
  }
  const std::uint64_t full = l1.bytes_used();
  for (int i = 0; i < 30'000; ++i) {
    if (i % 16 != 0) {
      l1.Erase(Key(Name(i)));
    }
  }
  Settle();
  CHECK(l1.bytes_used() < full / 3);
  int there = 0;
  for (int i = 0; i < 30'000; i += 16) {
    there += Get(Name(i)) == std::string(100, 'x') ? 1 : 0;
  }
  CHECK(there == static_cast<int>(l1.entries()));  // moved about, but whole
  CHECK(there > 1000);
}

}  // namespace
}  // namespace nearcached
