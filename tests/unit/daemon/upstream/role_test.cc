#include "daemon/upstream/role.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

Result<NodeRole> Parse(const std::string& bytes) {
  const auto reply = ParseUpstreamReply(bytes);
  REQUIRE(reply);
  return ParseRole(*reply);
}

// Replies of redis-server 7.0.15.
TEST_CASE("a primary says its offset and who follows it") {
  const auto role = Parse(
      "*3\r\n$6\r\nmaster\r\n:3129659\r\n*2\r\n"
      "*3\r\n$9\r\n127.0.0.1\r\n$4\r\n9001\r\n$7\r\n3129242\r\n"
      "*3\r\n$9\r\n127.0.0.1\r\n$4\r\n9002\r\n$7\r\n3129543\r\n");
  REQUIRE(role.ok());
  CHECK(role.value().primary);
  CHECK(role.value().offset == 3129659);
  CHECK(role.value().replicas == 2);
  CHECK(Parse("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n").value().replicas == 0);
}

TEST_CASE("a replica is no primary, whatever the state of its link") {
  for (const char* state : {"connect", "connected", "sync"}) {
    const std::string size = std::to_string(std::string(state).size());
    const auto role = Parse("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:9000\r\n$" + size + "\r\n" +
                            state + "\r\n:3167038\r\n");
    REQUIRE(role.ok());
    CHECK_FALSE(role.value().primary);
    CHECK(role.value().offset == 3167038);
  }
}

TEST_CASE("a sentinel, a refusal and nonsense are told apart") {
  CHECK(Parse("*2\r\n$8\r\nsentinel\r\n*1\r\n$1\r\nm\r\n").error().message.find("sentinel://") !=
        std::string::npos);
  CHECK(Parse("-NOPERM no permissions to run 'role'\r\n").error().message.find("+role") !=
        std::string::npos);
  CHECK(Parse("-NOAUTH Authentication required.\r\n").error().message.find("upstream.password") !=
        std::string::npos);
  for (const char* bytes : {"+OK\r\n", "*0\r\n", "*1\r\n$6\r\nmaster\r\n", ":1\r\n",
                            "*3\r\n$6\r\nmaster\r\n$1\r\n0\r\n*0\r\n", "$-1\r\n"}) {
    CAPTURE(bytes);
    CHECK(Parse(bytes).error().code == Code::kProtocol);
  }
}

}  // namespace
}  // namespace nearcached
