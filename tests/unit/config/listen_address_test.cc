#include "config/listen_address.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached::config {
namespace {

ListenAddress Parse(std::string_view text) {
  const auto result = ParseListenAddress(text);
  CAPTURE(text);
  CAPTURE(result.error);
  REQUIRE(result.ok());
  return *result.value;
}

TEST_CASE("an address is host and port, or the path of a unix socket") {
  CHECK(Parse("127.0.0.1:6380").host == "127.0.0.1");
  CHECK(Parse("127.0.0.1:6380").port == 6380);
  CHECK(Parse("[::1]:6380").host == "::1");
  CHECK(Parse("127.0.0.1:0").port == 0);
  CHECK(Parse("unix:/run/x.sock").unix_path == "/run/x.sock");
  CHECK(Parse("unix:///run/x.sock").unix_path == "/run/x.sock");
}

TEST_CASE("one address has one spelling") {
  CHECK(Parse("localhost:1").ToString() == "127.0.0.1:1");
  CHECK(Parse("*:1").ToString() == "0.0.0.0:1");
  CHECK(Parse("[0:0::1]:1").ToString() == "[::1]:1");
  CHECK(Parse("unix:///a").ToString() == "unix:/a");
  for (const char* text : {"127.0.0.1:6380", "[::1]:6380", "unix:/run/x.sock"}) {
    CHECK(Parse(text).ToString() == text);
  }
}

TEST_CASE("what is no address is refused with the forms there are") {
  for (const char* text :
       {"", "6380", ":6380", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:6380x", "::1:6380", "[127.0.0.1]:6380", "redis.example:6380", "300.0.0.1:1",
        "unix:relative", "unix:", "[::1:6380"}) {
    CAPTURE(text);
    const auto result = ParseListenAddress(text);
    CHECK_FALSE(result.ok());
    CHECK(result.error.size() > 20);
  }
}

TEST_CASE("the path of a unix socket fits into a socket address") {
  CHECK(ParseListenAddress("unix:/" + std::string(106, 'a')).ok());
  const auto result = ParseListenAddress("unix:/" + std::string(107, 'a'));
  CHECK_FALSE(result.ok());
  CHECK(result.error.find("at most 107 bytes") != std::string::npos);
  CHECK_FALSE(ParseListenAddress(std::string("unix:/a\0b", 9)).ok());
  CHECK_FALSE(ParseListenAddress(std::string("127.0.0.1\0:1", 12)).ok());
}

TEST_CASE("loopback is what other machines cannot reach") {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1",
                           "unix:/a", "localhost:1"}) {
    CAPTURE(text);
    CHECK(Parse(text).loopback());
  }
  for (const char* text : {"0.0.0.0:1", "*:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1"}) {
    CAPTURE(text);
    CHECK_FALSE(Parse(text).loopback());
  }
}

TEST_CASE("addresses clash where the second bind would fail") {
  CHECK(Clash(Parse("127.0.0.1:1"), Parse("localhost:1")));
  CHECK(Clash(Parse("0.0.0.0:1"), Parse("127.0.0.1:1")));
  CHECK(Clash(Parse("[::1]:1"), Parse("[::]:1")));
  CHECK(Clash(Parse("unix:/a"), Parse("unix:/a")));
  CHECK_FALSE(Clash(Parse("127.0.0.1:1"), Parse("127.0.0.1:2")));
  CHECK_FALSE(Clash(Parse("127.0.0.1:1"), Parse("127.0.0.2:1")));
  CHECK_FALSE(Clash(Parse("127.0.0.1:0"), Parse("127.0.0.1:0")));
  CHECK_FALSE(Clash(Parse("unix:/a"), Parse("unix:/b")));
  CHECK_FALSE(Clash(Parse("unix:/a"), Parse("127.0.0.1:1")));
}

}  // namespace
}  // namespace nearcached::config
