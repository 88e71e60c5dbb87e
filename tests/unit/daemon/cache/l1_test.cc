#include "daemon/cache/l1.h"

#include <string>

#include <doctest/doctest.h>

#include "tests/unit/daemon/cache/l1_fixture.h"

namespace nearcached {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using Result = L1::InsertResult;

TEST_CASE("a stored value is found and an absent one is not") {
  L1Fixture f;
  CHECK(f.Put("a", "$1\r\nx\r\n") == Result::kStored);
  CHECK(f.Get("a") == "$1\r\nx\r\n");
  CHECK_FALSE(f.Get("b"));
  CHECK(f.l1.stats().hits_value.value() == 1);
  CHECK(f.l1.stats().misses_absent.value() == 1);
  CHECK(f.l1.entries() == 1);
}

TEST_CASE("a lookup in two halves counts what one lookup counts") {
  L1Fixture f;
  f.Put("a", "x");
  const CacheKey a = f.Key("a");
  const CacheKey b = f.Key("b");
  CHECK(f.l1.FindHit(a, f.now)->value == "x");
  CHECK_FALSE(f.l1.FindHit(b, f.now));
  CHECK(f.l1.stats().hits_value.value() == 1);
  CHECK(f.l1.stats().misses_absent.value() == 0);  // nobody said that it should be here
  f.l1.CountMiss(b, f.now);
  CHECK(f.l1.stats().misses_absent.value() == 1);
  f.now += f.ttl;
  CHECK_FALSE(f.l1.FindHit(a, f.now));
  CHECK(f.l1.entries() == 1);
  f.l1.CountMiss(a, f.now);
  CHECK(f.l1.stats().misses_expired.value() == 1);
  CHECK(f.l1.entries() == 0);
}

TEST_CASE("a peek sees what a lookup would, and leaves no trace") {
  L1Fixture f;
  f.Put("a", "x");
  CHECK(f.l1.Peek(f.Key("a"), f.now)->value == "x");
  CHECK_FALSE(f.l1.Peek(f.Key("b"), f.now));
  CHECK(f.l1.stats().hits_value.value() == 0);
  CHECK(f.l1.stats().misses_absent.value() == 0);
  f.now += f.ttl;
  CHECK_FALSE(f.l1.Peek(f.Key("a"), f.now));
  CHECK(f.l1.entries() == 1);
}

TEST_CASE("entries that end unread are told of, those that were read or gave way are not") {
  struct Heard final : UnreadObserver {
    void OnDiedUnread(std::string_view key) override { keys += std::string(key) + " "; }
    std::string keys;
  } heard;
  L1Fixture f;
  f.l1.SetUnreadObserver(&heard);
  for (const char* key : {"erased", "erased-read", "expired", "expired-read"}) {
    f.Put(key, "x");
  }
  CHECK(f.l1.Peek(f.Key("erased"), f.now).has_value());  // does not count as read
  CHECK(f.Get("erased-read"));
  CHECK(f.Get("expired-read"));
  f.l1.Erase(f.Key("erased"));
  f.l1.Erase(f.Key("erased-read"));
  CHECK(heard.keys == "erased ");
  f.now += f.ttl;
  CHECK_FALSE(f.Get("expired"));
  CHECK_FALSE(f.Get("expired-read"));
  CHECK(heard.keys == "erased expired ");
  f.Put("flushed", "x");
  f.l1.Clear();
  CHECK_FALSE(f.Get("flushed"));
  CHECK(heard.keys == "erased expired ");
  f.l1.SetUnreadObserver(nullptr);
}

TEST_CASE("the empty key and the empty value are values like others") {
  L1Fixture f;
  CHECK(f.Put("", "") == Result::kStored);
  CHECK(f.Get("") == "");
}

TEST_CASE("a second insert replaces value, deadline and owner") {
  L1Fixture f;
  f.Put("a", "old");
  f.owner = {2, 1};
  f.ttl = milliseconds(10);
  CHECK(f.Put("a", "new") == Result::kReplaced);
  CHECK(f.Get("a") == "new");
  CHECK(f.l1.entries() == 1);
  f.l1.DropOwner({1, 1});
  CHECK(f.Get("a") == "new");
  f.now += milliseconds(10);
  CHECK_FALSE(f.Get("a"));
  CHECK(f.l1.stats().replaced.value() == 1);
}

TEST_CASE("equal keys of two databases are two entries") {
  L1Fixture f;
  f.Put("a", "zero", 0);
  f.Put("a", "one", 1);
  f.Put("a", "many", 4'000'000'000U);
  CHECK(f.Get("a", 0) == "zero");
  CHECK(f.Get("a", 1) == "one");
  CHECK(f.Get("a", 4'000'000'000U) == "many");
  CHECK_FALSE(f.Get("a", 2));
  CHECK(f.l1.Erase(f.Key("a", 1)));
  CHECK_FALSE(f.Get("a", 1));
  CHECK(f.Get("a", 0) == "zero");
}

TEST_CASE("R7: an invalidation drops the key in every database") {
  L1Fixture f;
  for (DbIndex db = 0; db < 40; ++db) {
    f.Put("a", "x", db);
  }
  f.Put("b", "y");
  CHECK(f.l1.EraseInAllDatabases("a", f.hasher("a")) == 40);
  CHECK(f.l1.EraseInAllDatabases("a", f.hasher("a")) == 0);
  CHECK(f.l1.entries() == 1);
  CHECK(f.l1.stats().evictions_erased.value() == 40);
}

TEST_CASE("keys with the same hash do not answer for each other") {
  L1Fixture f;
  const CacheKey one{0, "one", 77};
  const CacheKey two{0, "two", 77};
  f.l1.Insert(one, "1", false, f.now + f.ttl, f.now, f.owner);
  f.l1.Insert(two, "2", false, f.now + f.ttl, f.now, f.owner);
  CHECK(f.l1.Find(one, f.now)->value == "1");
  CHECK(f.l1.Find(two, f.now)->value == "2");
  CHECK(f.l1.EraseInAllDatabases("one", 77) == 1);
  CHECK(f.l1.Find(two, f.now)->value == "2");
}

TEST_CASE("an entry is served to the last microsecond and not one longer") {
  L1Fixture f;
  const MonoTime deadline = f.now + milliseconds(1500) + microseconds(7);
  f.l1.Insert(f.Key("a"), "x", false, deadline, f.now, f.owner);
  CHECK(f.l1.Find(f.Key("a"), deadline - Duration(1))->deadline == deadline);
  CHECK_FALSE(f.l1.Find(f.Key("a"), deadline));
  CHECK(f.l1.stats().misses_expired.value() == 1);
  CHECK(f.l1.stats().evictions_expired.value() == 1);
  CHECK(f.l1.entries() == 0);
}

TEST_CASE("a deadline between microseconds is rounded down, never up") {
  L1Fixture f;
  const MonoTime deadline = f.now + microseconds(50) + Duration(999);
  f.l1.Insert(f.Key("a"), "x", false, deadline, f.now, f.owner);
  CHECK(f.l1.Find(f.Key("a"), f.now)->deadline == f.now + microseconds(50));
  CHECK_FALSE(f.l1.Find(f.Key("a"), f.now + microseconds(50)));
}

TEST_CASE("a deadline that has passed is refused and takes the old value with it") {
  L1Fixture f;
  f.Put("a", "old");
  f.ttl = Duration(0);
  CHECK(f.Put("a", "new") == Result::kExpired);
  CHECK_FALSE(f.Get("a"));
  CHECK(f.l1.stats().rejected_expired.value() == 1);
}

TEST_CASE("a deadline without end is served for years") {
  L1Fixture f;
  f.l1.Insert(f.Key("a"), "x", false, MonoTime::max(), f.now, f.owner);
  f.now += std::chrono::hours(24 * 365 * 8);
  f.Settle();
  CHECK(f.Get("a") == "x");
}

TEST_CASE("a tick reclaims what has expired, at most 64 entries at a time") {
  L1Fixture f;
  for (int i = 0; i < 1000; ++i) {
    f.ttl = milliseconds(10 + i % 50);
    f.Put("k" + std::to_string(i), "x");
  }
  f.now += milliseconds(100);
  std::uint64_t before = f.l1.entries();
  int ticks = 0;
  while (f.l1.entries() > 0) {
    f.l1.Tick(f.now);
    CHECK(before - f.l1.entries() <= 64);
    before = f.l1.entries();
    REQUIRE(++ticks < 100);
  }
  CHECK(f.l1.stats().evictions_expired.value() == 1000);
}

TEST_CASE("what has not expired survives any number of ticks") {
  L1Fixture f;
  for (int i = 0; i < 500; ++i) {
    f.ttl = std::chrono::seconds(i);
    f.Put("k" + std::to_string(i), "x");
  }
  for (int s = 0; s < 500; ++s) {
    f.Settle();
    for (int i = s + 1; i < 500; i += 97) {
      REQUIRE(f.Get("k" + std::to_string(i)));
    }
    f.now += std::chrono::seconds(1);
    f.l1.CheckInvariants();
  }
  f.Settle();
  CHECK(f.l1.entries() == 0);
}

TEST_CASE("R6: what a dropped link filled is unservable at once, the rest stays") {
  L1Fixture f;
  for (int i = 0; i < 3000; ++i) {
    f.owner = {static_cast<std::uint16_t>(i % 3), 7};
    f.Put("k" + std::to_string(i), "x");
  }
  f.l1.DropOwner({1, 7});
  CHECK(f.l1.stats().dropped_entries.value() == 1000);
  for (int i = 0; i < 3000; ++i) {
    REQUIRE(f.Get("k" + std::to_string(i)).has_value() == (i % 3 != 1));
  }
  CHECK(f.l1.stats().misses_dropped.value() == 1000);
  CHECK(f.l1.entries() == 2000);
}

TEST_CASE("R6: a late fill of a dropped epoch is refused, the next epoch is welcome") {
  L1Fixture f;
  f.l1.DropOwner({1, 5});
  f.owner = {1, 5};
  CHECK(f.Put("a", "x") == Result::kExpired);
  f.owner = {1, 4};
  CHECK(f.Put("a", "x") == Result::kExpired);
  f.owner = {1, 6};
  CHECK(f.Put("a", "x") == Result::kStored);
  CHECK(f.Get("a") == "x");
}

TEST_CASE("a fill under a higher epoch drops what the link filled before") {
  L1Fixture f;
  f.Put("a", "old");
  f.owner = {1, 2};
  f.Put("b", "new");
  CHECK_FALSE(f.Get("a"));
  CHECK(f.Get("b") == "new");
}

TEST_CASE("dropped entries are reclaimed by ticks, a bounded number each") {
  L1Fixture f;
  for (int i = 0; i < 20000; ++i) {
    f.Put("k" + std::to_string(i), "x");
  }
  const std::uint64_t full = f.l1.entries();
  f.l1.DropOwner(f.owner);
  CHECK(f.l1.entries() == full);
  int ticks = 0;
  for (std::uint64_t before = full; before > 0; ++ticks) {
    f.l1.Tick(f.now);
    REQUIRE(before - f.l1.entries() <= 400);
    before = f.l1.entries();
    REQUIRE(ticks < 1000);
  }
  CHECK(ticks > 10);
  CHECK(f.l1.stats().evictions_dropped.value() == full);
}

TEST_CASE("Clear makes everything unservable at once and gives the memory back") {
  L1Fixture f;
  for (int i = 0; i < 20000; ++i) {
    f.Put("k" + std::to_string(i), std::string(100, 'x'));
  }
  const std::uint64_t full = f.l1.bytes_used();
  f.l1.Clear();
  CHECK_FALSE(f.Get("k1"));
  CHECK(f.Put("fresh", "x") == Result::kStored);
  CHECK(f.Settle() > 0);
  CHECK(f.l1.entries() == 1);
  CHECK(f.Get("fresh") == "x");
  CHECK(f.l1.bytes_used() < full / 4);
}

TEST_CASE("a small store is empty as soon as Clear returns") {
  L1Fixture f;
  f.Put("a", "x");
  f.l1.Clear();
  CHECK(f.l1.entries() == 0);
}

TEST_CASE("ErasePrefix removes the prefix in one database or in all") {
  L1Fixture f;
  for (int i = 0; i < 500; ++i) {
    f.Put("user:" + std::to_string(i), "x", 0);
    f.Put("user:" + std::to_string(i), "x", 3);
    f.Put("item:" + std::to_string(i), "x", 3);
  }
  CHECK(f.l1.ErasePrefix(3U, "user:") == 500);
  CHECK(f.Get("user:7", 0));
  CHECK_FALSE(f.Get("user:7", 3));
  CHECK(f.l1.ErasePrefix(std::nullopt, "") == 1000);
  CHECK(f.l1.entries() == 0);
}

TEST_CASE("ErasePrefixStep visits all that stays, though the index grows between the steps") {
  L1Fixture f(std::uint64_t{64} << 20U);
  for (int i = 0; i < 3000; ++i) {
    f.Put("a:" + std::to_string(i), "x");
  }
  std::uint64_t cursor = 0;
  std::size_t erased = 0;
  int n = 0;
  do {
    erased += f.l1.ErasePrefixStep(std::nullopt, "a:", cursor, 30);
    for (int i = 0; i < 60; ++i) {
      f.Put("b:" + std::to_string(n++), "x");
    }
  } while (cursor != 0);
  CHECK(erased == 3000);
  CHECK(n > 3000);  // the index did grow
}

TEST_CASE("a value beyond a quarter of the limit is too large, and so is a key beyond 64 KiB") {
  L1Fixture f(1'000'000);
  CHECK(f.Put("a", std::string(250'001, 'x')) == Result::kTooLarge);
  CHECK(f.Put(std::string(65'536, 'k'), "x") == Result::kTooLarge);
  CHECK(f.l1.stats().rejected_too_large.value() == 2);
  const std::string long_key(65'535, 'k');
  CHECK(f.Put(long_key, "x") == Result::kStored);
  CHECK(f.Get(long_key) == "x");
}

TEST_CASE("an insert that is refused leaves no older value behind") {
  L1Fixture f(1'000'000);
  f.Put("a", "old");
  CHECK(f.Put("a", std::string(300'000, 'x')) == Result::kTooLarge);
  CHECK_FALSE(f.Get("a"));
}

TEST_CASE("values of every size around the limits of slots and mappings come back whole") {
  L1Fixture f(std::uint64_t{64} << 20U);
  for (const std::size_t around : {0UL, 200UL, 4000UL, 4096UL, 262'100UL, 1'000'000UL}) {
    for (std::size_t size = around; size < around + 100; size += 7) {
      std::string value(size, 'v');
      if (size > 0) {
        value.back() = '!';
      }
      const std::string key = "k" + std::to_string(size);
      REQUIRE(f.Put(key, value) == Result::kStored);
      REQUIRE((f.Get(key) == value));
    }
  }
}

TEST_CASE("growing and shrinking the index never loses a key") {
  L1Fixture f;
  constexpr int kKeys = 30000;
  for (int i = 0; i < kKeys; ++i) {
    REQUIRE(f.Put("k" + std::to_string(i), std::to_string(i)) == Result::kStored);
    const int probe = i * 7919 % (i + 1);
    REQUIRE(f.Get("k" + std::to_string(probe)) == std::to_string(probe));
  }
  f.l1.CheckInvariants();
  for (int i = 0; i < kKeys; ++i) {
    REQUIRE(f.l1.Erase(f.Key("k" + std::to_string(i))));
    f.l1.Tick(f.now);
    if (i + 1 < kKeys) {
      const int probe = i + 1 + i * 7919 % (kKeys - i - 1);
      REQUIRE(f.Get("k" + std::to_string(probe)) == std::to_string(probe));
    }
  }
  f.l1.CheckInvariants();
  CHECK(f.l1.bytes_used() < 400'000);  // it was above two million
}

TEST_CASE("a pinned value outlives eviction, Clear and the cache itself") {
  ValueRef large;
  ValueRef small;
  ValueRef mapped;
  const std::string big(5000, 'b');
  const std::string huge(1'000'000, 'h');
  {
    L1Fixture f(std::uint64_t{16} << 20U);
    f.Put("small", "s");
    f.Put("large", big);
    f.Put("mapped", huge);
    small = f.l1.Pin(*f.l1.Find(f.Key("small"), f.now));
    large = f.l1.Pin(*f.l1.Find(f.Key("large"), f.now));
    mapped = f.l1.Pin(*f.l1.Find(f.Key("mapped"), f.now));
    const char* bytes = large.view().data();
    f.l1.Erase(f.Key("large"));
    CHECK((large.view() == big));
    CHECK(large.view().data() == bytes);  // shared, not copied
    f.l1.Clear();
    f.Settle();
    CHECK(f.l1.stats().pinned_bytes.value() > 1'005'000);
    const ValueRef copy = large;
    large = ValueRef();
    CHECK((copy.view() == big));
    large = copy;
  }
  CHECK(small.view() == "s");
  CHECK((large.view() == big));
  CHECK((mapped.view() == huge));
}

TEST_CASE("pinned bytes count until the last reference goes") {
  L1Fixture f;
  f.Put("a", std::string(100'000, 'x'));
  const std::uint64_t used = f.l1.bytes_used();
  ValueRef ref = f.l1.Pin(*f.l1.Find(f.Key("a"), f.now));
  CHECK(f.l1.stats().pinned_bytes.value() == 0);  // still the entry's own
  f.l1.Erase(f.Key("a"));
  CHECK(f.l1.stats().pinned_bytes.value() > 100'000);
  CHECK(f.l1.bytes_used() == used);
  ref = ValueRef();
  CHECK(f.l1.stats().pinned_bytes.value() == 0);
  CHECK(f.l1.bytes_used() < used - 100'000);
  CHECK_FALSE(ref);
  CHECK(ref.view().empty());
}

TEST_CASE("prefetching changes nothing") {
  L1Fixture f;
  f.Put("a", "x");
  for (const char* key : {"a", "b"}) {
    f.l1.Prefetch(f.hasher(key));
    f.l1.PrefetchEntry(f.hasher(key));
  }
  CHECK(f.l1.stats().hits_value.value() + f.l1.stats().misses_absent.value() == 0);
  CHECK(f.Get("a") == "x");
}

}  // namespace
}  // namespace nearcached
