// Equality of short strings of bytes, without the call that memcmp is: most keys and names are a
// few words long, and the call costs more than the comparison. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace nearcached {

template <typename Word>
[[nodiscard]] inline bool SameWord(const char* a, const char* b) {
  Word x = 0;
  Word y = 0;
  std::memcpy(&x, a, sizeof x);
  std::memcpy(&y, b, sizeof y);
  return x == y;
}

// Both have `size` bytes. Where the last word would not fill up it overlaps the one before it.
[[nodiscard]] inline bool SameBytes(const char* a, const char* b, std::size_t size) {
  if (size >= 8) {
    for (std::size_t at = 0; at + 8 < size; at += 8) {
      if (!SameWord<std::uint64_t>(a + at, b + at)) {
        return false;
      }
    }
    return SameWord<std::uint64_t>(a + size - 8, b + size - 8);
  }
  if (size >= 4) {
    return SameWord<std::uint32_t>(a, b) && SameWord<std::uint32_t>(a + size - 4, b + size - 4);
  }
  return size == 0 || (a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1]);
}
[[nodiscard]] inline bool SameBytes(std::string_view a, std::string_view b) {
  return a.size() == b.size() && SameBytes(a.data(), b.data(), a.size());
}

}  // namespace nearcached
