// The limit, and who goes when it is reached.
#include <string>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"
#include "tests/unit/daemon/cache/l1_fixture.h"

namespace nearcached {
namespace {

using Result = L1::InsertResult;

std::string Name(const char* prefix, std::uint64_t n) {
  return prefix + std::to_string(n);
}

TEST_CASE("I5: the bytes used never exceed the limit, whatever is inserted") {
  for (const std::uint64_t limit : {100'000UL, 1'000'000UL, 5'000'000UL}) {
    L1Fixture f(limit);
    Rng rng(limit);
    for (int i = 0; i < 20000; ++i) {
      f.Put(Name("k", rng.Below(50000)),
            std::string(rng.Below(rng.Below(20) == 0 ? 9000 : 300), 'x'));
      REQUIRE(f.l1.bytes_used() <= limit);
    }
    CHECK(f.l1.stats().evictions_size.value() > 1000);
  }
}

TEST_CASE("most of the limit holds keys and values, also after the sizes have shifted") {
  constexpr std::uint64_t kLimit = std::uint64_t{32} << 20U;
  L1Fixture f(kLimit);
  Rng rng(5);
  for (const std::size_t size : {700UL, 60UL, 3000UL, 150UL}) {
    for (int i = 0; i < 120'000; ++i) {
      f.Put(Name("k", rng.Below(1'000'000)), std::string(size / 2 + rng.Below(size), 'x'));
      f.l1.Tick(f.now);
    }
    CAPTURE(size);
    CHECK(f.l1.bytes_used() > kLimit * 9 / 10);
    CHECK(f.l1.stats().overhead_bytes.value() < static_cast<std::int64_t>(kLimit * 15 / 100));
  }
  CHECK(f.l1.stats().rejected_no_room.value() < 5000);
}

TEST_CASE("a scan of keys read once does not push out what is read again and again") {
  L1Fixture f(2'000'000);
  constexpr std::uint64_t kHot = 2000;
  const auto read = [&f](const std::string& key) {
    const bool hit = f.Get(key).has_value();
    if (!hit) {
      f.Put(key, std::string(100, 'x'));
    }
    return hit;
  };
  Rng rng(1);
  for (int i = 0; i < 40000; ++i) {
    read(Name("hot:", rng.Below(kHot)));
  }
  int hits = 0;
  int reads = 0;
  for (std::uint64_t i = 0; i < 200'000; ++i) {
    read(Name("scan:", i));
    if (i % 5 == 0) {
      hits += read(Name("hot:", rng.Below(kHot))) ? 1 : 0;
      ++reads;
    }
  }
  CHECK(hits > reads * 97 / 100);  // an LRU of this size would lose most of them
}

TEST_CASE("R11: a flood of absent keys takes only its own share") {
  L1Fixture f(4'000'000, 0.1);
  constexpr std::uint64_t kValues = 10000;
  for (std::uint64_t i = 0; i < kValues; ++i) {
    f.Put(Name("value:", i), std::string(100, 'x'));
  }
  for (std::uint64_t i = 0; i < 300'000; ++i) {
    f.PutNil(Name("absent:", i));
    REQUIRE(f.l1.negative_bytes() <= 400'000);
  }
  std::uint64_t there = 0;
  for (std::uint64_t i = 0; i < kValues; ++i) {
    there += f.Get(Name("value:", i)) ? 1 : 0;
  }
  CHECK(there == kValues);
  CHECK(f.l1.negative_entries() > 1000);
  CHECK(f.l1.stats().evictions_size.value() > 250'000);
}

TEST_CASE("R11: in a full cache a flood of absent keys costs at most its share of the values") {
  L1Fixture f(2'000'000, 0.1);
  for (std::uint64_t i = 0; i < 30000; ++i) {
    f.Put(Name("value:", i), std::string(100, 'x'));
  }
  const auto values = f.l1.entries();
  for (std::uint64_t i = 0; i < 300'000; ++i) {
    f.PutNil(Name("absent:", i));
  }
  CHECK(f.l1.entries() - f.l1.negative_entries() > values * 85 / 100);
}

TEST_CASE("a negative entry that is asked for survives the flood") {
  L1Fixture f(2'000'000, 0.05);
  f.PutNil("popular");
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    f.PutNil(Name("absent:", i));
    if (i % 100 == 0) {
      const auto hit = f.l1.Find(f.Key("popular"), f.now);
      REQUIRE(hit.has_value());
      CHECK(hit->negative);
    }
  }
  CHECK(f.l1.stats().hits_negative.value() == 1000);
}

TEST_CASE("R11: when the limit falls, negative entries above their share go before real values") {
  L1Fixture f(4'000'000, 0.2);
  for (std::uint64_t i = 0; i < 3000; ++i) {
    f.Put(Name("value:", i), std::string(100, 'x'));
  }
  for (std::uint64_t i = 0; i < 30000; ++i) {
    f.PutNil(Name("absent:", i));
  }
  f.l1.SetBytesMax(1'000'000);
  while (f.l1.bytes_used() > 1'000'000) {
    f.l1.Tick(f.now);
    if (f.l1.negative_bytes() > 200'000) {
      REQUIRE(f.l1.entries() - f.l1.negative_entries() == 3000);
    }
  }
  CHECK(f.l1.entries() - f.l1.negative_entries() > 2500);
}

TEST_CASE("a value that comes back soon after its eviction skips probation") {
  L1Fixture f(2'000'000);
  for (std::uint64_t i = 0; i < 30000; ++i) {
    f.Put(Name("k", i), std::string(100, 'x'));
  }
  // Nothing was ever hit; a few fingerprints of the ghost collide.
  CHECK(f.l1.stats().main_bytes.value() < f.l1.stats().small_bytes.value() / 50);
  std::uint64_t last_gone = 30000;
  while (f.Get(Name("k", last_gone - 1))) {
    --last_gone;
  }
  const auto before = f.l1.stats().main_bytes.value();
  f.Put(Name("k", last_gone - 1), std::string(100, 'x'));
  CHECK(f.l1.stats().main_bytes.value() > before);
}

TEST_CASE("without a negative share no negative entry is stored") {
  L1Fixture f(2'000'000, 0.0);
  CHECK(f.PutNil("a") == Result::kNotAdmitted);
  CHECK(f.l1.entries() == 0);
}

TEST_CASE("a real value takes the place of a negative entry and the other way round") {
  L1Fixture f;
  f.PutNil("a");
  CHECK(f.Put("a", "x") == Result::kReplaced);
  CHECK(f.l1.negative_entries() == 0);
  CHECK(f.PutNil("a") == Result::kReplaced);
  CHECK(f.l1.negative_entries() == 1);
  CHECK(f.l1.entries() == 1);
}

TEST_CASE("in a full cache a large value is let in the second time it is wanted") {
  L1Fixture f(4'000'000);
  for (std::uint64_t i = 0; i < 60000; ++i) {
    f.Put(Name("k", i), std::string(100, 'x'));
  }
  const std::string large(200'000, 'l');
  CHECK(f.Put("large", large) == Result::kNotAdmitted);
  CHECK(f.Put("large", large) == Result::kStored);
  CHECK((f.Get("large") == large));
  CHECK(f.l1.stats().rejected_not_admitted.value() == 1);
}

TEST_CASE("a lowered limit is reached in bounded steps, and a raised one is used") {
  L1Fixture f(8'000'000);
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    f.Put(Name("k", i), std::string(100, 'x'));
  }
  f.l1.SetBytesMax(2'000'000);
  CHECK(f.l1.stats().bytes_max.value() == 2'000'000);
  int ticks = 0;
  for (std::uint64_t before = f.l1.entries(); f.l1.bytes_used() > 2'000'000; ++ticks) {
    f.l1.Tick(f.now);
    REQUIRE(before - f.l1.entries() <= 64);
    before = f.l1.entries();
    REQUIRE(ticks < 10000);
  }
  CHECK(ticks > 100);
  const std::uint64_t low = f.l1.entries();
  f.l1.SetBytesMax(8'000'000);
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    f.Put(Name("k", i), std::string(100, 'x'));
  }
  CHECK(f.l1.entries() > 3 * low);
}

TEST_CASE("a limit too small for anything refuses and stays correct") {
  L1Fixture f(1000);
  CHECK(f.Put("a", "x") == Result::kNoRoom);
  CHECK_FALSE(f.Get("a"));
  CHECK(f.l1.stats().rejected_no_room.value() == 1);
}

TEST_CASE("a large mapping is given back piece by piece") {
  L1Fixture f(std::uint64_t{64} << 20U);
  f.Put("a", std::string(10'000'000, 'x'));
  f.l1.Erase(f.Key("a"));
  std::uint64_t before = f.l1.bytes_used();
  int ticks = 0;
  while (before > 1'000'000) {
    f.l1.Tick(f.now);
    REQUIRE(before - f.l1.bytes_used() <= 600'000);
    before = f.l1.bytes_used();
    REQUIRE(++ticks < 100);
  }
  CHECK(ticks >= 18);
}

}  // namespace
}  // namespace nearcached
