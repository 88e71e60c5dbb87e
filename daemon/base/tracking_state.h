// What keeps L1 coherent at the moment: shared vocabulary of policy, fetch, upstream and admin.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nearcached {

// What the upstream currently tells us about changed keys (consistency.md R6).
enum class TrackingState : std::uint8_t {
  kArmed,  // every change of a key that we read is pushed to us, ahead of replies that show it
  kArmedUnordered,  // as kArmed, but a reply may come before the push of what it shows
  kTtlOnly,  // this server has no tracking, or it is switched off: entries end by their TTL alone
  kDown,     // no link to fill on at the moment: nothing is filled
};
inline constexpr std::size_t kTrackingStates = 4;

// Whether changes are pushed to us, in whatever order.
constexpr bool IsArmed(TrackingState state) {
  return state == TrackingState::kArmed || state == TrackingState::kArmedUnordered;
}

}  // namespace nearcached
