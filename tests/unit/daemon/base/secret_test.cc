#include "daemon/base/secret.h"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

TEST_CASE("only the whole password is the password") {
  CHECK(SameSecret("secret", "secret"));
  CHECK(SameSecret("", ""));
  for (const char* wrong : {"", "s", "secre", "secret ", "Secret", "secretsecret", "xecret"}) {
    CHECK_FALSE(SameSecret(wrong, "secret"));
    CHECK_FALSE(SameSecret("secret", wrong));
  }
  CHECK_FALSE(SameSecret(std::string(1, '\0'), ""));
}

TEST_CASE("nothing of a wiped password is left where it was, not beyond its end either") {
  std::string secret(100, 'x');
  const char* const before = secret.data();
  secret.resize(40);  // the other sixty bytes are still there
  Wipe(secret);
  CHECK(secret.empty());
  REQUIRE(secret.data() == before);
  CHECK(std::all_of(before, before + secret.capacity(), [](char c) { return c == '\0'; }));
}

}  // namespace
}  // namespace nearcached
