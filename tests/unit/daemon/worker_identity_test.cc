// Clients that log in to the upstream themselves.
#include <chrono>
#include <string>

#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kWrongPass =
    "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

class Identity : public WorkerFixture {
 public:
  Identity() {
    config.upstream.identity = "client";
    config.upstream.identities_max = 2;
    config.upstream.pool.idle_timeout = config::Duration(10'000);
    server.auth = "";  // the test judges logins
  }
  // A client logs in: once on the link that tries it, then each link of the user by itself.
  void LogIn(FakeConnection& client, const std::string& user, const std::string& password) {
    const std::string auth = "AUTH " + user + " " + password;
    CHECK(Ask(client, auth).empty());
    server.Answer(auth, "+OK\r\n");
    Turn();
    CHECK(client.TakeWritten() == "+OK\r\n");
    Admit(auth);
  }
  // The server takes the login of every link that waits for it.
  void Admit(const std::string& auth) {
    for (Strings asked = server.Asked(); !asked.empty() && asked.front() == auth;
         asked = server.Asked()) {
      server.Answer(auth, "+OK\r\n");
      Turn();
    }
  }
  [[nodiscard]] const IdentityStats& identities() const { return worker->identity_stats(); }
};

TEST_CASE_FIXTURE(Identity, "who has not logged in is nobody upstream, and is served from L1") {
  Start();
  CHECK(server.Asked().empty());  // the sidecar's own links send no AUTH
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  CHECK(Ask(client, "GET k") == Bulk("v"));
  CHECK(identities().identities.value() == 0);
}

TEST_CASE_FIXTURE(Identity, "who has logged in asks the server each time, on links of its own") {
  Start();
  FakeConnection& nobody = Connect();
  FakeConnection& alice = Connect();
  Cache(nobody, "k", "v");
  LogIn(alice, "alice", "secret");
  CHECK(Ask(alice, "GET k").empty());
  CHECK(Answer(alice, "GET k", "-NOPERM no\r\n") == "-NOPERM no\r\n");
  CHECK(Ask(nobody, "GET k") == Bulk("v"));  // reading past L1 has cost others nothing
  CHECK(Ask(alice, "MGET k other").empty());
  CHECK(Ask(nobody, "LLEN l").empty());
  CHECK(&server.ConnectionOf("MGET k other") != &server.ConnectionOf("LLEN l"));
  server.Answer("MGET k other", "-NOPERM no\r\n");
  CHECK(Answer(nobody, "LLEN l", ":0\r\n") == ":0\r\n");
  CHECK(alice.TakeWritten() == "-NOPERM no\r\n");
  CHECK(stats().bypass_identity.value() == 2);
}

TEST_CASE_FIXTURE(Identity, "what a user writes is not read from L1 by anybody") {
  Start();
  FakeConnection& nobody = Connect();
  FakeConnection& alice = Connect();
  Cache(nobody, "k", "old");
  LogIn(alice, "alice", "secret");
  CHECK(Ask(alice, "SET k new").empty());
  CHECK(Answer(alice, "SET k new", "+OK\r\n") == "+OK\r\n");
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Identity, "who was a user is not shown what that user has seen the end of") {
  Start();
  FakeConnection& nobody = Connect();
  FakeConnection& client = Connect();
  Cache(nobody, "k", "old");
  LogIn(client, "alice", "secret");
  CHECK(Ask(client, "GET k").empty());
  CHECK(Answer(client, "GET k", Bulk("new")) == Bulk("new"));  // the invalidation is on its way
  CHECK(Ask(client, "RESET\r\nGET k") == "+RESET\r\n");
  CHECK(Answer(client, "GET k", Bulk("new")) == Bulk("new"));
  CHECK(Ask(nobody, "GET k") == Bulk("old"));
}

TEST_CASE_FIXTURE(Identity, "a wrong login has its own reply, and what is behind it waits") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "AUTH alice wrong\r\nLLEN l\r\nPING").empty());
  CHECK(server.Asked() == Strings{"AUTH alice wrong"});
  CHECK(Answer(client, "AUTH alice wrong", kWrongPass) == kWrongPass);
  CHECK(server.Asked() == Strings{"LLEN l"});
  CHECK(Answer(client, "LLEN l", ":0\r\n") == ":0\r\n+PONG\r\n");
  CHECK(identities().identities.value() == 0);
  CHECK(worker->pool().stats().exclusive_idle.value() == 0);  // nobody gets that link again
}

TEST_CASE_FIXTURE(Identity, "HELLO with AUTH logs in and switches the protocol") {
  Start();
  FakeConnection& client = Connect();
  server.hello = "";
  const std::string hello = "HELLO 3 AUTH alice secret SETNAME app";
  CHECK(Ask(client, hello).empty());
  const std::string reply =
      Answer(client, hello, "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n");
  CHECK(reply.starts_with("%7\r\n$6\r\nserver\r\n"));
  CHECK(reply.find("$5\r\nproto\r\n:3\r\n") != std::string::npos);
  CHECK(Ask(client, "CLIENT GETNAME") == Bulk("app"));
  CHECK(Ask(client, "CLIENT INFO").find(" user=alice ") != std::string::npos);
  server.auth = "+OK\r\n";
  Turn();
}

TEST_CASE_FIXTURE(Identity, "HELLO is refused in the words of a server that asks for a login") {
  Start();
  FakeConnection& client = Connect();
  server.hello = "";
  CHECK(Ask(client, "HELLO 3").empty());
  CHECK(Answer(client, "HELLO 3", "-NOAUTH HELLO must be called with …\r\n") ==
        "-NOAUTH HELLO must be called with …\r\n");
  server.hello = "-NOAUTH\r\n";
}

TEST_CASE_FIXTURE(Identity, "the sidecar's links stand at a server that lets nobody in") {
  server.ping = "-NOAUTH Authentication required.\r\n";
  server.hello = "-NOAUTH HELLO must be called with the client already authenticated\r\n";
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "GET k").empty());
  CHECK(Answer(client, "GET k", "-NOAUTH Authentication required.\r\n") ==
        "-NOAUTH Authentication required.\r\n");
}

TEST_CASE_FIXTURE(Identity, "equal logins share links, and each is judged anew") {
  Start();
  FakeConnection& one = Connect();
  FakeConnection& two = Connect();
  LogIn(one, "alice", "secret");
  LogIn(two, "alice", "secret");
  CHECK(identities().identities.value() == 1);
  CHECK(Ask(one, "LLEN l").empty());
  CHECK(Ask(two, "LLEN m").empty());
  CHECK(&server.ConnectionOf("LLEN l") == &server.ConnectionOf("LLEN m"));
  server.Answer("LLEN l", ":1\r\n");
  CHECK(Answer(two, "LLEN m", ":2\r\n") == ":2\r\n");
  CHECK(one.TakeWritten() == ":1\r\n");
  CHECK(Ask(two, "AUTH alice secret").empty());
  CHECK(Answer(two, "AUTH alice secret", kWrongPass) == kWrongPass);  // it has been changed
  CHECK(identities().entered.value() == 2);
}

TEST_CASE_FIXTURE(Identity, "RESET and another login leave the links of the user before") {
  Start();
  FakeConnection& client = Connect();
  LogIn(client, "alice", "secret");
  CHECK(Ask(client, "RESET") == "+RESET\r\n");
  CHECK(Ask(client, "CLIENT INFO").find(" user=default ") != std::string::npos);
  FakeConnection& nobody = Connect();
  CHECK(Ask(nobody, "LLEN l").empty());
  CHECK(Ask(client, "LLEN m").empty());
  CHECK(&server.ConnectionOf("LLEN l") == &server.ConnectionOf("LLEN m"));
  CHECK(Answer(nobody, "LLEN l", ":1\r\n") == ":1\r\n");
  CHECK(Answer(client, "LLEN m", ":2\r\n") == ":2\r\n");
  LogIn(client, "alice", "secret");
  LogIn(client, "bob", "secret");
  CHECK(Ask(client, "CLIENT INFO").find(" user=bob ") != std::string::npos);
  CHECK(identities().identities.value() == 2);
  Wait(11s);  // nobody is alice any more
  CHECK(identities().identities.value() == 1);
}

TEST_CASE_FIXTURE(Identity, "a login beyond the bound is refused, unless one is unused") {
  Start();
  FakeConnection& one = Connect();
  FakeConnection& two = Connect();
  FakeConnection& three = Connect();
  LogIn(one, "alice", "secret");
  LogIn(two, "bob", "secret");
  CHECK(Ask(three, "AUTH carol secret").empty());
  CHECK(Answer(three, "AUTH carol secret", "+OK\r\n")
            .starts_with("-ERR nearcached: as many upstream users"));
  CHECK(Ask(three, "CLIENT INFO").find(" user=default ") != std::string::npos);
  CHECK(identities().refused.value() == 1);
  one.End(Code::kEof);
  Turn();
  LogIn(three, "carol", "secret");
  CHECK(identities().identities.value() == 2);
}

TEST_CASE_FIXTURE(Identity, "clients whose user the server takes no more are closed") {
  Start();
  FakeConnection& alice = Connect();
  FakeConnection& bob = Connect();
  LogIn(alice, "alice", "secret");
  LogIn(bob, "bob", "secret");
  Wait(2s);  // a link that is lost sooner is not made again at once
  CHECK(Ask(alice, "LLEN l").empty());
  server.ConnectionOf("LLEN l").End(Code::kUnavailable);  // as DELUSER does it
  Turn();
  CHECK(server.Asked() == Strings{"AUTH alice secret"});
  server.Answer("AUTH alice secret", kWrongPass);
  Turn();
  CHECK(alice.closed());
  CHECK_FALSE(bob.closed());
  CHECK(stats().closed_revoked.value() == 1);
  CHECK(identities().revoked.value() == 1);
  Wait(1s);
  CHECK(identities().identities.value() == 1);
  CHECK(worker->upstream_stats().up.value() == 1);
}

}  // namespace
}  // namespace nearcached
