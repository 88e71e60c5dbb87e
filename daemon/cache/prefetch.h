// Asks the processor to bring a line of memory closer.
#pragma once

#include <cstdint>

namespace nearcached {

// Unlike the bare built-in, never optimised away: g++ 12 takes a function that does nothing but
// prefetch for one without effect, and drops the calls of it.
inline void PrefetchLine(const void* at) {
  __builtin_prefetch(at);
  asm volatile("");
}

// For an address that may lie outside of any object, and so must not be made a pointer by
// arithmetic.
inline void PrefetchLine(std::uintptr_t at) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): nothing is read through it
  PrefetchLine(reinterpret_cast<const void*>(at));
}

}  // namespace nearcached
