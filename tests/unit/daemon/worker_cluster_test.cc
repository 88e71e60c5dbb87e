// What a worker does whose upstream is a cluster: where requests go, and what they may expect.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/worker_rows.h"
#include "proto/wire_errors.h"
#include "tests/unit/daemon/worker_cluster_fixture.h"

namespace nearcached {
namespace {

TEST_CASE_FIXTURE(Clustered, "what comes before the first map waits for it") {
  StartAsking();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SET foo 1\r\nDBSIZE").empty());
  CHECK(server.Asked() == Strings{"CLUSTER SLOTS"});
  GiveMap();
  CHECK(server.PlaceOf("SET foo 1") == "b:1");
  server.Answer("DBSIZE", ":2\r\n");
  server.Answer("SET foo 1", "+OK\r\n");
  server.Answer("DBSIZE", ":3\r\n");
  Turn();
  CHECK(client.TakeWritten() == "+OK\r\n:5\r\n");
}

TEST_CASE_FIXTURE(Clustered, "without a map requests fail with the reason") {
  StartAsking();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SET foo 1").empty());
  server.Answer("CLUSTER SLOTS", "-ERR This instance has cluster support disabled\r\n");
  Turn();
  Wait(1ms);
  CHECK(client.TakeWritten().find("cluster support disabled") != std::string::npos);
  CHECK(Ask(client, "SET foo 1").find("cluster support disabled") != std::string::npos);
}

TEST_CASE_FIXTURE(Clustered, "replies of several nodes come in the order of the requests") {
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SET foo 1\r\nSET bar 2").empty());
  CHECK(server.PlaceOf("SET foo 1") == "b:1");
  CHECK(server.PlaceOf("SET bar 2") == "a:1");
  CHECK(Answer(client, "SET bar 2", ":2\r\n").empty());
  CHECK(Answer(client, "SET foo 1", ":1\r\n") == ":1\r\n:2\r\n");
}

TEST_CASE_FIXTURE(Clustered, "MOVED: sent again to the right node, held until it is done") {
  StartMapped();
  FakeConnection& client = Connect();
  FakeConnection& reader = Connect();
  CHECK(Ask(client, "SET foo 1").empty());
  CHECK(Answer(client, "SET foo 1", "-MOVED 12182 a:1\r\n").empty());
  CHECK(server.PlaceOf("SET foo 1") == "a:1");
  CHECK(worker->coherence().stats().holds.value() == 1);
  CHECK(Answer(client, "SET foo 1", "+OK\r\n") == "+OK\r\n");
  CHECK(worker->coherence().stats().holds.value() == 0);
  CHECK(cluster().moved.value() == 1);
  CHECK(Ask(reader, "GET foo").empty());
  CHECK(server.PlaceOf("GET foo") == "a:1");  // at once, before any new map
  AnswerFill("foo", Bulk("1"));
  CHECK(Cached("foo"));
}

TEST_CASE_FIXTURE(Clustered, "a slot that moves lets nobody overtake what is on its way") {
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "APPEND foo 1\r\nAPPEND foo 2").empty());
  server.Answer("APPEND foo 1", "-MOVED 12182 a:1\r\n");
  CHECK(Ask(client, "APPEND foo 3").empty());
  CHECK(server.PlaceOf("APPEND foo 1") == "a:1");
  CHECK(server.Times("APPEND foo 3") == 0);  // it knows the way, and must wait
  CHECK(cluster().requests_held.value() == 1);
  server.Answer("APPEND foo 2", "-MOVED 12182 a:1\r\n");
  Turn();
  server.Answer("APPEND foo 1", ":1\r\n");
  server.Answer("APPEND foo 2", ":2\r\n");
  Turn();
  CHECK(client.TakeWritten() == ":1\r\n:2\r\n");
  CHECK(server.PlaceOf("APPEND foo 3") == "a:1");
  CHECK(Answer(client, "APPEND foo 3", ":3\r\n") == ":3\r\n");
  CHECK(cluster().requests_held.value() == 0);
}

TEST_CASE_FIXTURE(Clustered, "ASK: asked with ASKING on the other node, never cached") {
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "GET foo").empty());
  server.Answer("GET foo", "-ASK 12182 a:1\r\n");
  server.Answer("PTTL foo", "-ASK 12182 a:1\r\n");
  Turn();
  CHECK(server.PlaceOf("ASKING") == "a:1");
  server.Answer("ASKING", "+OK\r\n");
  CHECK(Answer(client, "GET foo", Bulk("v")) == Bulk("v"));
  CHECK(Ask(client, "GET foo").empty());
  CHECK(server.PlaceOf("GET foo") == "b:1");  // it is still the owner
  AnswerFill("foo", Bulk("w"));
  CHECK(client.TakeWritten() == Bulk("w"));
}

TEST_CASE_FIXTURE(Clustered,
                  "reads of one key that are redirected stay on one link, GET and others") {
  config.l1.commands = {"all"};
  StartMapped();
  FakeConnection& client = Connect();
  std::string nil = "$-1\r\n";  // they are asked in RESP3, and told as the client speaks
  SUBCASE("in RESP2") {}
  SUBCASE("in RESP3") {
    CHECK(Ask(client, "HELLO 3").starts_with("%"));
    nil = "_\r\n";
  }
  CHECK(Ask(client, "GET foo\r\nSTRLEN foo").empty());
  server.Answer("GET foo", "-MOVED 12182 a:1\r\n");
  server.Answer("PTTL foo", "-MOVED 12182 a:1\r\n");
  server.Answer("STRLEN foo", "-MOVED 12182 a:1\r\n");
  server.Answer("PTTL foo", "-MOVED 12182 a:1\r\n");
  Turn();
  FakeConnection& link = server.ConnectionOf("GET foo");
  CHECK(&server.ConnectionOf("STRLEN foo") == &link);
  CHECK(Answer(client, "GET foo", "_\r\n") == nil);
  CHECK(Answer(client, "STRLEN foo", ":0\r\n") == ":0\r\n");
}

TEST_CASE_FIXTURE(Clustered, "a request that is sent from one node to the other ends") {
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SET foo 1").empty());
  for (int i = 0; i < 5; ++i) {
    const std::string to = i % 2 == 0 ? "a:1" : "b:1";
    CHECK(Answer(client, "SET foo 1", "-MOVED 12182 " + to + "\r\n").empty());
    CHECK(server.PlaceOf("SET foo 1") == to);
  }
  CHECK(Answer(client, "SET foo 1", "-MOVED 12182 b:1\r\n").find("from one to the other") !=
        std::string::npos);
  CHECK(cluster().gave_up.value() == 1);
}

TEST_CASE_FIXTURE(Clustered, "TRYAGAIN is tried again after a while") {
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "MSETNX {foo}a 1 {foo}b 2").empty());
  CHECK(Answer(client, "MSETNX {foo}a 1 {foo}b 2", "-TRYAGAIN half of them\r\n").empty());
  CHECK(server.Times("MSETNX {foo}a 1 {foo}b 2") == 1);
  Wait(100ms);
  CHECK(server.Times("MSETNX {foo}a 1 {foo}b 2") == 2);
  CHECK(Answer(client, "MSETNX {foo}a 1 {foo}b 2", ":1\r\n") == ":1\r\n");
}

TEST_CASE_FIXTURE(Clustered,
                  "keys that are half moved are asked for on both sides until all are there") {
  StartMapped();
  FakeConnection& client = Connect();
  const std::string request = "MSETNX {foo}a 1 {foo}b 2";
  CHECK(Ask(client, request).empty());
  for (int i = 0; i < 20; ++i) {  // more often than a request may be redirected
    CHECK(server.PlaceOf(request) == "b:1");
    CHECK(Answer(client, request, "-ASK 12182 a:1\r\n").empty());
    CHECK(server.PlaceOf(request) == "a:1");
    server.Answer("ASKING", "+OK\r\n");
    CHECK(Answer(client, request, "-TRYAGAIN half of them\r\n").empty());
    Wait(25ms);
  }
  CHECK(Answer(client, request, ":1\r\n") == ":1\r\n");
}

TEST_CASE_FIXTURE(Clustered, "a request whose node is lost is not sent again") {
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "INCR foo").empty());
  server.ConnectionOf("INCR foo").End(Code::kEof);
  Turn();
  CHECK(client.TakeWritten().find("may or may not have run") != std::string::npos);
  CHECK(server.Times("INCR foo") == 1);
}

TEST_CASE_FIXTURE(Clustered, "a slot that moves loses what is cached of it, and no other does") {
  StartMapped();
  FakeConnection& client = Connect();
  Cache(client, "foo", "1");
  Cache(client, "bar", "2");
  Cache(client, "{bar}2", "3");
  CHECK(Ask(client, "SET {foo}2 x").empty());
  (void)Answer(client, "SET {foo}2 x", "-MOVED 12182 a:1\r\n");
  (void)Answer(client, "SET {foo}2 x", "+OK\r\n");
  CHECK(Cached("bar"));
  CHECK(Cached("{bar}2"));
  CHECK_FALSE(Cached("foo"));
  CHECK(cluster().slots_moved.value() == 1);
}

TEST_CASE_FIXTURE(Clustered, "a new map moves slots as a MOVED does") {
  config.upstream.cluster_refresh_interval = 1s;
  StartMapped();
  FakeConnection& client = Connect();
  Cache(client, "foo", "1");
  Cache(client, "bar", "2");
  Wait(1100ms);
  GiveMap(13'000);
  CHECK(Cached("bar"));
  CHECK(Ask(client, "GET foo").empty());
  CHECK(server.PlaceOf("GET foo") == "a:1");
  AnswerFill("foo", Bulk("1"));
}

TEST_CASE_FIXTURE(Clustered, "a fill that is under way when its slot moves fills nothing") {
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "GET foo").empty());
  FakeConnection& writer = Connect();
  CHECK(Ask(writer, "SET {foo}2 x").empty());
  (void)Answer(writer, "SET {foo}2 x", "-MOVED 12182 a:1\r\n");
  (void)Answer(writer, "SET {foo}2 x", "+OK\r\n");
  AnswerFill("foo", Bulk("old"));
  CHECK(client.TakeWritten() == Bulk("old"));
  CHECK_FALSE(Cached("foo"));
}

TEST_CASE_FIXTURE(Clustered, "several slots: parts, put together, and the first error wins") {
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "MSET foo 1 bar 2").empty());
  CHECK(server.PlaceOf("MSET foo 1") == "b:1");
  server.Answer("MSET bar 2", "+OK\r\n");
  CHECK(Answer(client, "MSET foo 1", "+OK\r\n") == "+OK\r\n");
  CHECK(worker->coherence().stats().holds.value() == 0);
  CHECK(Ask(client, "DEL foo bar").empty());
  server.Answer("DEL bar", ":1\r\n");
  CHECK(Answer(client, "DEL foo", "-NOPERM no\r\n") == "-NOPERM no\r\n");
  CHECK(Ask(client, "RENAME foo bar").starts_with("-CROSSSLOT"));
}

TEST_CASE_FIXTURE(Clustered, "MULTI is answered at once, and told to the node of the first key") {
  StartMapped();
  FakeConnection& client = Connect();
  (void)Ask(client, "MULTI");
  Wait(1ms);
  CHECK(client.TakeWritten() == "+OK\r\n");
  CHECK(server.Times("MULTI") == 0);
  CHECK(Ask(client, "SET foo 1").empty());
  CHECK(server.PlaceOf("MULTI") == "b:1");
  CHECK(server.Times("SET foo 1") == 0);  // not before the node has said OK
  server.Answer("MULTI", "+OK\r\n");
  Turn();
  CHECK(Answer(client, "SET foo 1", "+QUEUED\r\n") == "+QUEUED\r\n");
  CHECK(Ask(client, "SET bar 1").starts_with("-CROSSSLOT"));
  CHECK(Ask(client, "EXEC").empty());
  CHECK(Answer(client, "DISCARD", "+OK\r\n").starts_with("-EXECABORT"));
  CHECK(stats().pinned.value() == 0);
}

TEST_CASE_FIXTURE(Clustered, "a node that refuses MULTI lets nothing run outside of it") {
  StartMapped();
  FakeConnection& client = Connect();
  (void)Ask(client, "MULTI");
  Wait(1ms);
  CHECK(client.TakeWritten() == "+OK\r\n");
  CHECK(Ask(client, "SET foo 1").empty());
  server.Answer("MULTI", "-LOADING soon\r\n");
  Turn();
  CHECK(client.TakeWritten().find("LOADING") != std::string::npos);
  CHECK(server.Times("SET foo 1") == 0);
}

TEST_CASE_FIXTURE(Clustered, "in MULTI the node that will run a script is told, wherever it is") {
  const std::string load = "SCRIPT LOAD return";
  const std::string call = "EVALSHA 63143b6f8007b98c53ca2149822777b3566f9241 1 foo";
  StartMapped();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  (void)Ask(client, "EVAL return 1 bar");
  CHECK(Answer(client, "EVAL return 1 bar", "$-1\r\n") == "$-1\r\n");
  (void)Ask(client, "MULTI");
  Wait(1ms);
  (void)client.TakeWritten();
  CHECK(Ask(client, call).empty());
  CHECK(server.PlaceOf(load) == "b:1");
  CHECK(server.Times(load) == 1);  // nobody else will run it
  CHECK(Ask(other, "SET foo 1").empty());
  server.Answer(load, Bulk("sha"));
  server.Answer("SET foo 1", "-MOVED 12182 a:1\r\n");
  Turn();
  CHECK(server.Times("MULTI") == 0);
  CHECK(server.PlaceOf(load) == "a:1");  // it is the new owner that must know
  server.Answer("SET foo 1", "+OK\r\n");
  server.Answer(load, Bulk("sha"));
  Turn();
  CHECK(server.PlaceOf("MULTI") == "a:1");
  server.Answer("MULTI", "+OK\r\n");
  Turn();
  CHECK(Answer(client, call, "+QUEUED\r\n") == "+QUEUED\r\n");
  CHECK(server.Times(load) == 2);
}

TEST_CASE_FIXTURE(Clustered, "the node that said NOSCRIPT is asked whether it meant it, alone") {
  const std::string load = "SCRIPT LOAD return";
  const std::string sha = "63143b6f8007b98c53ca2149822777b3566f9241";
  const std::string call = "EVALSHA " + sha + " 1 foo";
  const std::string exists = "SCRIPT EXISTS " + sha;
  const std::string no_script = "-NOSCRIPT said the script, after it had written\r\n";
  StartMapped();
  FakeConnection& client = Connect();
  (void)Ask(client, "EVAL return 1 bar");
  (void)Answer(client, "EVAL return 1 bar", "$-1\r\n");
  CHECK(Ask(client, call).empty());
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, call, no_script).empty());
  CHECK(server.PlaceOf(exists) == "b:1");
  CHECK(server.Times(exists) == 1);  // a, which was never told, would have it run once more
  CHECK(Answer(client, exists, "*1\r\n:1\r\n") == no_script);
  CHECK(server.Times(call) == 1);
}

TEST_CASE_FIXTURE(Clustered, "a blocking command follows its key") {
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "BLPOP foo 5").empty());
  CHECK(server.PlaceOf("BLPOP foo 5") == "b:1");
  CHECK(Answer(client, "BLPOP foo 5", "-MOVED 12182 a:1\r\n").empty());
  CHECK(server.PlaceOf("BLPOP foo 5") == "a:1");
  CHECK(Answer(client, "BLPOP foo 5", "*-1\r\n") == "*-1\r\n");
  CHECK(stats().pinned.value() == 0);
}

TEST_CASE_FIXTURE(Clustered, "one that ASK has sent elsewhere is not waited for for ever") {
  config.upstream.command_timeout = 2s;
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "BLPOP foo 1").empty());
  CHECK(Answer(client, "BLPOP foo 1", "-ASK 12182 a:1\r\n").empty());
  server.Answer("ASKING", "+OK\r\n");
  Turn();
  CHECK(server.PlaceOf("BLPOP foo 1") == "a:1");
  Wait(3200ms);
  CHECK(client.TakeWritten().starts_with("-"));
}

TEST_CASE_FIXTURE(Clustered, "there is one database") {
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SELECT 1") == "-ERR SELECT is not allowed in cluster mode\r\n");
  CHECK(Ask(client, "SELECT 0") == "+OK\r\n");
}

AdminField FieldOf(const AdminRow& row, std::string_view name) {
  for (const auto& [key, value] : row) {
    if (key == name) {
      return value;
    }
  }
  return std::string("(no such field)");
}

TEST_CASE_FIXTURE(Clustered, "each node's pool is shown, and the gauges are of all of them") {
  config.upstream.pool.max_active = 1;
  StartMapped();
  FakeConnection& lent = Connect();
  FakeConnection& first = Connect();
  FakeConnection& second = Connect();
  CHECK(Ask(lent, "BLPOP foo 0").empty());
  CHECK(Ask(first, "BLPOP foo 0").empty());
  Wait(300ms);
  CHECK(Ask(second, "BLPOP bar 0").empty());
  const auto rows = PoolRows(*worker);
  std::vector<AdminRow> exclusive;
  std::ranges::copy_if(rows, std::back_inserter(exclusive), [](const AdminRow& row) {
    return FieldOf(row, "pool") == AdminField(std::string("exclusive"));
  });
  REQUIRE(exclusive.size() == 2);
  CHECK(FieldOf(exclusive[0], "upstream") == AdminField(std::string("a:1")));
  CHECK(FieldOf(exclusive[0], "active") == AdminField(std::int64_t{1}));
  CHECK(FieldOf(exclusive[0], "waiting") == AdminField(std::int64_t{0}));
  CHECK(FieldOf(exclusive[1], "upstream") == AdminField(std::string("b:1")));
  CHECK(FieldOf(exclusive[1], "waiting") == AdminField(std::int64_t{1}));
  CHECK(FieldOf(exclusive[1], "oldest_wait_ms") == AdminField(std::int64_t{300}));
  const UpstreamStats& stats = worker->upstream_stats();
  CHECK(stats.exclusive_limit.value() == 2);
  CHECK(stats.exclusive_active.value() == 2);
  CHECK(std::chrono::nanoseconds(stats.exclusive_oldest_wait_ns.value()) == 300ms);

  const auto upstreams = UpstreamRows(*worker);
  REQUIRE(upstreams.size() == 3);
  CHECK(FieldOf(upstreams[0], "slots") == AdminField(std::int64_t{8192}));
  CHECK(FieldOf(upstreams[1], "state") == AdminField(std::string("up")));
  CHECK(FieldOf(upstreams[2], "nodes") == AdminField(std::int64_t{2}));
  CHECK(FieldOf(upstreams[2], "slots_covered") == AdminField(std::int64_t{16384}));
}

TEST_CASE_FIXTURE(Clustered, "what a node that goes had of the gauges goes with it") {
  StartMapped();
  CHECK(worker->upstream_stats().exclusive_limit.value() ==
        2 * std::int64_t{config.upstream.pool.max_active});
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SET foo 1").empty());
  CHECK(Answer(client, "SET foo 1", "-MOVED 12182 a:1\r\n").empty());
  CHECK(Answer(client, "SET foo 1", "+OK\r\n") == "+OK\r\n");
  Wait(200ms);  // the map is asked for: all is a's now
  server.Answer("CLUSTER SLOTS", "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n" + Bulk("a") + ":1\r\n");
  Turn();
  CHECK(cluster().nodes.value() == 1);
  CHECK(worker->upstream_stats().exclusive_limit.value() ==
        std::int64_t{config.upstream.pool.max_active});
}

TEST_CASE_FIXTURE(Clustered, "a light client is not behind more of a heavy one than the limit") {
  config.upstream.link_pipeline_max = 50;
  config.upstream.links = 1;
  StartMapped();
  FakeConnection& heavy = Connect();
  std::string flood;
  for (int i = 0; i < 500; ++i) {
    flood += "SETRANGE foo 0 x\r\n";
  }
  CHECK(Ask(heavy, flood).empty());
  CHECK(server.Times("SETRANGE foo 0 x") == 50);
  FakeConnection& light = Connect();
  CHECK(Ask(light, "SETRANGE {foo}2 0 x").empty());
  CHECK(server.Times("SETRANGE {foo}2 0 x") == 1);
  for (int i = 0; i < 500; ++i) {
    server.Answer("SETRANGE foo 0 x", ":1\r\n");
    if (i == 49) {
      server.Answer("SETRANGE {foo}2 0 x", ":1\r\n");
    }
    Turn();
  }
  CHECK(heavy.TakeWritten().size() == 500 * 4);
}

}  // namespace
}  // namespace nearcached
