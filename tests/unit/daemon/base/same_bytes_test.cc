#include "daemon/base/same_bytes.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

TEST_CASE("strings are the same until any one of their bytes differs, at every length") {
  for (std::size_t size = 0; size <= 40; ++size) {
    CAPTURE(size);
    std::string a(size, 'x');
    for (std::size_t i = 0; i < size; ++i) {
      a[i] = static_cast<char>('a' + i % 26);
    }
    // Not aligned, and with other bytes around it.
    const std::string around = "<" + a + ">";
    std::string b = "[" + a + "]";
    CHECK(SameBytes(around.data() + 1, b.data() + 1, size));
    for (std::size_t i = 1; i <= size; ++i) {
      CAPTURE(i);
      b[i] = static_cast<char>(b[i] ^ 0x20);
      CHECK_FALSE(SameBytes(around.data() + 1, b.data() + 1, size));
      b[i] = static_cast<char>(b[i] ^ 0x20);
    }
  }
}

}  // namespace
}  // namespace nearcached
