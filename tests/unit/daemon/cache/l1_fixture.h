// An L1 with a clock of its own and short ways to fill it, for the tests of the cache.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/hash.h"
#include "daemon/cache/l1.h"

namespace nearcached {

class L1Fixture {
 public:
  explicit L1Fixture(std::uint64_t bytes_max = std::uint64_t{8} << 20U, double negative_share = 0.1)
      : l1({bytes_max, negative_share}) {}
  // Every test ends with a store whose books are right.
  ~L1Fixture() { l1.CheckInvariants(); }
  L1Fixture(const L1Fixture&) = delete;
  L1Fixture& operator=(const L1Fixture&) = delete;

  [[nodiscard]] CacheKey Key(std::string_view key, DbIndex db = 0) const {
    return {db, key, hasher(key)};
  }
  L1::InsertResult Put(std::string_view key, std::string_view value, DbIndex db = 0) {
    return l1.Insert(Key(key, db), value, false, now + ttl, now, owner);
  }
  L1::InsertResult PutNil(std::string_view key) {
    return l1.Insert(Key(key), "$-1\r\n", true, now + ttl, now, owner);
  }
  // The value found, as a copy.
  std::optional<std::string> Get(std::string_view key, DbIndex db = 0) {
    const auto hit = l1.Find(Key(key, db), now);
    return hit ? std::optional<std::string>(hit->value) : std::nullopt;
  }
  // Ticks until nothing more is due; returns how many ticks found work.
  int Settle() {
    int turns = 0;
    while (l1.Tick(now)) {
      ++turns;
    }
    return turns;
  }

  KeyHasher hasher{99};
  MonoTime now{std::chrono::seconds(100)};
  Duration ttl = std::chrono::hours(1);
  FillOwner owner{1, 1};
  L1 l1;
};

}  // namespace nearcached
