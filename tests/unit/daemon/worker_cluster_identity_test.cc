// Clients that log in to a cluster of two nodes, a:1 and b:1, themselves.
#include <chrono>
#include <string>
#include <string_view>

#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

// "bar" is in slot 5061, which is a's, "foo" in 12182, which is b's.
std::string Map() {
  const auto node = [](std::string_view host) { return "*2\r\n" + Bulk(host) + ":1\r\n"; };
  return "*2\r\n*3\r\n:0\r\n:8191\r\n" + node("a") + "*3\r\n:8192\r\n:16383\r\n" + node("b");
}

class ClusterIdentity : public WorkerFixture {
 public:
  ClusterIdentity() {
    config.upstream.topology = config::TopologyKind::kCluster;
    config.upstream.nodes = {config::HostPort{"a", 1}};
    config.upstream.cluster_refresh_interval = 1h;
    config.upstream.identity = "client";
    config.upstream.pool.idle_timeout = config::Duration(10'000);
    server.auth = "";  // the test judges logins
  }
  void StartMapped() {
    Start();
    Wait(1ms);  // the first question is asked from a timer
    server.Answer("CLUSTER SLOTS", Map());
    Turn();
  }
  // The server takes the login of every link that waits for it.
  void Admit() {
    for (bool admitted = true; admitted;) {
      admitted = false;
      for (const std::string& asked : server.Asked()) {
        if (asked == kAuth) {
          server.Answer(kAuth, "+OK\r\n");
          Turn();
          admitted = true;
          break;
        }
      }
    }
  }
  // A client logs in: on the link that tries it, then the links of the user do by themselves.
  void LogIn(FakeConnection& client) {
    CHECK(Ask(client, kAuth).empty());
    server.Answer(kAuth, "+OK\r\n");
    Turn();
    CHECK(client.TakeWritten() == "+OK\r\n");
    Wait(1ms);
    Admit();
    server.Answer("CLUSTER SLOTS", Map());  // asked as that user
    Turn();
  }
  [[nodiscard]] const IdentityStats& identities() const { return worker->identity_stats(); }

  static constexpr const char* kAuth = "AUTH alice secret";
};

TEST_CASE_FIXTURE(ClusterIdentity,
                  "a user's commands go to the owners of their slots, as the user") {
  StartMapped();
  FakeConnection& alice = Connect();
  LogIn(alice);
  CHECK(Ask(alice, "SET foo 1\r\nSET bar 2").empty());
  Admit();
  CHECK(server.PlaceOf("SET foo 1") == "b:1");
  CHECK(server.PlaceOf("SET bar 2") == "a:1");
  server.Answer("SET bar 2", "-NOPERM no\r\n");
  server.Answer("SET foo 1", "+OK\r\n");
  Turn();
  CHECK(alice.TakeWritten() == "+OK\r\n-NOPERM no\r\n");
  CHECK(identities().identities.value() == 1);
}

TEST_CASE_FIXTURE(ClusterIdentity,
                  "what a user's links are told of a slot drops nothing of others") {
  StartMapped();
  FakeConnection& nobody = Connect();
  Cache(nobody, "foo", "v");
  FakeConnection& alice = Connect();
  LogIn(alice);
  CHECK(Ask(alice, "LLEN {foo}l").empty());
  Admit();
  server.Answer("LLEN {foo}l", "-MOVED 12182 a:1\r\n");
  Turn();
  Admit();
  CHECK(server.PlaceOf("LLEN {foo}l") == "a:1");
  server.Answer("LLEN {foo}l", ":0\r\n");
  Turn();
  CHECK(alice.TakeWritten() == ":0\r\n");
  CHECK(Ask(nobody, "GET foo") == Bulk("v"));
  CHECK(worker->cluster_stats().slots_covered.value() == 16384);
}

TEST_CASE_FIXTURE(ClusterIdentity, "what a user writes is not read from L1 by anybody") {
  StartMapped();
  FakeConnection& nobody = Connect();
  Cache(nobody, "foo", "v");
  FakeConnection& alice = Connect();
  LogIn(alice);
  CHECK(Ask(alice, "SET foo new").empty());
  Admit();
  server.Answer("SET foo new", "+OK\r\n");
  Turn();
  CHECK(alice.TakeWritten() == "+OK\r\n");
  CHECK_FALSE(Cached("foo"));
}

TEST_CASE_FIXTURE(ClusterIdentity, "a user whom a node does not take any more is closed") {
  StartMapped();
  FakeConnection& alice = Connect();
  LogIn(alice);
  CHECK(Ask(alice, "LLEN foo").empty());
  server.Answer(kAuth, "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
  Turn();
  Turn();
  CHECK(identities().revoked.value() == 1);
  CHECK(alice.closed());
}

TEST_CASE_FIXTURE(ClusterIdentity,
                  "where nobody is told the map who has not logged in, logins go on") {
  Start();
  Wait(1ms);
  CHECK_FALSE(worker->upstream_up());
  FakeConnection& client = Connect();
  CHECK(Ask(client, "GET foo").empty());
  server.Answer("CLUSTER SLOTS", "-NOAUTH Authentication required.\r\n");
  Turn();
  Wait(1ms);
  CHECK(client.TakeWritten() == "-NOAUTH Authentication required.\r\n");
  CHECK(Ask(client, "SET foo 1") == "-NOAUTH Authentication required.\r\n");
  CHECK(worker->upstream_up());  // it can do all that can be asked of it
  LogIn(client);
  CHECK(Ask(client, "SET foo 1").empty());
  Admit();
  CHECK(server.PlaceOf("SET foo 1") == "b:1");
  CHECK(Answer(client, "SET foo 1", "+OK\r\n") == "+OK\r\n");
}

}  // namespace
}  // namespace nearcached
