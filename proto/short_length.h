// The one loop that every length line of the hot path goes through. Internal to proto/.
// Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nearcached::proto {

// Reads "<digits>\r\n" at `p`, without the type byte before it, and returns the byte after it.
//
// Knows only the plain case: all of it before `end`, 1 to 9 digits, no leading zero. Everything
// else, be it unfinished, larger, negative or wrong, is nullptr with `value` unspecified, and the
// caller takes a slower path that can tell which. Nine digits cannot overflow 32 bits, which
// is what keeps the loop free of checks.
inline const char* ReadShortLengthOfAnySize(const char* p, const char* end, std::uint32_t& value) {
  constexpr std::ptrdiff_t kDigitsMax = 9;
  const char* const first = p;
  const char* const digits_end = end - p > kDigitsMax ? p + kDigitsMax : end;
  std::uint32_t number = 0;
  for (; p != digits_end; ++p) {
    const std::uint32_t digit = static_cast<unsigned char>(*p) - std::uint32_t{'0'};
    if (digit > 9) {
      break;
    }
    number = number * 10 + digit;
  }
  if (end - p < 2 || p[0] != '\r' || p[1] != '\n') {
    return nullptr;
  }
  if (p == first || (*first == '0' && p - first > 1)) {
    return nullptr;
  }
  value = number;
  return p + 2;
}

// The same. One or two digits, as nearly all lengths have, are read without a loop, in place.
inline const char* ReadShortLength(const char* p, const char* end, std::uint32_t& value) {
  if (end - p >= 4) {
    // A byte that is no digit is far above 9.
    const std::uint32_t first = static_cast<unsigned char>(p[0]) - std::uint32_t{'0'};
    const std::uint32_t second = static_cast<unsigned char>(p[1]) - std::uint32_t{'0'};
    if (first <= 9 && p[1] == '\r' && p[2] == '\n') {
      value = first;
      return p + 3;
    }
    if (first - 1 <= 8 && second <= 9 && p[2] == '\r' && p[3] == '\n') {
      value = first * 10 + second;
      return p + 4;
    }
  }
  return ReadShortLengthOfAnySize(p, end, value);
}

}  // namespace nearcached::proto
