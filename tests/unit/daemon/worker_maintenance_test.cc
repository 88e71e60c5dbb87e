// A worker whose upstream an operator takes out of service by a key (upstream.maintenance_key).
#include <chrono>
#include <string>

#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kRefused =
    "-ERR nearcached: upstream 127.0.0.1:6379 is in maintenance while its key 'm' exists; DEL it "
    "when it is over\r\n";

class Maintained : public WorkerFixture {
 public:
  void StartMaintained(bool now = true) {
    config.upstream.maintenance_key = "m";
    Start();
    Say(now ? ":1\r\n" : ":0\r\n");
  }
  // The answer to the question that is open.
  void Say(std::string_view answer) {
    server.Answer("EXISTS m", answer);
    Turn();
  }
  // The next question, and its answer.
  void SayNext(std::string_view answer) {
    Wait(config.upstream.health_interval);
    Say(answer);
  }
  [[nodiscard]] bool active() const { return worker->maintenance_stats().active.value() == 1; }
};

TEST_CASE_FIXTURE(Maintained, "nobody asks after a key that is not configured") {
  Start();
  Wait(seconds(3));
  CHECK(server.Times("EXISTS") == 0);
  CHECK_FALSE(worker->pool().gate().maintenance());
}

TEST_CASE_FIXTURE(Maintained, "while the key exists requests are refused, and hits are served") {
  StartMaintained(false);
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  CHECK(Ask(client, "LLEN under-way").empty());
  SayNext(":1\r\n");
  CHECK(active());
  CHECK(Answer(client, "LLEN under-way", ":3\r\n") == ":3\r\n");
  for (const char* line : {"SET other w", "LLEN l", "GET k2", "MGET k k3", "BLPOP l 0",
                           "PUBLISH c m", "EVAL x 0", "SUBSCRIBE c"}) {
    CAPTURE(line);
    CHECK(Ask(client, line) == kRefused);
  }
  CHECK(Ask(client, "GET k") == Bulk("v"));
  CHECK(Ask(client, "SET k w") == kRefused);
  CHECK(server.Times("LLEN l") == 0);
  SayNext(":0\r\n");
  CHECK_FALSE(active());
  CHECK(Ask(client, "LLEN l").empty());
  CHECK(Answer(client, "LLEN l", ":1\r\n") == ":1\r\n");
  CHECK(worker->maintenance_stats().entered.value() == 1);
}

TEST_CASE_FIXTURE(Maintained, "an entry is still invalidated: the links stay") {
  StartMaintained(false);
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  SayNext(":1\r\n");
  Push("k");
  CHECK(Ask(client, "GET k") == kRefused);
}

TEST_CASE_FIXTURE(Maintained, "requests wait for max_hold, and go on when it is over in time") {
  config.upstream.max_hold = seconds(5);
  StartMaintained();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  FakeConnection& multi = Connect();
  CHECK(Ask(client, "SET k w").empty());
  CHECK(Ask(other, "GET k").empty());
  CHECK(Ask(multi, "MULTI").empty());
  SayNext(":1\r\n");
  CHECK(server.Times("SET k w") == 0);
  SayNext(":0\r\n");
  CHECK(server.Times("SET k w") == 1);
  CHECK(server.Times("GET k") == 1);
  CHECK(server.Times("MULTI") == 1);
  CHECK(Answer(client, "SET k w", "+OK\r\n") == "+OK\r\n");
}

TEST_CASE_FIXTURE(Maintained, "requests that waited longer than max_hold are refused") {
  config.upstream.max_hold = seconds(2);
  StartMaintained();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SET k w").empty());
  SayNext(":1\r\n");
  SayNext(":1\r\n");
  Wait(milliseconds(500));
  CHECK(client.TakeWritten() == kRefused);
  CHECK(Ask(client, "GET k") == kRefused);
}

TEST_CASE_FIXTURE(Maintained,
                  "a transaction that has begun goes on to its end, the next does not") {
  StartMaintained(false);
  FakeConnection& client = Connect();
  CHECK(Ask(client, "MULTI").empty());
  CHECK(Answer(client, "MULTI", "+OK\r\n") == "+OK\r\n");
  SayNext(":1\r\n");
  CHECK(Ask(client, "SET k v").empty());
  CHECK(Answer(client, "SET k v", "+QUEUED\r\n") == "+QUEUED\r\n");
  CHECK(Ask(client, "EXEC").empty());
  CHECK(Answer(client, "EXEC", "*1\r\n+OK\r\n") == "*1\r\n+OK\r\n");
  CHECK(Ask(client, "MULTI").starts_with(kRefused));
}

TEST_CASE_FIXTURE(Maintained, "a question that is refused leaves the server in service") {
  StartMaintained();
  CHECK(active());
  SayNext("-NOPERM this user has no permissions to run the 'exists' command\r\n");
  CHECK_FALSE(active());
  FakeConnection& client = Connect();
  CHECK(Ask(client, "LLEN l").empty());
  CHECK(Answer(client, "LLEN l", ":1\r\n") == ":1\r\n");
}

TEST_CASE_FIXTURE(Maintained, "a question without an answer changes nothing, and is asked again") {
  StartMaintained();
  Wait(config.upstream.health_interval);
  server.ConnectionOf("EXISTS m").End(Code::kEof);
  Turn();
  CHECK(active());
  CHECK(worker->maintenance_stats().control.failed.value() == 1);
  SayNext(":0\r\n");
  CHECK_FALSE(active());
}

TEST_CASE_FIXTURE(Maintained, "a server that is restarted in maintenance is in it while it loads") {
  StartMaintained();
  SayNext("-LOADING Redis is loading the dataset in memory\r\n");
  CHECK(active());
  SayNext(":1\r\n");
  CHECK(active());
  SayNext(":0\r\n");
  CHECK_FALSE(active());
}

TEST_CASE_FIXTURE(Maintained, "one question at a time, however long it takes") {
  StartMaintained();
  Wait(seconds(4));
  CHECK(server.PlacesOf("EXISTS m").size() == 1);
  CHECK(server.Times("EXISTS m") == 2);
}

TEST_CASE_FIXTURE(Maintained, "the key is looked for in the database of the upstream") {
  config.upstream.db = 3;
  StartMaintained();
  CHECK(active());
  CHECK(server.Times("SELECT 3") >= 1);
}

TEST_CASE_FIXTURE(Maintained,
                  "where the database is refused, a key of the same name says nothing") {
  config.upstream.db = 3;
  config.upstream.maintenance_key = "m";
  server.select = "-NOPERM this user has no permissions to run the 'select' command\r\n";
  Start();
  Say(":1\r\n");
  CHECK_FALSE(active());
}

TEST_CASE_FIXTURE(Maintained, "a reload that takes the key out ends it, one that names it begins") {
  StartMaintained();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "LLEN l") == kRefused);
  config::Config changed = config;
  changed.upstream.maintenance_key.clear();
  worker->Reload(changed);
  Wait(config.upstream.health_interval);
  CHECK_FALSE(active());
  CHECK(Ask(client, "LLEN l").empty());
  CHECK(Answer(client, "LLEN l", ":1\r\n") == ":1\r\n");
  worker->Reload(config);
  SayNext(":1\r\n");
  CHECK(Ask(client, "LLEN l") == kRefused);
}

}  // namespace
}  // namespace nearcached
