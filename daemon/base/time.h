// The one notion of time that reaches behaviour: a monotonic clock in nanoseconds.
//
// Only net/ (and the simulator) reads a clock; everything else is handed `now` (consistency.md R5).
#pragma once

#include <chrono>
#include <cstdint>

namespace nearcached {

using Duration = std::chrono::nanoseconds;
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;

inline double ToSeconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}
inline std::int64_t ToMillis(Duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

}  // namespace nearcached
