// What the sidecar answers itself: HELLO, AUTH, SELECT, CLIENT, RESET, QUIT, NEARCACHE.
#include <chrono>

#include "proto/wire_errors.h"
#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class Local : public WorkerFixture {
 public:
  static std::string Error(std::string_view line) { return "-" + std::string(line) + "\r\n"; }
  static constexpr const char* kOk = "+OK\r\n";
};

TEST_CASE_FIXTURE(Local, "PING and ECHO are answered here") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "PING") == "+PONG\r\n");
  CHECK(Ask(client, "ping hello") == Bulk("hello"));
  CHECK(Ask(client, "ECHO x") == Bulk("x"));
  CHECK(Ask(client, "PING a b") == Error(proto::WrongArity("ping")));
  CHECK(Ask(client, "ECHO") == Error(proto::WrongArity("echo")));
  CHECK(server.Asked().empty());
}

// ---- HELLO --------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Local, "HELLO says what this connection is, in the protocol it asks for") {
  Start();
  FakeConnection& client = Connect();
  const std::string fields =
      Bulk("server") + Bulk("redis") + Bulk("version") + Bulk("7.0.15") + Bulk("proto");
  const std::string rest = Bulk("id") + ":1\r\n" + Bulk("mode") + Bulk("standalone") +
                           Bulk("role") + Bulk("master") + Bulk("modules") + "*0\r\n";
  CHECK(Ask(client, "HELLO") == "*14\r\n" + fields + ":2\r\n" + rest);
  CHECK(Ask(client, "HELLO 3") == "%7\r\n" + fields + ":3\r\n" + rest);
  CHECK(stats().resp3.value() == 1);
  CHECK(Ask(client, "HELLO") == "%7\r\n" + fields + ":3\r\n" + rest);
  CHECK(Ask(client, "HELLO 2").starts_with("*14\r\n"));
  CHECK(stats().resp3.value() == 0);
}

TEST_CASE_FIXTURE(Local, "HELLO takes a name and a user along, or nothing at all") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "HELLO 3 SETNAME me").starts_with("%7"));
  CHECK(Ask(client, "CLIENT GETNAME") == Bulk("me"));
  CHECK(Ask(client, "HELLO 3 AUTH default any SETNAME you").starts_with("%7"));
  CHECK(Ask(client, "CLIENT GETNAME") == Bulk("you"));
  CHECK(Ask(client, "HELLO 2 AUTH other x SETNAME z") == Error(proto::kErrWrongPass));
  CHECK(Ask(client, "CLIENT GETNAME") == Bulk("you"));
  CHECK(stats().resp3.value() == 1);  // a refused HELLO changes nothing
}

TEST_CASE_FIXTURE(Local, "HELLO with anything wrong is refused in the words of Redis") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "HELLO x") == Error(proto::kErrProtoNotInteger));
  CHECK(Ask(client, "HELLO 1") == Error(proto::kErrNoProto));
  CHECK(Ask(client, "HELLO 4") == Error(proto::kErrNoProto));
  CHECK(Ask(client, "HELLO 3 BOGUS") == Error(proto::HelloSyntax("BOGUS")));
  CHECK(Ask(client, "HELLO 3 AUTH a") == Error(proto::HelloSyntax("AUTH")));
  CHECK(Ask(client, "HELLO 3 SETNAME \"a b\"") == Error(proto::kErrClientName));
}

TEST_CASE_FIXTURE(Local, "where the upstream has no RESP3 neither has the sidecar") {
  server.hello = "-ERR unknown command 'HELLO'\r\n";
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "HELLO 3") == Error(proto::kErrNoProto));
  CHECK(Ask(client, "HELLO 2").starts_with("*14\r\n"));
}

TEST_CASE_FIXTURE(Local, "earlier replies keep the earlier protocol") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "GET k\r\nHELLO 3\r\nGET k").empty());
  AnswerFill("k", "_\r\n", ":-2\r\n");
  const std::string replies = client.TakeWritten();
  CHECK(replies.starts_with("$-1\r\n%7\r\n"));
  CHECK(replies.ends_with("_\r\n"));
}

// ---- AUTH ---------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Local,
                  "without the listener's password nothing but HELLO, AUTH and QUIT is heard") {
  listener.config.password = "secret";
  Start();
  FakeConnection& client = Connect();
  for (const char* line : {"GET k", "SET k v", "PING", "CLIENT LIST", "NEARCACHE", "SUBSCRIBE c",
                           "MULTI", "EVAL x 0", "UNKNOWN"}) {
    CAPTURE(line);
    CHECK(Ask(client, line) == Error(proto::kErrNoAuth));
  }
  CHECK(Ask(client, "HELLO 3") == Error(proto::kErrHelloNoAuth));
  CHECK(server.Asked().empty());
  CHECK(Ask(client, "QUIT") == kOk);
}

TEST_CASE_FIXTURE(Local, "the right password opens the door, by AUTH or by HELLO") {
  listener.config.password = "secret";
  Start();
  SUBCASE("AUTH password") {
    FakeConnection& client = Connect();
    CHECK(Ask(client, "AUTH secret") == kOk);
    CHECK(Ask(client, "PING") == "+PONG\r\n");
  }
  SUBCASE("AUTH user password") {
    FakeConnection& client = Connect();
    CHECK(Ask(client, "AUTH default secret") == kOk);
    CHECK(Ask(client, "PING") == "+PONG\r\n");
  }
  SUBCASE("HELLO") {
    FakeConnection& client = Connect();
    CHECK(Ask(client, "HELLO 3 AUTH default secret").starts_with("%7"));
    CHECK(Ask(client, "PING") == "+PONG\r\n");
  }
  SUBCASE("with a request right behind it") {
    FakeConnection& client = Connect();
    CHECK(Ask(client, "AUTH secret\r\nPING") == "+OK\r\n+PONG\r\n");
  }
  CHECK(stats().auth_failures.value() == 0);
}

TEST_CASE_FIXTURE(Local, "a wrong user or password is refused and counted") {
  listener.config.password = "secret";
  listener.config.username = "app";
  Start();
  FakeConnection& client = Connect();
  for (const char* line : {"AUTH app wrong", "AUTH app secre", "AUTH app secretsecret",
                           "AUTH default secret", "AUTH wrong", "AUTH app \"\""}) {
    CAPTURE(line);
    CHECK(Ask(client, line) == Error(proto::kErrWrongPass));
  }
  CHECK(stats().auth_failures.value() == 6);
  CHECK(Ask(client, "PING") == Error(proto::kErrNoAuth));
  CHECK(Ask(client, "AUTH app secret") == kOk);
  CHECK(Ask(client, "AUTH app wrong") == Error(proto::kErrWrongPass));
  CHECK(Ask(client, "PING") == "+PONG\r\n");  // as in Redis: a failed AUTH takes nothing away
}

TEST_CASE_FIXTURE(Local, "a listener without a password is as a Redis without one") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "AUTH x") == Error(proto::kErrAuthWithoutPassword));
  CHECK(Ask(client, "AUTH default x") == kOk);
  CHECK(Ask(client, "AUTH someone x") == Error(proto::kErrWrongPass));
  CHECK(Ask(client, "AUTH a b c") == Error(proto::kErrSyntax));
}

// ---- SELECT -------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Local, "SELECT asks the upstream whether it has the database, once") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SELECT 5") == kOk);
  CHECK(server.Times("SELECT 5") == 1);
  CHECK(stats().pinned.value() == 0);
  CHECK(Ask(client, "LLEN l").empty());
  CHECK(Answer(client, "LLEN l", ":0\r\n") == ":0\r\n");
  CHECK(server.Times("SELECT 5") == 2);  // the lane of that database
  FakeConnection& other = Connect();
  CHECK(Ask(other, "SELECT 5") == kOk);
  CHECK(server.Times("SELECT 5") == 2);
}

TEST_CASE_FIXTURE(Local, "a key is another key in another database, but for a push") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "zero");
  CHECK(Ask(client, "SELECT 5") == kOk);
  CHECK(Ask(client, "GET k").empty());  // its fill link is not armed yet: past L1, or a miss
  CHECK(Answer(client, "GET k", Bulk("five")) == Bulk("five"));
  CHECK(Ask(client, "SELECT 0") == kOk);
}

TEST_CASE_FIXTURE(Local,
                  "a database that does not exist is refused, and the client stays where it is") {
  Start();
  FakeConnection& client = Connect();
  server.select = "-ERR DB index is out of range\r\n";
  CHECK(Ask(client, "SELECT 99") == Error(proto::kErrDbIndex));
  CHECK(Ask(client, "SELECT -1") == Error(proto::kErrDbIndex));
  CHECK(Ask(client, "SELECT x") == Error(proto::kErrNotInteger));
  CHECK(Ask(client, "SELECT") == Error(proto::WrongArity("select")));
  CHECK(stats().pinned.value() == 0);
  Cache(client, "k", "v");
}

TEST_CASE_FIXTURE(Local, "a busy server says so to SELECT in its own words, and is asked again") {
  Start();
  FakeConnection& client = Connect();
  constexpr const char* kBusy = "-BUSY Redis is busy running a script.\r\n";
  server.select = kBusy;
  CHECK(Ask(client, "SELECT 5") == kBusy);
  CHECK(Ask(client, "SELECT 5") == kBusy);
  CHECK(stats().pinned.value() == 0);
  server.select = "+OK\r\n";
  CHECK(Ask(client, "SELECT 5") == kOk);
  CHECK(Ask(client, "LLEN l").empty());
  CHECK(Answer(client, "LLEN l", ":1\r\n") == ":1\r\n");
}

TEST_CASE_FIXTURE(Local,
                  "SELECT waits for what went before, and what follows is for the new database") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "LLEN a\r\nSELECT 5\r\nLLEN b").empty());
  CHECK(server.Asked() == Strings{"LLEN a"});
  CHECK(Answer(client, "LLEN a", ":1\r\n") == ":1\r\n+OK\r\n");
  CHECK(server.Asked() == Strings{"LLEN b"});
  CHECK(Answer(client, "LLEN b", ":2\r\n") == ":2\r\n");
}

// ---- CLIENT -------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Local, "CLIENT answers for this connection") {
  Start();
  (void)Connect();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "CLIENT ID") == ":2\r\n");
  CHECK(Ask(client, "CLIENT GETNAME") == "$-1\r\n");
  CHECK(Ask(client, "CLIENT SETNAME me") == kOk);
  CHECK(Ask(client, "CLIENT GETNAME") == Bulk("me"));
  CHECK(Ask(client, "CLIENT SETNAME \"a b\"") == Error(proto::kErrClientName));
  CHECK(Ask(client, "CLIENT SETINFO lib-name redis-py") == kOk);
  CHECK(Ask(client, "CLIENT SETINFO LIB-VER 5.0") == kOk);
  CHECK(Ask(client, "CLIENT SETINFO lib-name \"a b\"").starts_with("-ERR lib-name cannot contain"));
  CHECK(Ask(client, "CLIENT SETINFO what x") == Error("ERR Unrecognized option 'what'"));
  CHECK(Ask(client, "CLIENT NO-EVICT ON") == kOk);
  CHECK(Ask(client, "CLIENT NO-TOUCH maybe") == Error(proto::kErrSyntax));
  CHECK(Ask(client, "CLIENT GETREDIR") == ":-1\r\n");
  CHECK(Ask(client, "CLIENT TRACKING OFF") == kOk);
  CHECK(Ask(client, "CLIENT BOGUS") == Error(proto::UnknownSubcommand("CLIENT", "BOGUS")));
  CHECK(server.Asked().empty());
}

TEST_CASE_FIXTURE(Local, "CLIENT INFO and LIST show who is here, as text of the protocol") {
  Start();
  FakeConnection& first = Connect();
  FakeConnection& client = Connect();
  (void)Ask(client, "CLIENT SETNAME me");
  (void)Ask(client, "CLIENT SETINFO lib-name redis-py");
  const std::string info = Ask(client, "CLIENT INFO");
  for (const char* part :
       {"id=2 ", "name=me ", "db=0 ", "resp=2 ", "lib-name=redis-py ", "addr=127.0.0.1:50000 "}) {
    CAPTURE(part);
    CHECK(info.find(part) != std::string::npos);
  }
  (void)Ask(first, "HELLO 3");
  const std::string list = Ask(first, "CLIENT LIST");
  CHECK(list.starts_with("="));
  CHECK(list.find("txt:id=1 ") != std::string::npos);
  CHECK(list.find("\nid=2 ") != std::string::npos);
}

TEST_CASE_FIXTURE(Local, "CLIENT KILL ends the sidecar's own clients, by every filter") {
  Start();
  FakeConnection& killer = Connect();
  for (const char* line :
       {"CLIENT KILL 1.2.3.4:5", "CLIENT KILL ID 0", "CLIENT KILL TYPE odd",
        "CLIENT KILL USER nobody", "CLIENT KILL SKIPME maybe", "CLIENT KILL ID"}) {
    CAPTURE(line);
    CHECK(Ask(killer, line).starts_with("-ERR "));
  }
  FakeConnection& by_id = Connect();
  CHECK(Ask(killer, "CLIENT KILL ID 2") == ":1\r\n");
  CHECK(by_id.closed());
  CHECK(Ask(killer, "CLIENT KILL ID 2") == ":0\r\n");
  FakeConnection& one = Connect();
  FakeConnection& other = Connect();
  CHECK(Ask(killer, "CLIENT KILL TYPE pubsub") == ":0\r\n");
  CHECK(Ask(killer, "CLIENT KILL TYPE normal USER default") == ":2\r\n");
  CHECK(one.closed());
  CHECK(other.closed());
  CHECK_FALSE(killer.closed());
  CHECK(worker->session_stats().closed_killed.value() == 3);
  CHECK(Ask(killer, "CLIENT KILL 127.0.0.1:50000") == "+OK\r\n");  // the old form spares nobody
  CHECK(killer.closed());
  CHECK(server.Asked().empty());
}

TEST_CASE_FIXTURE(Local, "CLIENT REPLY leaves replies out and keeps those behind them in order") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  CHECK(Ask(client, "CLIENT REPLY SKIP").empty());
  CHECK(Ask(client, "GET k").empty());
  CHECK(Ask(client, "GET k") == Bulk("v"));
  CHECK(Ask(client, "CLIENT REPLY OFF").empty());
  CHECK(Ask(client, "SET k w").empty());
  CHECK(Ask(client, "PING").empty());
  CHECK(Ask(client, "CLIENT REPLY ON").empty());  // stands behind SET
  CHECK(Answer(client, "SET k w", "+OK\r\n") == "+OK\r\n");
  CHECK(Ask(client, "PING") == "+PONG\r\n");
}

TEST_CASE_FIXTURE(Local,
                  "tracking that is off says so, and CACHING is refused as the server does") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "CLIENT TRACKINGINFO") ==
        "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n"
        "$8\r\nprefixes\r\n*0\r\n");
  CHECK(Ask(client, "CLIENT CACHING YES").starts_with("-ERR CLIENT CACHING can be called only"));
  CHECK(Ask(client, "CLIENT GETREDIR") == ":-1\r\n");
}

// ---- RESET, QUIT, NEARCACHE ---------------------------------------------------------------------

TEST_CASE_FIXTURE(Local, "RESET makes a client as it was at the start, and drops its transaction") {
  listener.config.password = "secret";
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "HELLO 3 AUTH default secret SETNAME me");
  (void)Ask(client, "MULTI");
  FakeConnection& link = server.ConnectionOf("MULTI");
  (void)Answer(client, "MULTI", "+OK\r\n");
  CHECK(Ask(client, "RESET") == "+RESET\r\n");
  CHECK(link.closed());
  CHECK(stats().resp3.value() == 0);
  CHECK(Ask(client, "PING") == Error(proto::kErrNoAuth));
  CHECK(Ask(client, "AUTH secret") == kOk);
  CHECK(Ask(client, "CLIENT GETNAME") == "$-1\r\n");
}

TEST_CASE_FIXTURE(Local,
                  "QUIT is answered after everything before it, and nothing behind it is heard") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "LLEN l\r\nQUIT\r\nPING").empty());
  CHECK_FALSE(client.closed());
  CHECK(Answer(client, "LLEN l", ":1\r\n") == ":1\r\n+OK\r\n");
  CHECK(client.closed());
  CHECK(stats().closed_by_client.value() == 1);
}

TEST_CASE_FIXTURE(Local, "NEARCACHE is answered where it is allowed, and refused elsewhere") {
  SUBCASE("allowed") {
    Start();
    CHECK(Ask(Connect(), "NEARCACHE STATS") == "+ADMIN 2\r\n");
  }
  SUBCASE("not allowed") {
    listener.admin = false;
    Start();
    CHECK(Ask(Connect(), "NEARCACHE STATS").starts_with("-ERR nearcached: NEARCACHE is answered"));
  }
}

TEST_CASE_FIXTURE(Local, "a listener for administration answers NEARCACHE and nothing of Redis") {
  listener.admin_only = true;
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "NEARCACHE STATS") == "+ADMIN 2\r\n");
  CHECK(Ask(client, "PING") == "+PONG\r\n");
  for (const char* line : {"GET k", "SET k v", "MULTI", "SUBSCRIBE c", "CLIENT LIST"}) {
    CAPTURE(line);
    CHECK(Ask(client, line) == Error(proto::OwnError("admin.address answers NEARCACHE only")));
  }
  CHECK(server.Asked().empty());
}

TEST_CASE_FIXTURE(Local, "in a transaction what would change the connection is refused") {
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "MULTI");
  (void)Answer(client, "MULTI", "+OK\r\n");
  for (const char* line : {"HELLO 3", "AUTH x", "CLIENT ID", "NEARCACHE"}) {
    CAPTURE(line);
    CHECK(Ask(client, line).starts_with("-ERR nearcached: "));
  }
  CHECK(Ask(client, "ECHO x").empty());  // queued, as in Redis
  CHECK(Answer(client, "ECHO x", "+QUEUED\r\n") == "+QUEUED\r\n");
}

}  // namespace
}  // namespace nearcached
