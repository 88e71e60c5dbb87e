#include "daemon/upstream/sentinel_reply.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using config::HostPort;

UpstreamReply Reply(const std::string& bytes) {
  const auto reply = ParseUpstreamReply(bytes);
  REQUIRE(reply);
  return *reply;
}

TEST_CASE("the address of the master") {
  const auto v4 = ParseMasterAddress(Reply("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n7001\r\n"));
  CHECK(v4.value() == HostPort{"127.0.0.1", 7001});
  const auto v6 = ParseMasterAddress(Reply("*2\r\n$3\r\n::1\r\n$4\r\n7001\r\n"));
  CHECK(v6.value() == HostPort{"::1", 7001});
}

TEST_CASE("no address, and what would help") {
  const auto why = [](const std::string& bytes) {
    return ParseMasterAddress(Reply(bytes)).error().message;
  };
  CHECK(why("*-1\r\n").find("master_name") != std::string::npos);
  CHECK(why("-NOAUTH Authentication required.\r\n").find("sentinel.password") != std::string::npos);
  CHECK(why("-ERR unknown command 'SENTINEL'\r\n").find("no sentinel") != std::string::npos);
  CHECK(why("-IDONTKNOW No such master\r\n").find("IDONTKNOW") != std::string::npos);
  for (const char* bytes : {"+OK\r\n", "*1\r\n$1\r\na\r\n", "*2\r\n$1\r\na\r\n$1\r\nx\r\n",
                            "*2\r\n$0\r\n\r\n$4\r\n7001\r\n", "*2\r\n$1\r\na\r\n$1\r\n0\r\n"}) {
    CAPTURE(bytes);
    CHECK_FALSE(ParseMasterAddress(Reply(bytes)).ok());
  }
}

TEST_CASE("the epoch of a configuration") {
  CHECK(ParseConfigEpoch(
            Reply("*4\r\n$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n$2\r\n12\r\n")) == 12);
  CHECK(ParseConfigEpoch(Reply("-NOPERM\r\n")) == 0);
  CHECK(ParseConfigEpoch(Reply("*2\r\n$12\r\nconfig-epoch\r\n$1\r\nx\r\n")) == 0);
}

TEST_CASE("other sentinels are learned, what is garbled is left out, and the number is bounded") {
  const std::string good =
      "*6\r\n$4\r\nname\r\n$2\r\nid\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n$4\r\nport\r\n$5\r\n26379\r\n";
  const std::string bad = "*4\r\n$2\r\nip\r\n$8\r\n10.0.0.2\r\n$4\r\nport\r\n$1\r\nx\r\n";
  const auto found = ParseSentinels(Reply("*3\r\n" + good + bad + good), 10);
  REQUIRE(found.size() == 2);
  CHECK(found[0] == HostPort{"10.0.0.1", 26379});
  CHECK(ParseSentinels(Reply("*3\r\n" + good + good + good), 2).size() == 2);
  CHECK(ParseSentinels(Reply("-ERR No such master with that name\r\n"), 10).empty());
}

TEST_CASE("a switch is heard if it is about our master") {
  CHECK(ParseSwitchMaster("m 127.0.0.1 1 127.0.0.1 2", "m") == HostPort{"127.0.0.1", 2});
  CHECK(ParseSwitchMaster("m ::1 1 ::1 2", "m") == HostPort{"::1", 2});
  for (const char* payload : {"other 127.0.0.1 1 127.0.0.1 2", "m 127.0.0.1 1 127.0.0.1", "m", "",
                              "m a 1 b 2 3", "m a 1 b x", "m a 1  2"}) {
    CAPTURE(payload);
    CHECK_FALSE(ParseSwitchMaster(payload, "m").has_value());
  }
}

}  // namespace
}  // namespace nearcached
