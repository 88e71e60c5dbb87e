// How the L1 names things: keys, and who filled them. Plain values.
#pragma once

#include <cstdint>
#include <string_view>

namespace nearcached {

using DbIndex = std::uint32_t;

// Names one entry. `hash` is KeyHasher(key) without the database, because invalidations name keys
// without one; equal keys of several databases share the hash and differ in the comparison.
struct CacheKey {
  DbIndex db = 0;
  std::string_view key;
  std::uint64_t hash = 0;
  // Which read of the key it answers. Empty: GET. Else bytes by which whoever reads tells one
  // request from another (session/read_request.h), opaque here. All that is held under one key,
  // whatever its variant, is dropped together.
  std::string_view variant{};
};

// Which fill link filled an entry, and under which epoch of its connection (R6).
struct FillOwner {
  std::uint16_t link = 0;
  std::uint32_t epoch = 0;
  bool operator==(const FillOwner&) const = default;
};

}  // namespace nearcached
