#include "daemon/upstream/replication_info.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

Result<ReplicationInfo> Parse(std::string text) {
  UpstreamReply reply;
  reply.kind = UpstreamReply::Kind::kString;
  reply.text = std::move(text);
  return ParseReplicationInfo(reply);
}

// As redis-server 7.0.15 answers.
TEST_CASE("a primary names its history, its offset, and the replicas that are in step") {
  const auto info = Parse(
      "# Replication\r\nrole:master\r\nconnected_slaves:3\r\n"
      "slave0:ip=127.0.0.1,port=7902,state=online,offset=50,lag=0\r\n"
      "slave1:ip=10.0.0.9,port=7903,state=wait_bgsave,offset=0,lag=0\r\n"
      "slave2:ip=fd00::1,port=7904,state=online,offset=50,lag=0\r\n"
      "slave3:ip=,port=99999,state=online,offset=50,lag=0\r\n"
      "master_replid:952ac31875fdfa355d9010b53b56e23dd7934af1\r\nmaster_repl_offset:50\r\n");
  REQUIRE(info.ok());
  CHECK(info.value().primary);
  CHECK(info.value().history == "952ac31875fdfa355d9010b53b56e23dd7934af1");
  CHECK(info.value().offset == 50);
  REQUIRE(info.value().replicas.size() == 2);
  CHECK(info.value().replicas[0].ToString() == "127.0.0.1:7902");
  CHECK(info.value().replicas[1].ToString() == "[fd00::1]:7904");
}

TEST_CASE("a replica's offset is what it has executed, and its link may be down") {
  const std::string rest =
      "slave_read_repl_offset:99\r\nslave_repl_offset:87\r\nslave_priority:100\r\n"
      "master_replid:h\r\nmaster_repl_offset:90\r\n";
  const auto up = Parse("role:slave\r\nmaster_link_status:up\r\n" + rest);
  REQUIRE(up.ok());
  CHECK(!up.value().primary);
  CHECK(up.value().link_up);
  CHECK(up.value().offset == 87);
  CHECK(up.value().replicas.empty());
  const auto down = Parse("role:slave\r\nmaster_link_status:down\r\n" + rest);
  REQUIRE(down.ok());
  CHECK(!down.value().link_up);
}

TEST_CASE("what is not an answer is an error, and says what would help") {
  for (const char* text :
       {"", "PONG", "role:sentinel\r\nmaster_replid:h\r\nmaster_repl_offset:1\r\n",
        "role:master\r\nmaster_repl_offset:1\r\n", "role:master\r\nmaster_replid:h\r\n",
        "role:master\r\nmaster_replid:h\r\nmaster_repl_offset:x\r\n",
        "role:slave\r\nmaster_replid:h\r\nmaster_repl_offset:1\r\n"}) {
    CAPTURE(text);
    CHECK(!Parse(text).ok());
  }
  UpstreamReply refused;
  refused.kind = UpstreamReply::Kind::kError;
  refused.text = "NOPERM this user has no permissions to run the 'info' command";
  CHECK(ParseReplicationInfo(refused).error().message.find("+info") != std::string::npos);
  refused.text = "NOAUTH Authentication required.";
  CHECK(ParseReplicationInfo(refused).error().message.find("upstream.password") !=
        std::string::npos);
}

}  // namespace
}  // namespace nearcached
