#include "daemon/base/sha1.h"

#include <doctest/doctest.h>

namespace nearcached {
namespace {

// The names Redis 7.0.15 gives these (SCRIPT LOAD), the first being that of RFC 3174's empty input.
TEST_CASE("a script is named as Redis names it") {
  CHECK(Sha1Hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  CHECK(Sha1Hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(Sha1Hex("return 1") == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

}  // namespace
}  // namespace nearcached
