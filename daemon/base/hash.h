// Seeded hash of a key: the same function places a key in L1, in the flight table, in the holds
// and on a fill link, so it is computed once per request and passed along.
//
// XXH3 64 bit with a per-process seed against hash flooding (pitfalls.md 70).
#pragma once

#define XXH_INLINE_ALL
#include <cstdint>
#include <string_view>
#include <xxhash.h>

namespace nearcached {

class KeyHasher {
 public:
  explicit KeyHasher(std::uint64_t seed) : seed_(seed) {}
  [[nodiscard]] std::uint64_t operator()(std::string_view key) const {
    return XXH3_64bits_withSeed(key.data(), key.size(), seed_);
  }

 private:
  std::uint64_t seed_;
};

}  // namespace nearcached
