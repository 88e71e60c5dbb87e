// A character as an index into tables of 256.
#pragma once

namespace nearcached {

[[nodiscard]] constexpr unsigned char Byte(char c) {
  return static_cast<unsigned char>(c);
}

}  // namespace nearcached
