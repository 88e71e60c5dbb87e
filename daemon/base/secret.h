// Passwords: compared without telling how much of one was right, and overwritten before their
// memory is given back.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace nearcached {

// Takes the same time whatever the two have in common.
inline bool SameSecret(std::string_view given, std::string_view expected) {
  std::size_t difference = given.size() ^ expected.size();
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<std::size_t>(
        static_cast<unsigned char>(given[i]) ^
        static_cast<unsigned char>(expected.empty() ? 0 : expected[i % expected.size()]));
  }
  return difference == 0;
}

// What the string held is gone from its memory, and the string is empty. Copies are not.
inline void Wipe(std::string& secret) {
  secret.resize(secret.capacity());
  explicit_bzero(secret.data(), secret.size());
  secret.clear();
}

}  // namespace nearcached
