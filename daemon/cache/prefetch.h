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

inline void PrefetchLine(std::uintptr_t at) {
  PrefetchLine(reinterpret_cast<const void*>(at));
}

}  // namespace nearcached
