// A worker that reads from replicas (upstream.read_from): a primary p:1 and its replicas r:1 and
// s:1, played by the test, which answers what each of them is asked about replication.
#include <chrono>
#include <map>
#include <string>
#include <string_view>

#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class ReplicaReads : public WorkerFixture {
 public:
  // What a node says of itself.
  struct Node {
    bool primary = false;
    std::string history = "h1";
    std::int64_t offset = 100;
    bool link_up = true;
    Duration takes{};     // to answer
    bool silent = false;  // it does not
  };
  std::map<std::string, Node> nodes{{"p:1", {.primary = true}}, {"r:1", {}}};

  ReplicaReads() {
    config.upstream.nodes = {config::HostPort{"p", 1}};
    config.upstream.read_from = "replica";
    config.upstream.replica_lag_max = 5s;
    config.l1.enabled = false;
  }

  // Lets time pass in which nodes answer what they are asked of replication.
  void Pass(Duration d) {
    for (const MonoTime until = scheduler.Now() + d; scheduler.Now() < until;) {
      AnswerInfo();
      Wait(10ms);
    }
    AnswerInfo();
  }
  void AnswerInfo() {
    Turn();
    for (const std::string& place : server.PlacesOf(kInfo)) {
      const MonoTime since = asked_.try_emplace(place, scheduler.Now()).first->second;
      const auto node = nodes.find(place);
      if (node != nodes.end() && !node->second.silent &&
          scheduler.Now() - since >= node->second.takes) {
        asked_.erase(place);
        server.AnswerAt(place, kInfo, Bulk(InfoOf(node->second)));
      }
    }
    Turn();
  }
  // Starts, and lets a read open the lanes of the replicas and the next look find them fit.
  FakeConnection& StartReading() {
    Start();
    Pass(100ms);
    FakeConnection& client = Connect();
    CHECK(Ask(client, "GET first").empty());
    server.Answer("GET first", Bulk("1"));
    Turn();
    CHECK(client.TakeWritten() == Bulk("1"));
    Pass(1s);
    return client;
  }
  // Where `request` goes. It is answered.
  std::string PlaceFor(FakeConnection& client, const std::string& request,
                       const std::string& reply = "+OK\r\n") {
    const std::string told = Ask(client, request);
    if (!told.empty()) {
      return told;
    }
    const std::string place = server.PlaceOf(request);
    CHECK(Answer(client, request, reply) == reply);
    return place;
  }
  void LoseNode(const std::string& host) {
    server.away = host;
    for (std::size_t i = 0; i < dialer.dials(); ++i) {
      if (dialer.endpoint(i).host == host && !dialer.connection(i).closed()) {
        dialer.connection(i).End(Code::kEof);
      }
    }
    Turn();
  }
  [[nodiscard]] const ReplicaStats& replicas() const { return worker->replica_stats(); }

 private:
  static constexpr const char* kInfo = "INFO replication";

  [[nodiscard]] std::string InfoOf(const Node& node) const {
    std::string text = node.primary ? "role:master\r\n" : "role:slave\r\n";
    const std::string offset = std::to_string(node.offset);
    if (node.primary) {
      int number = 0;
      for (const auto& [name, other] : nodes) {
        if (!other.primary) {
          text += "slave" + std::to_string(number++) + ":ip=" + name.substr(0, 1) +
                  ",port=1,state=online,offset=" + std::to_string(other.offset) + ",lag=0\r\n";
        }
      }
      text += "master_repl_offset:" + offset + "\r\n";
    } else {
      text += std::string("master_link_status:") + (node.link_up ? "up" : "down") +
              "\r\nslave_repl_offset:" + offset + "\r\nmaster_repl_offset:" + offset + "\r\n";
    }
    return text + "master_replid:" + node.history + "\r\n";
  }

  std::map<std::string, MonoTime> asked_;  // when a node was, of those that take time
};

// ---- who is read from ---------------------------------------------------------------------------

TEST_CASE_FIXTURE(ReplicaReads, "reads go to a replica that the primary names, writes do not") {
  FakeConnection& client = StartReading();
  CHECK(replicas().known.value() == 1);
  CHECK(replicas().readable.value() == 1);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "r:1");
  CHECK(PlaceFor(client, "SET k 1") == "p:1");
  CHECK(PlaceFor(client, "PING x", "$1\r\nx\r\n").find('x') != std::string::npos);
  CHECK(replicas().reads.value() == 1);
}

TEST_CASE_FIXTURE(ReplicaReads, "a lane is used once the replica was found fit after it stood") {
  Start();
  Pass(100ms);
  CHECK(replicas().readable.value() == 1);
  FakeConnection& client = Connect();
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "p:1");  // opens the lane
  nodes["r:1"].takes = 400ms;
  Pass(300ms);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "p:1");
  Pass(2s);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "r:1");
}

TEST_CASE_FIXTURE(ReplicaReads, "what was written is read from the primary until it is there") {
  FakeConnection& client = StartReading();
  FakeConnection& other = Connect();
  CHECK(PlaceFor(client, "SET k 1") == "p:1");
  nodes["p:1"].offset = 200;
  for (int i = 0; i < 3; ++i) {
    CHECK(PlaceFor(client, "GET k", Bulk("1")) == "p:1");
    CHECK(PlaceFor(other, "GET k", Bulk("1")) == "p:1");  // who wrote it does not matter
    CHECK(PlaceFor(other, "GET l", Bulk("1")) == "r:1");
    Pass(1s);
  }
  CHECK(replicas().recent_write.value() >= 6);
  nodes["r:1"].offset = 200;
  Pass(2s);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "r:1");
  CHECK(PlaceFor(other, "GET k", Bulk("1")) == "r:1");
}

TEST_CASE_FIXTURE(ReplicaReads, "whose data may be too old is not read from") {
  FakeConnection& client = StartReading();
  nodes["p:1"].offset = 200;
  Pass(4s);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "r:1");
  Pass(3s);
  CHECK(PlaceFor(client, "GET k").find("replica_lag_max") != std::string::npos);
  CHECK(replicas().readable.value() == 0);
  CHECK(replicas().missing.value() == 1);
  nodes["r:1"].offset = 200;
  Pass(1s);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "r:1");
  CHECK(replicas().missing.value() == 0);
}

TEST_CASE_FIXTURE(ReplicaReads, "what is no copy of the primary's data in step is not read from") {
  FakeConnection& client = StartReading();
  Node& replica = nodes["r:1"];
  std::string why;
  SUBCASE("data of something else") {
    replica.history = "h2";
    why = "not known to be a copy";
  }
  SUBCASE("cut off from its primary") {
    replica.link_up = false;
    why = "link to its primary is down";
  }
  SUBCASE("a primary itself") {
    replica.primary = true;
    why = "r:1";
  }
  Pass(1s);
  const std::string told = PlaceFor(client, "GET k");
  CHECK(told.starts_with("-ERR nearcached: upstream.read_from is replica"));
  if (!replica.primary) {  // else nobody names it any more
    CHECK(told.find(why) != std::string::npos);
  }
  CHECK(PlaceFor(client, "SET k 1") == "p:1");
  CHECK(replicas().refused.value() == 1);
  CHECK(replicas().left.value() == 1);
  replica = Node();
  Pass(1500ms);
  CHECK(Ask(client, "GET k").empty());
  CHECK(server.Asked().size() == 1);
}

TEST_CASE_FIXTURE(ReplicaReads, "where replicas are only preferred, the primary answers instead") {
  config.upstream.read_from = "prefer_replica";
  FakeConnection& client = StartReading();
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "r:1");
  nodes["r:1"].link_up = false;
  Pass(1s);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "p:1");
  CHECK(replicas().none.value() == 2);
}

TEST_CASE_FIXTURE(ReplicaReads, "clients are shared out, and each stays with its replica") {
  nodes["s:1"] = Node();
  (void)StartReading();
  FakeConnection& one = Connect();
  FakeConnection& two = Connect();
  (void)PlaceFor(one, "GET k", Bulk("1"));
  (void)PlaceFor(two, "GET k", Bulk("1"));
  Pass(1s);
  const std::string first = PlaceFor(one, "GET k", Bulk("1"));
  const std::string second = PlaceFor(two, "GET k", Bulk("1"));
  CHECK(first != second);
  for (int i = 0; i < 3; ++i) {
    CHECK(PlaceFor(one, "GET k", Bulk("1")) == first);
    CHECK(PlaceFor(two, "GET k", Bulk("1")) == second);
  }
  nodes["r:1"].link_up = false;
  Pass(1s);
  CHECK(PlaceFor(one, "GET k", Bulk("1")) == "s:1");
  CHECK(PlaceFor(two, "GET k", Bulk("1")) == "s:1");
}

TEST_CASE_FIXTURE(ReplicaReads, "the nearest is whose answers about replication come soonest") {
  config.upstream.read_from = "nearest";
  nodes["s:1"] = Node();
  nodes["p:1"].takes = 100ms;
  nodes["r:1"].takes = 60ms;
  nodes["s:1"].takes = 20ms;
  FakeConnection& client = StartReading();
  Pass(2s);
  (void)PlaceFor(client, "GET k", Bulk("1"));
  Pass(2s);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "s:1");
  nodes["p:1"].takes = 0ms;
  nodes["s:1"].takes = 200ms;
  Pass(30s);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "p:1");
  CHECK(replicas().nearer.value() > 0);
}

// ---- what becomes of a replica ------------------------------------------------------------------

TEST_CASE_FIXTURE(ReplicaReads,
                  "a replica that goes is left at once, and its reads are asked again") {
  config.upstream.read_from = "prefer_replica";
  FakeConnection& client = StartReading();
  CHECK(Ask(client, "GET k").empty());
  CHECK(server.PlaceOf("GET k") == "r:1");
  LoseNode("r");
  CHECK(server.PlaceOf("GET k") == "p:1");
  CHECK(Answer(client, "GET k", Bulk("1")) == Bulk("1"));
  CHECK(replicas().again.value() == 1);
  CHECK(replicas().left.value() == 1);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "p:1");
  server.away.clear();
  Pass(5s);
  (void)PlaceFor(client, "GET k", Bulk("1"));
  Pass(2s);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "r:1");
}

TEST_CASE_FIXTURE(ReplicaReads, "a replica that says it is loading is left until it is fit again") {
  config.upstream.read_from = "prefer_replica";
  FakeConnection& client = StartReading();
  CHECK(Ask(client, "GET k").empty());
  CHECK(Answer(client, "GET k", "-LOADING Redis is loading the dataset in memory\r\n").empty());
  CHECK(server.PlaceOf("GET k") == "p:1");
  CHECK(Answer(client, "GET k", Bulk("1")) == Bulk("1"));
  CHECK(PlaceFor(client, "GET l", Bulk("1")) == "p:1");
  Pass(2s);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "r:1");
}

TEST_CASE_FIXTURE(ReplicaReads, "a replica that nobody names any more is closed and forgotten") {
  config.upstream.read_from = "prefer_replica";
  FakeConnection& client = StartReading();
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "r:1");
  nodes.erase("r:1");
  nodes["s:1"] = Node();
  Pass(3s);
  CHECK(replicas().known.value() == 1);
  (void)PlaceFor(client, "GET k", Bulk("1"));
  Pass(1s);
  CHECK(PlaceFor(client, "GET k", Bulk("1")) == "s:1");
  for (std::size_t i = 0; i < dialer.dials(); ++i) {
    CHECK((dialer.endpoint(i).host != "r" || dialer.connection(i).closed()));
  }
}

TEST_CASE_FIXTURE(ReplicaReads, "of a configured list the others are its replicas") {
  config.upstream.topology = config::TopologyKind::kReplicated;
  config.upstream.nodes = {config::HostPort{"p", 1}, config::HostPort{"r", 1}};
  server.away = "s";
  Start();
  for (int i = 0; i < 200 && replicas().readable.value() == 0; ++i) {
    for (const char* host : {"p:1", "r:1"}) {
      const Strings asked = server.Asked();
      if (std::ranges::count(asked, "ROLE") != 0 && server.PlaceOf("ROLE") == host) {
        server.Answer("ROLE",
                      nodes[host].primary
                          ? "*3\r\n$6\r\nmaster\r\n:100\r\n*0\r\n"
                          : "*5\r\n$5\r\nslave\r\n$1\r\np\r\n:1\r\n$9\r\nconnected\r\n:100\r\n");
      }
    }
    Pass(10ms);
  }
  CHECK(replicas().known.value() == 2);
  CHECK(replicas().readable.value() == 1);
}

TEST_CASE_FIXTURE(ReplicaReads,
                  "at shutdown what a replica has not answered is told to nobody else") {
  FakeConnection& client = StartReading();
  CHECK(Ask(client, "GET k").empty());
  CHECK(server.PlaceOf("GET k") == "r:1");
  worker->Stop();
  CHECK(replicas().known.value() == 0);
  CHECK(replicas().readable.value() == 0);
  CHECK(server.Times("GET k") == 1);
}

}  // namespace
}  // namespace nearcached
