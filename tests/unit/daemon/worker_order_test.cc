// Writes through a whole worker: what a client sees of its own requests, and in which order.
#include <chrono>

#include "proto/wire_errors.h"
#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

std::string ErrorLine(std::string_view line) {
  return "-" + std::string(line) + "\r\n";
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "SET then GET of one key: the read follows the write on its lane") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "old");
  CHECK(Ask(client, "SET k new\r\nGET k").empty());
  CHECK(server.Asked() == Strings{"SET k new", "GET k"});
  CHECK(&server.ConnectionOf("SET k new") == &server.ConnectionOf("GET k"));
  CHECK(Answer(client, "SET k new", "+OK\r\n") == "+OK\r\n");
  CHECK(Answer(client, "GET k", Bulk("new")) == Bulk("new"));
  CHECK(stats().bypass_own_write.value() == 1);
}

TEST_CASE_FIXTURE(WorkerFixture, "GET then SET of one key: the write waits for the read") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "GET k\r\nSET k new\r\nGET k").empty());
  CHECK(server.Asked() == Strings{"GET k", "PTTL k"});
  AnswerFill("k", Bulk("old"));
  CHECK(client.TakeWritten() == Bulk("old"));
  CHECK(server.Asked() == Strings{"SET k new", "GET k"});
  CHECK(Answer(client, "SET k new", "+OK\r\n") == "+OK\r\n");
  CHECK(Answer(client, "GET k", Bulk("new")) == Bulk("new"));
  CHECK(stats().parked.value() == 1);
}

TEST_CASE_FIXTURE(WorkerFixture, "requests for other keys do not wait for each other") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "GET a\r\nSET x 1\r\nGET c").empty());
  CHECK(server.Asked().size() == 5);
  CHECK(Answer(client, "SET x 1", "+OK\r\n").empty());
  AnswerFill("a", Bulk("A"));
  CHECK(client.TakeWritten() == Bulk("A") + "+OK\r\n");
  AnswerFill("c", Bulk("C"));
  CHECK(client.TakeWritten() == Bulk("C"));
}

TEST_CASE_FIXTURE(WorkerFixture, "after its write is answered a client never reads the old value") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  (void)Ask(client, "SET k new");
  (void)Ask(other, "GET k");  // held: it is answered, but not stored
  AnswerFill("k", Bulk("old"));
  CHECK(other.TakeWritten() == Bulk("old"));
  CHECK(Answer(client, "SET k new", "+OK\r\n") == "+OK\r\n");
  CHECK(Ask(client, "GET k").empty());
  CHECK(server.Asked() == Strings{"GET k", "PTTL k"});
  AnswerFill("k", Bulk("new"));
  CHECK(client.TakeWritten() == Bulk("new"));
}

TEST_CASE_FIXTURE(WorkerFixture, "a read begun before a write, answered after it, is not stored") {
  Start();
  FakeConnection& reader = Connect();
  FakeConnection& writer = Connect();
  (void)Ask(reader, "GET k");
  (void)Ask(writer, "SET k new");
  CHECK(Answer(writer, "SET k new", "+OK\r\n") == "+OK\r\n");
  (void)Ask(writer, "GET k");  // must not join the read that is older than its write
  CHECK(server.Asked() == Strings{"GET k", "PTTL k", "GET k", "PTTL k"});
  AnswerFill("k", Bulk("old"));
  CHECK(reader.TakeWritten() == Bulk("old"));
  CHECK(writer.TakeWritten().empty());
  AnswerFill("k", Bulk("new"));
  CHECK(writer.TakeWritten() == Bulk("new"));
}

TEST_CASE_FIXTURE(WorkerFixture, "every key that a command may write is dropped") {
  Start();
  FakeConnection& client = Connect();
  for (const char* line : {"DEL x k", "MSET x 1 k 2", "EXPIRE k 1", "RENAME x k", "GETDEL k",
                           "EVAL return 1 k", "SOMETHING unknown k"}) {
    CAPTURE(line);
    Cache(client, "k", "v");
    const std::string sent = std::string(line) == "EVAL return 1 k" ? "EVAL return 1 k" : line;
    CHECK(Ask(client, sent).empty());
    CHECK(Answer(client, sent, "+OK\r\n") == "+OK\r\n");
    CHECK_FALSE(Cached("k"));
  }
}

TEST_CASE_FIXTURE(WorkerFixture, "FLUSHALL empties L1 before it is answered and again when it is") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  Cache(client, "k", "v");
  (void)Ask(client, "FLUSHALL");
  (void)Ask(other, "GET k");
  AnswerFill("k", Bulk("v"));
  CHECK(other.TakeWritten() == Bulk("v"));
  CHECK(Answer(client, "FLUSHALL", "+OK\r\n") == "+OK\r\n");
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "a script waits for the client's reads, and its reads for the script") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "z", "Z");
  CHECK(Ask(client, "GET a\r\nEVAL x 0\r\nGET z").empty());
  CHECK(server.Asked() == Strings{"GET a", "PTTL a"});
  AnswerFill("a", Bulk("A"));
  CHECK(client.TakeWritten() == Bulk("A"));
  CHECK(server.Asked() == Strings{"EVAL x 0", "GET z"});  // z is in L1, but the script may know it
  CHECK(Answer(client, "EVAL x 0", ":1\r\n") == ":1\r\n");
  CHECK(Answer(client, "GET z", Bulk("Z")) == Bulk("Z"));
}

TEST_CASE_FIXTURE(WorkerFixture, "a reply past L1 that is newer than an entry drops it") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  (void)Ask(client, "STRLEN k");
  (void)Ask(other, "GET k");
  AnswerFill("k", Bulk("old"));
  CHECK(other.TakeWritten() == Bulk("old"));
  CHECK(Answer(client, "STRLEN k", ":99\r\n") == ":99\r\n");
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(WorkerFixture, "clients share a lane and each hears its own replies") {
  Start();
  std::vector<FakeConnection*> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(&Connect());
    clients.back()->Feed("LLEN list" + std::to_string(i) + "\r\n");
  }
  Turn();
  CHECK(server.Asked().size() == 10);
  for (int i = 0; i < 10; ++i) {
    server.Answer("LLEN list" + std::to_string(i), ":" + std::to_string(i) + "\r\n");
  }
  Turn();
  for (int i = 0; i < 10; ++i) {
    CHECK(clients[static_cast<std::size_t>(i)]->TakeWritten() == ":" + std::to_string(i) + "\r\n");
  }
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "a write lost on the way is told as such, and its key is not served") {
  Start();
  FakeConnection& client = Connect();
  Wait(2s);
  Cache(client, "k", "v");
  (void)Ask(client, "SET k new");
  server.ConnectionOf("SET k new").End(Code::kUnavailable);
  Turn();
  CHECK(client.TakeWritten() == ErrorLine(proto::kErrConnectionLost));
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "while the upstream is away hits go on, the rest is refused at once") {
  server.tracking = "-ERR unknown subcommand\r\n";  // entries outlive their link
  config::RuleConfig rule;
  rule.prefix = "k";
  rule.ttl = std::chrono::milliseconds(60'000);
  config.rules.push_back(rule);
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  server.accepts = false;
  for (std::size_t i = 0; i < dialer.dials(); ++i) {
    dialer.connection(i).End(Code::kUnavailable, "connection reset");
  }
  Wait(100ms);
  dialer.latest().End(Code::kUnavailable, "connection refused");
  CHECK(Ask(client, "GET k") == Bulk("v"));
  const std::string refused = Ask(client, "SET k new");
  CHECK(refused.starts_with("-ERR nearcached: upstream 127.0.0.1:6379 is unavailable ("));
  CHECK(Ask(client, "PING") == "+PONG\r\n");
}

}  // namespace
}  // namespace nearcached
