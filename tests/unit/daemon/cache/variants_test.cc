// Several entries under one key: they are told apart by lookups and by nothing else.
#include <string>

#include <doctest/doctest.h>

#include "daemon/cache/l1.h"
#include "tests/unit/daemon/cache/l1_fixture.h"

namespace nearcached {
namespace {

using std::chrono::milliseconds;
using Result = L1::InsertResult;

class VariantFixture : public L1Fixture {
 public:
  CacheKey Variant(std::string_view key, std::string_view variant, DbIndex db = 0) {
    CacheKey name = Key(key, db);
    name.variant = variant;
    return name;
  }
  Result PutVariant(std::string_view key, std::string_view variant, std::string_view value,
                    DbIndex db = 0) {
    return l1.Insert(Variant(key, variant, db), value, false, now + ttl, now, owner);
  }
  // The value, or "" for none.
  std::string GetVariant(std::string_view key, std::string_view variant, DbIndex db = 0) {
    const auto hit = l1.Find(Variant(key, variant, db), now);
    return hit ? std::string(hit->value) : "";
  }
  std::size_t EraseKey(std::string_view key) { return l1.EraseInAllDatabases(key, Key(key).hash); }
};

TEST_CASE_FIXTURE(VariantFixture, "each read of a key has its own entry, and GET another") {
  CHECK(Put("k", "value") == Result::kStored);
  CHECK(PutVariant("k", "a", "reply a") == Result::kStored);
  CHECK(PutVariant("k", "b", "reply b") == Result::kStored);
  CHECK(PutVariant("k", "b", "reply b1", 1) == Result::kStored);
  CHECK(Get("k") == "value");
  CHECK(GetVariant("k", "a") == "reply a");
  CHECK(GetVariant("k", "b") == "reply b");
  CHECK(GetVariant("k", "b", 1) == "reply b1");
  CHECK(GetVariant("k", "c").empty());
  CHECK(GetVariant("k", "a", 1).empty());
  CHECK(PutVariant("k", "a", "newer") == Result::kReplaced);
  CHECK(GetVariant("k", "a") == "newer");
  CHECK(l1.entries() == 4);
  CHECK(l1.stats().variants.value() == 3);
}

TEST_CASE_FIXTURE(VariantFixture, "a key is not confused with key and variant written together") {
  PutVariant("ab", "c", "one");
  PutVariant("a", "bc", "two");
  Put("abc", "three");
  CHECK(GetVariant("ab", "c") == "one");
  CHECK(GetVariant("a", "bc") == "two");
  CHECK(Get("abc") == "three");
  CHECK_FALSE(Get("ab"));
  CHECK(EraseKey("a") == 1);
  CHECK(GetVariant("ab", "c") == "one");
}

TEST_CASE_FIXTURE(VariantFixture, "one invalidation drops all that is held under the key") {
  const std::string large(20'000, 'v');  // outlined
  for (const DbIndex db : {0U, 3U}) {
    Put("k", "value", db);
    for (int i = 0; i < 40; ++i) {
      PutVariant("k", "read " + std::to_string(i), i % 7 == 0 ? large : "reply", db);
    }
  }
  Put("other", "stays");
  PutVariant("other", "read 1", "stays too");
  CHECK(EraseKey("k") == 82);
  CHECK_FALSE(Get("k"));
  CHECK_FALSE(Get("k", 3));
  CHECK(GetVariant("k", "read 7").empty());
  CHECK(GetVariant("k", "read 8", 3).empty());
  CHECK(Get("other") == "stays");
  CHECK(GetVariant("other", "read 1") == "stays too");
  CHECK(l1.stats().variants.value() == 1);
}

TEST_CASE_FIXTURE(VariantFixture, "a variant that went last leaves the key's own entry alone") {
  Put("k", "value");
  PutVariant("k", "a", "reply");
  CHECK(l1.Erase(Variant("k", "a")));
  CHECK(Get("k") == "value");
  CHECK(EraseKey("k") == 1);
}

TEST_CASE_FIXTURE(VariantFixture, "a key has so many variants, and the least hit makes room") {
  l1.SetVariantsMax(4);
  Put("k", "value");
  for (const std::string variant : {"a", "b", "c", "d"}) {
    PutVariant("k", variant, "reply " + variant);
  }
  for (const std::string variant : {"a", "b", "d"}) {
    CHECK(GetVariant("k", variant) == "reply " + variant);
  }
  // Whoever asks for ever new ones pushes out the one nobody came back for, and then its own.
  for (int i = 0; i < 1000; ++i) {
    CHECK(PutVariant("k", "junk " + std::to_string(i), "junk") == Result::kStored);
    CHECK(l1.stats().variants.value() == 4);
  }
  CHECK(GetVariant("k", "c").empty());
  for (const std::string variant : {"a", "b", "d"}) {
    CHECK(GetVariant("k", variant) == "reply " + variant);
  }
  CHECK(GetVariant("k", "junk 999") == "junk");
  CHECK(Get("k") == "value");
  CHECK(l1.stats().variants_displaced.value() == 1000);
  PutVariant("other", "a", "reply");  // another key has room of its own
  CHECK(l1.stats().variants_displaced.value() == 1000);
}

TEST_CASE_FIXTURE(VariantFixture, "variants end by their own deadline and with their link") {
  PutVariant("k", "a", "short");
  ttl *= 10;
  PutVariant("k", "b", "long");
  owner = {9, 1};
  PutVariant("k", "c", "of another link");
  now += ttl / 5;
  CHECK(GetVariant("k", "a").empty());
  CHECK(GetVariant("k", "b") == "long");
  l1.DropOwner(owner);
  CHECK(GetVariant("k", "c").empty());
  CHECK(GetVariant("k", "b") == "long");
  l1.Clear();
  CHECK(GetVariant("k", "b").empty());
}

TEST_CASE_FIXTURE(VariantFixture,
                  "a variant of above 64 KiB is not stored, and key and variant count") {
  CHECK(PutVariant("k", std::string(65'536, 'v'), "x") == Result::kTooLarge);
  const std::string long_key(65'535, 'k');
  const std::string long_variant(65'535, 'v');
  CHECK(PutVariant(long_key, long_variant, "x") == Result::kStored);
  CHECK(GetVariant(long_key, long_variant) == "x");
  const std::uint64_t with = l1.bytes_used();
  CHECK(EraseKey(long_key) == 1);
  CHECK(with - l1.bytes_used() >= 131'070);
}

}  // namespace
}  // namespace nearcached
