// How far away nodes are, and which of them is the nearest. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "daemon/base/time.h"

namespace nearcached {

// The round trip of small questions, smoothed as TCP does it (RFC 6298, section 2: one part in
// eight of each new one), so that a single slow answer moves nothing.
class RoundTrip {
 public:
  void Note(Duration measured) {
    smoothed_ = smoothed_ ? *smoothed_ + (measured - *smoothed_) / 8 : measured;
  }
  [[nodiscard]] std::optional<Duration> value() const { return smoothed_; }

 private:
  std::optional<Duration> smoothed_;
};

// The place of the node to read from, of those with a round trip; `current` if there is none. A
// node is left for one that is nearer by a quarter and by 50 µs, so that two which are equally near
// do not take turns: every change may show a client an older moment.
[[nodiscard]] inline std::size_t ChooseNearest(std::span<const std::optional<Duration>> round_trips,
                                               std::size_t current) {
  constexpr Duration kLeast = std::chrono::microseconds(50);
  std::size_t best = current;
  for (std::size_t i = 0; i < round_trips.size(); ++i) {
    if (round_trips[i] && (!round_trips[best] || *round_trips[i] < *round_trips[best])) {
      best = i;
    }
  }
  const auto& now = round_trips[current];
  if (now && (*round_trips[best] > *now * 3 / 4 || *now - *round_trips[best] < kLeast)) {
    return current;
  }
  return best;
}

}  // namespace nearcached
