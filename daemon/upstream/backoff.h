// How long to wait before connecting again: doubles from `min` to `max` with each failure in a row,
// and a random half of it is taken off so that many sidecars do not come back in step.
#pragma once

#include <algorithm>

#include "daemon/base/rng.h"
#include "daemon/base/time.h"

namespace nearcached {

class Backoff {
 public:
  // REQUIRES: zero < min <= max (the configuration is validated).
  Backoff(Duration min, Duration max) : min_(min), max_(max), next_(min) {}

  // The delay before the next attempt, in (d/2, d].
  Duration Next(Rng& rng) {
    const Duration ceiling = next_;
    next_ = std::min(max_, next_ * 2);
    const auto half = static_cast<std::uint64_t>(ceiling.count() / 2);
    return ceiling - Duration(static_cast<std::int64_t>(half == 0 ? 0 : rng.Below(half)));
  }

  void Reset() { next_ = min_; }

 private:
  Duration min_;
  Duration max_;
  Duration next_;
};

}  // namespace nearcached
