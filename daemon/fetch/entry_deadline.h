// Until when a value may be served from L1 (consistency.md R5, G4). Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "daemon/base/time.h"

namespace nearcached {

// What PTTL says instead of milliseconds: of a key that lives for ever, and of one that is not
// there. https://redis.io/docs/latest/commands/pttl/
inline constexpr std::int64_t kPttlNoExpiry = -1;
inline constexpr std::int64_t kPttlNoKey = -2;

// sent_at + min(ttl, what the key has left to live upstream), where `sent_at` is when its read was
// *sent* and `pttl_ms` the upstream's answer to PTTL in the same round trip: -1 lives for ever; -2,
// gone already, or any other value below 1 gives nullopt: do not store. Nothing is stored for a ttl
// of zero either. https://redis.io/docs/latest/commands/pttl/
[[nodiscard]] inline std::optional<MonoTime> EntryDeadline(MonoTime sent_at, Duration ttl,
                                                           std::int64_t pttl_ms) {
  if (pttl_ms != kPttlNoExpiry) {
    if (pttl_ms < 1) {
      return std::nullopt;
    }
    // Compared as milliseconds: a key may live longer than nanoseconds can count.
    if (pttl_ms < std::chrono::ceil<std::chrono::milliseconds>(ttl).count()) {
      ttl = std::chrono::milliseconds(pttl_ms);
    }
  }
  return ttl > Duration::zero() ? std::optional(sent_at + ttl) : std::nullopt;
}

}  // namespace nearcached
