#include "daemon/upstream/cluster_map.h"

#include <string>

#include <doctest/doctest.h>

#include "proto/encode.h"

namespace nearcached {
namespace {

Endpoint Asked() {
  Endpoint asked;
  asked.host = "10.0.0.9";
  asked.port = 7000;
  return asked;
}

std::string Bulk(std::string_view text) {
  std::string out;
  proto::AppendBulk(out, text);
  return out;
}
std::string Node(std::string_view host_reply, int port) {
  return "*3\r\n" + std::string(host_reply) + ":" + std::to_string(port) + "\r\n" + Bulk("id");
}
std::string Range(int first, int last, const std::string& nodes, int count) {
  return "*" + std::to_string(2 + count) + "\r\n:" + std::to_string(first) +
         "\r\n:" + std::to_string(last) + "\r\n" + nodes;
}
std::optional<ClusterMap> Slots(const std::string& bytes) {
  const auto reply = ParseUpstreamReply(bytes);
  REQUIRE(reply.has_value());
  return ParseClusterSlots(*reply, Asked());
}

TEST_CASE("CLUSTER SLOTS: ranges, replicas, hosts in every form") {
  const auto map =
      Slots("*4\r\n" + Range(0, 99, Node(Bulk("::1"), 7002) + Node(Bulk("::1"), 7005), 2) +
            Range(100, 199, Node(Bulk(""), 7001), 1) + Range(300, 300, Node("$-1\r\n", 7003), 1) +
            Range(16383, 16383, Node(Bulk("::1"), 7002), 1));
  REQUIRE(map.has_value());
  REQUIRE(map->primaries.size() == 3);
  CHECK(map->covered == 202);
  CHECK(map->replicas == 1);
  const auto at = [&](std::size_t slot) { return map->primaries[map->owners[slot]].ToString(); };
  CHECK(at(0) == "[::1]:7002");
  CHECK(at(99) == "[::1]:7002");
  CHECK(at(100) == "10.0.0.9:7001");
  CHECK(at(300) == "10.0.0.9:7003");
  CHECK(at(16383) == "[::1]:7002");
  CHECK(map->owners[200] == ClusterMap::kNobody);
}

TEST_CASE("the primaries have one order, whoever was asked") {
  const std::string a = Range(0, 9, Node(Bulk("b"), 7001), 1);
  const std::string b = Range(10, 19, Node(Bulk("a"), 7002), 1);
  const std::string c = Range(20, 29, Node(Bulk("a"), 7001), 1);
  const auto one = Slots("*3\r\n" + a + b + c);
  const auto two = Slots("*3\r\n" + c + a + b);
  REQUIRE(one.has_value());
  REQUIRE(two.has_value());
  CHECK(one->owners == two->owners);
  CHECK(one->primaries[0].ToString() == "a:7001");
  CHECK(one->primaries[2].ToString() == "b:7001");
}

TEST_CASE("nodes are reached over TLS where the map came over TLS") {
  const std::string bytes = "*1\r\n" + Range(0, 9, Node(Bulk("b"), 7001), 1);
  CHECK(Slots(bytes)->primaries[0].tls == TlsUse::kNone);
  Endpoint asked = Asked();
  asked.tls = TlsUse::kUpstream;
  CHECK(ParseClusterSlots(*ParseUpstreamReply(bytes), asked)->primaries[0].tls ==
        TlsUse::kUpstream);
}

TEST_CASE("an empty map is a map: a cluster without slots") {
  const auto map = Slots("*0\r\n");
  REQUIRE(map.has_value());
  CHECK(map->covered == 0);
}

TEST_CASE("CLUSTER SLOTS that make no sense are refused") {
  const std::string node = Node(Bulk("h"), 7001);
  for (const std::string& bytes :
       {std::string("+OK\r\n"), std::string("*1\r\n:1\r\n"), "*1\r\n" + Range(5, 4, node, 1),
        "*1\r\n" + Range(-1, 4, node, 1), "*1\r\n" + Range(0, 16384, node, 1),
        "*2\r\n" + Range(0, 5, node, 1) + Range(5, 6, node, 1),
        "*1\r\n" + Range(0, 5, Node(Bulk("h"), 0), 1),
        "*1\r\n" + Range(0, 5, Node(Bulk("h"), 70000), 1), "*1\r\n" + Range(0, 5, "", 0),
        "*1\r\n" + Range(0, 5, ":3\r\n", 1)}) {
    CAPTURE(bytes);
    CHECK_FALSE(Slots(bytes).has_value());
  }
}

std::string ShardNode(std::string_view host, int port, std::string_view role,
                      std::string_view health) {
  return "*8\r\n" + Bulk("endpoint") + Bulk(host) + Bulk("port") + ":" + std::to_string(port) +
         "\r\n" + Bulk("role") + Bulk(role) + Bulk("health") + Bulk(health);
}
std::string Shard(const std::string& slots, const std::string& nodes) {
  return "*4\r\n" + Bulk("slots") + slots + Bulk("nodes") + nodes;
}
std::optional<ClusterMap> Shards(const std::string& bytes) {
  const auto reply = ParseUpstreamReply(bytes);
  REQUIRE(reply.has_value());
  return ParseClusterShards(*reply, Asked(), false);
}

TEST_CASE("CLUSTER SHARDS: the healthy master owns the slots") {
  const auto map = Shards(
      "*2\r\n" +
      Shard("*4\r\n:0\r\n:9\r\n:20\r\n:29\r\n", "*3\r\n" + ShardNode("a", 1, "master", "fail") +
                                                    ShardNode("a", 2, "master", "online") +
                                                    ShardNode("a", 3, "replica", "online")) +
      Shard("*2\r\n:10\r\n:19\r\n", "*1\r\n" + ShardNode("?", 4, "master", "fail")));
  REQUIRE(map.has_value());
  CHECK(map->covered == 30);
  CHECK(map->replicas == 1);
  CHECK(map->primaries[map->owners[25]].ToString() == "a:2");
  CHECK(map->primaries[map->owners[15]].ToString() == "10.0.0.9:4");
}

TEST_CASE("CLUSTER SHARDS: slots whose shard has no master are nobody's") {
  const auto map = Shards(
      "*1\r\n" + Shard("*2\r\n:0\r\n:9\r\n", "*1\r\n" + ShardNode("a", 1, "replica", "online")));
  REQUIRE(map.has_value());
  CHECK(map->covered == 0);
}

TEST_CASE("CLUSTER SHARDS that make no sense are refused") {
  CHECK_FALSE(Shards("*1\r\n*0\r\n").has_value());
  CHECK_FALSE(
      Shards("*1\r\n" + Shard("*1\r\n:0\r\n", "*1\r\n" + ShardNode("a", 1, "master", "online")))
          .has_value());
  CHECK_FALSE(Shards("*1\r\n" +
                     Shard("*2\r\n:9\r\n:0\r\n", "*1\r\n" + ShardNode("a", 1, "master", "online")))
                  .has_value());
}

}  // namespace
}  // namespace nearcached
