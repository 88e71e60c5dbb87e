// Letters without case, the ASCII way and no other: Redis folds command names byte by byte, so no
// locale may have a say. Any thread.
#pragma once

#include <algorithm>
#include <string_view>

namespace nearcached {

[[nodiscard]] constexpr char AsciiLower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

// `lower` is in lower case already.
[[nodiscard]] constexpr bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(),
                    [](char a, char b) { return AsciiLower(a) == b; });
}

}  // namespace nearcached
