// A worker whose cluster has a node that is away, or that refuses everything.
#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include "proto/wire_errors.h"
#include "tests/unit/daemon/worker_cluster_fixture.h"

namespace nearcached {
namespace {

// One of the nodes goes away, and does not come back by itself.
class LosingNode : public Clustered {
 public:
  void Lose(const std::string& host) {
    server.away = host;
    for (std::size_t i = 0; i < dialer.dials(); ++i) {
      if (dialer.endpoint(i).host == host && !dialer.connection(i).closed()) {
        dialer.connection(i).End(Code::kEof);
      }
    }
    Turn();
  }
};

// ---- values served while a node is away ---------------------------------------------------------

class StaleOfNode : public LosingNode {
 public:
  StaleOfNode() {
    config.l1.ttl = 1min;
    config.l1.ttl_jitter = 0;
    config.l1.stale_if_error = 10s;
  }
  std::uint64_t served() { return worker->session_stats().stale_served.value(); }
};

TEST_CASE_FIXTURE(StaleOfNode, "what a node's slots had in memory is served while it is away") {
  StartMapped();
  FakeConnection& client = Connect();
  Cache(client, "foo", "1");
  Cache(client, "bar", "2");
  Lose("b");
  CHECK(Ask(client, "GET foo") == Bulk("1"));
  CHECK(served() == 1);
  CHECK(Ask(client, "GET bar") == Bulk("2"));
  CHECK(Ask(client, "MGET bar foo") == "*2\r\n" + Bulk("2") + Bulk("1"));
  CHECK(served() == 2);  // the other node is there: its values are hits like any other
  SUBCASE("not what somebody has tried to write since") {
    FakeConnection& writer = Connect();
    CHECK(Ask(writer, "SET foo 3").find("is unavailable") != std::string::npos);
  }
  SUBCASE("not for longer than stale_if_error") {
    Wait(10s);
  }
  SUBCASE("not once its slots are another's") {
    for (int i = 0; i < 100 && server.Times("CLUSTER SLOTS") < 2; ++i) {
      Wait(10ms);
    }
    CHECK(Ask(client, "GET foo") == Bulk("1"));
    GiveMap(16383);
    CHECK(Ask(client, "GET foo").empty());
    CHECK(server.PlaceOf("GET foo") == "a:1");
    return;
  }
  CHECK(Ask(client, "GET foo").find("is unavailable") != std::string::npos);
  CHECK(served() == 2);
}

TEST_CASE_FIXTURE(StaleOfNode,
                  "a node that is there again has nothing set aside for its next end") {
  StartMapped();
  FakeConnection& client = Connect();
  Cache(client, "foo", "1");
  Lose("b");
  CHECK(Ask(client, "GET foo") == Bulk("1"));
  server.away.clear();
  Wait(1s);  // its links stand again, and nobody has asked for the key since
  Lose("b");
  CHECK(Ask(client, "GET foo").find("is unavailable") != std::string::npos);
  CHECK(served() == 1);
}

TEST_CASE_FIXTURE(StaleOfNode, "a node whose fill link alone is lost is asked") {
  StartMapped();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SET foo 1").empty());
  CHECK(Answer(client, "SET foo 1", "+OK\r\n") == "+OK\r\n");
  CHECK(Ask(client, "GET foo").empty());
  FakeConnection& fill = server.ConnectionOf("GET foo");
  AnswerFill("foo", Bulk("1"));
  CHECK(client.TakeWritten() == Bulk("1"));
  server.away = "b";
  fill.End(Code::kEof);
  Turn();
  CHECK(Ask(client, "GET foo").empty());  // past L1, on the lane
  CHECK(served() == 0);
  CHECK(Answer(client, "GET foo", Bulk("2")) == Bulk("2"));
  Lose("b");
  CHECK(Ask(client, "GET foo").find("is unavailable") != std::string::npos);  // it has seen 2
}

// ---- requests that wait for a node --------------------------------------------------------------

class HeldByNode : public LosingNode {
 public:
  HeldByNode() { config.upstream.max_hold = std::chrono::seconds(3); }
  // Lanes to both nodes stand, and have for a while.
  FakeConnection& ConnectUsed() {
    FakeConnection& client = Connect();
    CHECK(Ask(client, "SET foo 1\r\nSET bar 1").empty());
    server.Answer("SET foo 1", "+OK\r\n");
    server.Answer("SET bar 1", "+OK\r\n");
    Turn();
    CHECK(client.TakeWritten() == "+OK\r\n+OK\r\n");
    Wait(2s);
    return client;
  }
};

TEST_CASE_FIXTURE(HeldByNode,
                  "while a node is away its requests wait, in order, and others do not") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  FakeConnection& other = Connect();
  Lose("b");
  CHECK(Ask(client, "SET foo 2\r\nSET foo 3").empty());
  CHECK(cluster().requests_held.value() == 2);
  CHECK(Ask(other, "SET bar 2").empty());
  CHECK(Answer(other, "SET bar 2", "+OK\r\n") == "+OK\r\n");
  server.away.clear();
  Wait(500ms);
  CHECK(server.PlaceOf("SET foo 2") == "b:1");
  CHECK(Ask(client, "SET foo 4").empty());
  for (const char* request : {"SET foo 2", "SET foo 3", "SET foo 4"}) {
    CHECK(Answer(client, request, "+OK\r\n") == "+OK\r\n");
  }
  CHECK(cluster().requests_held.value() == 0);
}

TEST_CASE_FIXTURE(HeldByNode, "who waits for a node goes to the one that has taken its slots") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  Lose("b");
  CHECK(Ask(client, "SET foo 2\r\nGET foo").empty());
  for (int i = 0; i < 100 && server.Times("CLUSTER SLOTS") < 2; ++i) {
    Wait(10ms);
  }
  CHECK(cluster().requests_held.value() == 2);
  GiveMap(16383);
  CHECK(server.PlaceOf("SET foo 2") == "a:1");
  CHECK(Answer(client, "SET foo 2", "+OK\r\n") == "+OK\r\n");
  Wait(1ms);
  CHECK(server.PlaceOf("GET foo") == "a:1");
}

TEST_CASE_FIXTURE(HeldByNode,
                  "a read that was with a node when it went is asked where its slot went") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  FakeConnection& other = Connect();
  CHECK(Ask(client, "STRLEN foo\r\nGET foo").empty());
  Lose("b");
  CHECK(client.TakeWritten().empty());
  CHECK(Ask(other, "SET foo 2").empty());
  CHECK(cluster().requests_held.value() == 3);
  for (int i = 0; i < 100 && server.Times("CLUSTER SLOTS") < 2; ++i) {
    Wait(10ms);
  }
  GiveMap(16383);
  CHECK(server.PlaceOf("STRLEN foo") == "a:1");
  CHECK(server.PlaceOf("GET foo") == "a:1");
  CHECK(server.PlaceOf("SET foo 2") == "a:1");
  CHECK(Answer(client, "STRLEN foo", ":1\r\n") == ":1\r\n");
  CHECK(Answer(client, "GET foo", Bulk("1")) == Bulk("1"));
  CHECK_FALSE(Cached("foo"));  // what it would have filled ended with its link
  CHECK(Answer(other, "SET foo 2", "+OK\r\n") == "+OK\r\n");
  CHECK(cluster().requests_held.value() == 0);
  CHECK(worker->upstream_stats().repeated.value() == 2);
}

TEST_CASE_FIXTURE(HeldByNode,
                  "a lane that was never used waits for its node as one that was lost") {
  StartMapped();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  Wait(2s);
  CHECK(Ask(client, "GET foo").empty());  // on a fill link
  Lose("b");
  CHECK(Ask(other, "SET foo 2").empty());
  Wait(10ms);
  CHECK(cluster().requests_held.value() == 2);
  for (int i = 0; i < 100 && server.Times("CLUSTER SLOTS") < 2; ++i) {
    Wait(10ms);
  }
  GiveMap(16383);
  Wait(1ms);
  CHECK(server.PlaceOf("GET foo") == "a:1");
  CHECK(server.Times("SET foo 2") == 0);  // on another lane: it might overtake the read
  CHECK(Answer(client, "GET foo", Bulk("1")) == Bulk("1"));
  CHECK(server.PlaceOf("SET foo 2") == "a:1");
}

TEST_CASE_FIXTURE(HeldByNode, "so is one that was lost before anybody knew of its node's end") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  CHECK(Ask(client, "GET foo").empty());
  FakeConnection& fill = server.ConnectionOf("GET foo");
  server.away = "b";
  fill.End(Code::kEof);  // the lane that it is asked on has not been used, and others still stand
  Turn();
  CHECK(cluster().requests_held.value() == 1);
  Lose("b");
  for (int i = 0; i < 100 && server.Times("CLUSTER SLOTS") < 2; ++i) {
    Wait(10ms);
  }
  GiveMap(16383);
  Wait(1ms);
  CHECK(server.PlaceOf("GET foo") == "a:1");
  CHECK(Answer(client, "GET foo", Bulk("1")) == Bulk("1"));
}

TEST_CASE_FIXTURE(HeldByNode, "who comes as slots move does not overtake who waits") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  Lose("b");
  CHECK(Ask(client, "SET foo 2").empty());
  for (int i = 0; i < 100 && server.Times("CLUSTER SLOTS") < 2; ++i) {
    Wait(10ms);
  }
  server.Answer("CLUSTER SLOTS", Map(16383));  // and in the same turn:
  CHECK(Ask(client, "SET foo 3").empty());
  Wait(1ms);
  const Strings asked = server.Asked();
  const auto first = std::find(asked.begin(), asked.end(), "SET foo 2");
  REQUIRE(first != asked.end());
  CHECK(std::find(first, asked.end(), "SET foo 3") != asked.end());
}

TEST_CASE_FIXTURE(HeldByNode, "a node that is away for longer than max_hold fails its requests") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  Lose("b");
  CHECK(Ask(client, "SET foo 2").empty());
  Wait(3200ms);
  CHECK(client.TakeWritten().find("is unavailable") != std::string::npos);
  CHECK(Ask(client, "SET foo 3").find("is unavailable") != std::string::npos);
  CHECK(cluster().requests_held.value() == 0);
}

TEST_CASE_FIXTURE(HeldByNode, "who waits for a node does so within the bounds of a link's queue") {
  config.upstream.link_bytes_max = 64U << 10U;
  StartMapped();
  FakeConnection& client = ConnectUsed();
  Lose("b");
  const std::string large = "SET foo " + std::string(40U << 10U, 'x');
  CHECK(Ask(client, large).empty());
  FakeConnection& other = Connect();
  CHECK(Ask(other, large).starts_with("-"));
  CHECK(Ask(other, "SET foo 1").empty());  // what there is room for still waits
  CHECK(cluster().requests_held.value() == 2);
  server.away.clear();
  Wait(500ms);
  server.Answer(large, "+OK\r\n");
  server.Answer("SET foo 1", "+OK\r\n");
  Turn();
  CHECK(client.TakeWritten() == "+OK\r\n");
  CHECK(other.TakeWritten() == "+OK\r\n");
}

TEST_CASE_FIXTURE(HeldByNode, "at shutdown nobody waits for a node any more") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  Lose("b");
  CHECK(Ask(client, "SET foo 2").empty());
  worker->Stop();
  CHECK(cluster().requests_held.value() == 0);
}

// ---- transactions and blocking commands that wait for a node ------------------------------------

TEST_CASE_FIXTURE(HeldByNode,
                  "a transaction waits for its node, and goes to whoever has its slot") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  Lose("b");
  (void)Ask(client, "MULTI");
  Wait(1ms);
  CHECK(client.TakeWritten() == "+OK\r\n");
  CHECK(Ask(client, "SET foo 2").empty());
  CHECK(cluster().requests_held.value() == 1);
  std::string place = "b:1";
  SUBCASE("it is back") {
    server.away.clear();
    Wait(500ms);
  }
  SUBCASE("its slots are another's") {
    place = "a:1";
    for (int i = 0; i < 100 && server.Times("CLUSTER SLOTS") < 2; ++i) {
      Wait(10ms);
    }
    GiveMap(16383);
    CHECK(Ask(client, "GET foo").empty());  // of the same slot, before anybody has looked
    Wait(30ms);
  }
  CHECK(cluster().requests_held.value() == 0);
  CHECK(server.PlaceOf("MULTI") == place);
  server.Answer("MULTI", "+OK\r\n");
  Turn();
  CHECK(server.PlaceOf("SET foo 2") == place);
  CHECK(Answer(client, "SET foo 2", "+QUEUED\r\n") == "+QUEUED\r\n");
}

TEST_CASE_FIXTURE(HeldByNode, "a transaction whose node stays away fails, and runs nowhere") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  Lose("b");
  (void)Ask(client, "MULTI");
  Wait(1ms);
  CHECK(client.TakeWritten() == "+OK\r\n");
  CHECK(Ask(client, "SET foo 2").empty());
  Wait(3200ms);
  CHECK(client.TakeWritten().find("is unavailable") != std::string::npos);
  CHECK(cluster().requests_held.value() == 0);
  client.Feed("EXEC\r\n");
  Wait(1s);
  CHECK(client.TakeWritten().starts_with("-"));
  CHECK(server.Times("EXEC") == 0);
  CHECK(stats().pinned.value() == 0);
}

TEST_CASE_FIXTURE(HeldByNode,
                  "a blocking command waits for its node; a client that leaves does not") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  FakeConnection& other = Connect();
  Lose("b");
  CHECK(Ask(client, "BLPOP foo 0").empty());
  CHECK(Ask(other, "BLPOP foo 0").empty());
  CHECK(cluster().requests_held.value() == 2);
  other.End(Code::kEof);
  Turn();
  CHECK(cluster().requests_held.value() == 1);
  server.away.clear();
  Wait(500ms);
  CHECK(server.Times("BLPOP foo 0") == 1);
  const std::string popped = "*2\r\n" + Bulk("foo") + Bulk("1");
  CHECK(Answer(client, "BLPOP foo 0", popped) == popped);
}

// ---- CLUSTERDOWN --------------------------------------------------------------------------------

class Refusing : public HeldByNode {
 public:
  static constexpr const char* kDown = "-CLUSTERDOWN The cluster is down\r\n";
  bool Waits(const std::string& request) {
    const Strings asked = server.Asked();
    return std::ranges::find(asked, request) != asked.end();
  }
  void SayState(const std::string& state) {
    server.Answer("CLUSTER INFO", Bulk("cluster_state:" + state + "\r\ncluster_size:2\r\n"));
    Turn();
  }
};

TEST_CASE_FIXTURE(Refusing,
                  "what a node refuses with CLUSTERDOWN waits until it serves, in order") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  FakeConnection& other = Connect();
  CHECK(Ask(client, "SET foo 2\r\nSET foo 3").empty());
  CHECK(Answer(client, "SET foo 2", kDown).empty());
  CHECK(Answer(client, "SET foo 3", kDown).empty());
  CHECK(Ask(client, "SET foo 4").empty());
  CHECK(server.Times("SET foo 4") == 0);
  CHECK(cluster().requests_held.value() == 3);
  CHECK(Ask(other, "SET bar 2").empty());  // the other node may know better
  CHECK(Answer(other, "SET bar 2", "+OK\r\n") == "+OK\r\n");
  CHECK(server.Times("CLUSTER INFO") == 0);
  Wait(100ms);
  CHECK(server.Times("CLUSTER INFO") == 1);  // one at a time
  SayState("fail");
  Wait(100ms);
  CHECK(server.Times("CLUSTER INFO") == 2);
  CHECK(server.Times("SET foo 2") == 1);
  SayState("ok");
  for (const char* request : {"SET foo 2", "SET foo 3", "SET foo 4"}) {
    CHECK(Answer(client, request, "+OK\r\n") == "+OK\r\n");
  }
  CHECK(cluster().requests_held.value() == 0);
  CHECK(worker->coherence().stats().holds.value() == 0);
}

TEST_CASE_FIXTURE(Refusing, "a read that would have filled waits too, and fills nothing") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  CHECK(Ask(client, "GET foo").empty());
  AnswerFill("foo", kDown, kDown);
  CHECK(client.TakeWritten().empty());
  CHECK(cluster().requests_held.value() == 1);
  Wait(50ms);  // its lane, which nobody has used, is opened to ask there
  CHECK(server.Times("GET foo") == 1);
  SayState("ok");
  CHECK(Answer(client, "GET foo", Bulk("1")) == Bulk("1"));
  CHECK_FALSE(Cached("foo"));
}

TEST_CASE_FIXTURE(Refusing, "what it refused goes where the slot is now") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  CHECK(Ask(client, "SET foo 2").empty());
  CHECK(Answer(client, "SET foo 2", kDown).empty());
  for (int i = 0; i < 100 && server.Times("CLUSTER SLOTS") < 2; ++i) {
    Wait(10ms);
  }
  GiveMap(16383);
  CHECK(server.PlaceOf("SET foo 2") == "a:1");
  CHECK(Answer(client, "SET foo 2", "+OK\r\n") == "+OK\r\n");
}

TEST_CASE_FIXTURE(Refusing, "a cluster that is down for longer than max_hold is down") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  FakeConnection& other = Connect();
  CHECK(Ask(client, "SET foo 2\r\nSET foo 3").empty());
  CHECK(Answer(client, "SET foo 2", kDown).empty());
  CHECK(Ask(other, "SET foo 4").empty());
  std::string told;
  for (int i = 0; i < 400 && told.empty(); ++i) {
    Wait(10ms);
    told = client.TakeWritten();
  }
  CHECK(told == kDown);
  CHECK(server.Times("SET foo 2") == 1);  // what is behind it may have been carried out
  CHECK(Answer(client, "SET foo 3", kDown) == kDown);
  SayState("fail");
  CHECK(Answer(other, "SET foo 4", kDown) == kDown);  // it has waited, and is told by the node
  CHECK(Ask(client, "SET foo 5").empty());
  CHECK(Answer(client, "SET foo 5", kDown) == kDown);  // at once
  CHECK(cluster().requests_held.value() == 0);
  SUBCASE("once it has served, the next time is a new one") {
    CHECK(Ask(client, "SET foo 6").empty());
    CHECK(Answer(client, "SET foo 6", "+OK\r\n") == "+OK\r\n");
    CHECK(Ask(client, "SET foo 7").empty());
    CHECK(Answer(client, "SET foo 7", kDown).empty());
  }
}

TEST_CASE_FIXTURE(Refusing, "what was refused is not asked behind what was served after it") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  CHECK(Ask(client, "SET foo 2\r\nSET foo 3").empty());
  CHECK(Answer(client, "SET foo 2", kDown).empty());
  CHECK(Answer(client, "SET foo 3", "+OK\r\n") == kDown + std::string("+OK\r\n"));
  Wait(100ms);
  CHECK(server.Times("CLUSTER INFO") == 0);
  CHECK(server.Times("SET foo 2") == 1);
  CHECK(cluster().requests_held.value() == 0);
}

TEST_CASE_FIXTURE(Refusing, "nor is it at the node that the slot has gone to meanwhile") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  CHECK(Ask(client, "SET foo 2\r\nSET foo 3").empty());
  CHECK(Answer(client, "SET foo 2", kDown).empty());
  for (int i = 0; i < 100 && server.Times("CLUSTER SLOTS") < 2; ++i) {
    Wait(10ms);
  }
  GiveMap(16383);
  CHECK(server.Times("SET foo 2") == 1);
  CHECK(Answer(client, "SET foo 3", "+OK\r\n") == kDown + std::string("+OK\r\n"));
  CHECK(server.Times("SET foo 2") == 1);
  CHECK(cluster().requests_held.value() == 0);
}

TEST_CASE_FIXTURE(Refusing, "nor behind what may yet be served, though something else was") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  CHECK(Ask(client, "SET foo 2\r\nSET k1 1\r\nSET foo 3").empty());
  REQUIRE(server.PlaceOf("SET k1 1") == "b:1");
  CHECK(Answer(client, "SET foo 2", kDown).empty());
  CHECK(Answer(client, "SET k1 1", "+OK\r\n").empty());
  Wait(100ms);
  CHECK(server.Times("SET foo 2") == 1);
  CHECK(server.Times("CLUSTER INFO") == 1);
  SUBCASE("it was") {
    CHECK(Answer(client, "SET foo 3", "+OK\r\n") == kDown + std::string("+OK\r\n+OK\r\n"));
    CHECK(server.Times("SET foo 2") == 1);
  }
  SUBCASE("it was not") {
    CHECK(Answer(client, "SET foo 3", kDown).empty());
    SayState("ok");
    CHECK(Answer(client, "SET foo 2", "+OK\r\n") == "+OK\r\n+OK\r\n");
    CHECK(Answer(client, "SET foo 3", "+OK\r\n") == "+OK\r\n");
  }
  CHECK(cluster().requests_held.value() == 0);
}

TEST_CASE_FIXTURE(Refusing, "a read that was refused is not asked behind a later one of its key") {
  config.coalescing.enabled = false;
  StartMapped();
  FakeConnection& client = ConnectUsed();
  FakeConnection& other = Connect();
  CHECK(Ask(client, "GET foo").empty());
  CHECK(Ask(other, "GET foo").empty());
  REQUIRE(server.Times("GET foo") == 2);
  AnswerFill("foo", kDown, kDown);
  CHECK(client.TakeWritten().empty());
  AnswerFill("foo", Bulk("1"));
  CHECK(other.TakeWritten() == Bulk("1"));
  CHECK(client.TakeWritten() == kDown);
  Wait(100ms);
  CHECK(server.Times("GET foo") == 2);
  CHECK(cluster().requests_held.value() == 0);
}

TEST_CASE_FIXTURE(Refusing, "a node that may not say whether it is down is tried, now and then") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  CHECK(Ask(client, "SET foo 2").empty());
  int tries = 0;
  std::string told;
  for (int i = 0; i < 400 && told.empty(); ++i) {
    if (Waits("SET foo 2")) {
      told += Answer(client, "SET foo 2", kDown);
      ++tries;
    }
    Wait(10ms);
    told += client.TakeWritten();
    if (Waits("CLUSTER INFO")) {
      server.Answer("CLUSTER INFO", "-NOPERM this user may not\r\n");
      Turn();
    }
  }
  CHECK(told == kDown);
  CHECK(tries > 10);
  CHECK(tries <= 3000 / 25 + 1);
}

TEST_CASE_FIXTURE(Refusing, "a slot that nobody serves is not waited for") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  CHECK(Ask(client, "SET foo 2").empty());
  const std::string unserved = "-CLUSTERDOWN Hash slot not served\r\n";
  CHECK(Answer(client, "SET foo 2", unserved) == unserved);
}

TEST_CASE_FIXTURE(Refusing, "a node that goes while it refuses is waited for as one that is away") {
  StartMapped();
  FakeConnection& client = ConnectUsed();
  CHECK(Ask(client, "SET foo 2").empty());
  CHECK(Answer(client, "SET foo 2", kDown).empty());
  Lose("b");
  CHECK(client.TakeWritten().empty());
  server.away.clear();
  Wait(500ms);
  CHECK(Answer(client, "SET foo 2", "+OK\r\n") == "+OK\r\n");
}

TEST_CASE_FIXTURE(Refusing, "without max_hold CLUSTERDOWN is an answer") {
  config.upstream.max_hold = config::Duration::zero();
  StartMapped();
  FakeConnection& client = ConnectUsed();
  CHECK(Ask(client, "SET foo 2").empty());
  CHECK(Answer(client, "SET foo 2", kDown) == kDown);
  CHECK(server.Times("CLUSTER INFO") == 0);
}

}  // namespace
}  // namespace nearcached
