#include "daemon/upstream/cluster_route.h"

#include <doctest/doctest.h>

#include "daemon/command/command_table.h"

namespace nearcached {
namespace {

using Kind = Route::Kind;
using Words = std::vector<std::string_view>;

Route RouteFor(const Words& words) {
  const CommandTable table;
  std::vector<KeyVisit> keys;
  return RouteOf(table.Find(words), words, keys);
}

TEST_CASE("a command goes to the slot of its keys, wherever they stand") {
  CHECK(RouteFor({"GET", "foo"}).kind == Kind::kSlot);
  CHECK(RouteFor({"GET", "foo"}).slot == 12'182);
  CHECK(RouteFor({"set", "{foo}x", "bar"}).slot == 12'182);
  CHECK(RouteFor({"EVAL", "return 1", "1", "foo", "bar"}).slot == 12'182);
  CHECK(RouteFor({"XREAD", "COUNT", "1", "STREAMS", "foo", "0"}).slot == 12'182);
  CHECK(RouteFor({"MSETNX", "{foo}a", "1", "{foo}b", "2"}).kind == Kind::kSlot);
  CHECK(RouteFor({"MGET", "{foo}a", "{foo}b"}).kind == Kind::kSlot);
  CHECK(RouteFor({"OBJECT", "ENCODING", "foo"}).slot == 12'182);
  CHECK(RouteFor({"SPUBLISH", "foo", "x"}).slot == 12'182);
  CHECK(RouteFor({"SSUBSCRIBE", "foo", "{foo}2"}).slot == 12'182);
}

TEST_CASE("what means the same in parts is taken apart, the rest is refused") {
  for (const Words& words : {Words{"MGET", "foo", "bar"}, Words{"DEL", "foo", "bar"},
                             Words{"UNLINK", "foo", "bar"}, Words{"EXISTS", "foo", "bar"},
                             Words{"TOUCH", "foo", "bar"}, Words{"MSET", "foo", "1", "bar", "2"}}) {
    CAPTURE(words[0]);
    CHECK(RouteFor(words).kind == Kind::kSplit);
  }
  for (const Words& words : {Words{"MSETNX", "foo", "1", "bar", "2"}, Words{"RENAME", "foo", "bar"},
                             Words{"SINTER", "foo", "bar"}, Words{"EVAL", "", "2", "foo", "bar"},
                             Words{"SSUBSCRIBE", "foo", "bar"}, Words{"MSET", "foo", "1", "bar"}}) {
    CAPTURE(words[0]);
    const Route route = RouteFor(words);
    CHECK(route.kind == Kind::kRefused);
    CHECK(route.error.starts_with("CROSSSLOT "));
  }
}

TEST_CASE("keyspace-wide commands go to every primary, others to any node") {
  CHECK(RouteFor({"DBSIZE"}).kind == Kind::kPrimaries);
  CHECK(RouteFor({"DBSIZE"}).merge == MergeKind::kSum);
  CHECK(RouteFor({"FLUSHALL", "ASYNC"}).kind == Kind::kPrimaries);
  CHECK(RouteFor({"SCRIPT", "LOAD", "return 1"}).kind == Kind::kPrimaries);
  CHECK(RouteFor({"CONFIG", "SET", "a", "b"}).kind == Kind::kPrimaries);
  CHECK(RouteFor({"SCAN", "0"}).kind == Kind::kScan);
  CHECK(RouteFor({"TIME"}).kind == Kind::kAny);
  CHECK(RouteFor({"PUBLISH", "foo", "x"}).kind == Kind::kAny);
  CHECK(RouteFor({"EVAL", "return 1", "0"}).kind == Kind::kAny);
  CHECK(RouteFor({"NOSUCH", "foo", "bar"}).kind == Kind::kAny);
  CHECK(RouteFor({"GET"}).kind == Kind::kAny);
  CHECK(RouteFor({"DBSIZE", "x"}).kind == Kind::kAny);
}

TEST_CASE("what would act on one node alone says so") {
  CHECK(RouteFor({"ACL", "SETUSER", "x"}).error.find("each node") != std::string::npos);
  CHECK(RouteFor({"DEBUG", "SLEEP", "0"}).kind == Kind::kRefused);
  CHECK(RouteFor({"CLUSTER", "NODES"}).error == "ERR This instance has cluster support disabled");
}

TEST_CASE("a command is taken apart by slot, and every key knows its place") {
  const Words words = {"MSET", "foo", "1", "bar", "2", "{foo}b", "3"};
  const auto parts = SplitBySlot(words, 2);
  REQUIRE(parts.size() == 2);
  CHECK(parts[0].positions == std::vector<std::uint32_t>{0, 2});
  CHECK(parts[1].positions == std::vector<std::uint32_t>{1});
  std::string out;
  AppendPart(out, words, 2, parts[0]);
  CHECK(out == "*5\r\n$4\r\nMSET\r\n$3\r\nfoo\r\n$1\r\n1\r\n$6\r\n{foo}b\r\n$1\r\n3\r\n");
}

}  // namespace
}  // namespace nearcached
