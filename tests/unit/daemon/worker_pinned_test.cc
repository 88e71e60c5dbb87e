// What needs a connection of its own: transactions, blocking commands, subscriptions.
#include <algorithm>
#include <chrono>

#include "proto/wire_errors.h"
#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class Pinned : public WorkerFixture {
 public:
  // Asks and answers in one go.
  std::string Do(FakeConnection& client, std::string_view line, std::string_view reply) {
    CHECK(Ask(client, line).empty());
    return Answer(client, line, reply);
  }
};

// ---- transactions -------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Pinned, "a transaction runs on a link of its own, which goes back afterwards") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "old");
  CHECK(Do(client, "MULTI", "+OK\r\n") == "+OK\r\n");
  CHECK(stats().pinned.value() == 1);
  CHECK(Do(client, "SET k new", "+QUEUED\r\n") == "+QUEUED\r\n");
  CHECK(Do(client, "GET k", "+QUEUED\r\n") == "+QUEUED\r\n");  // not from L1
  CHECK(Do(client, "EXEC", "*2\r\n+OK\r\n$3\r\nnew\r\n") == "*2\r\n+OK\r\n$3\r\nnew\r\n");
  CHECK(stats().pinned.value() == 0);
  CHECK(worker->pool().stats().exclusive_idle.value() == 1);
  CHECK(stats().bypass_transaction.value() == 1);
}

TEST_CASE_FIXTURE(Pinned, "what a transaction writes acts again at EXEC") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  (void)Do(client, "MULTI", "+OK\r\n");
  (void)Do(client, "SET k new", "+QUEUED\r\n");
  Cache(other, "k", "old");  // it is old still, and rightly cached
  CHECK(Ask(client, "EXEC").empty());
  (void)Ask(other, "GET k");  // from now on it is held
  AnswerFill("k", Bulk("old"));
  (void)other.TakeWritten();
  (void)Answer(client, "EXEC", "*1\r\n+OK\r\n");
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Pinned, "a whole transaction in one go is answered in order") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "MULTI\r\nINCR k\r\nEXEC\r\nPING").empty());
  (void)Answer(client, "MULTI", "+OK\r\n");
  (void)Answer(client, "INCR k", "+QUEUED\r\n");
  CHECK(client.TakeWritten().empty());
  server.Answer("EXEC", "*1\r\n:1\r\n");
  Turn();
  CHECK(client.TakeWritten() == "*1\r\n:1\r\n+PONG\r\n");
}

TEST_CASE_FIXTURE(Pinned, "a command refused here makes EXEC fail, as in Redis") {
  Start();
  FakeConnection& client = Connect();
  (void)Do(client, "MULTI", "+OK\r\n");
  (void)Do(client, "SET k new", "+QUEUED\r\n");
  CHECK(Ask(client, "CLIENT ID").starts_with("-ERR nearcached: "));
  CHECK(Ask(client, "EXEC").empty());
  CHECK(server.Asked() == Strings{"DISCARD"});
  CHECK(Answer(client, "DISCARD", "+OK\r\n") ==
        "-EXECABORT Transaction discarded because of previous errors.\r\n");
  CHECK(stats().pinned.value() == 0);
  CHECK(Do(client, "LLEN l", ":0\r\n") == ":0\r\n");
}

TEST_CASE_FIXTURE(Pinned, "SHUTDOWN in MULTI is refused in the server's words, elsewhere in ours") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SHUTDOWN").starts_with("-ERR SHUTDOWN is not passed on"));
  (void)Do(client, "MULTI", "+OK\r\n");
  CHECK(Ask(client, "SHUTDOWN NOSAVE") == "-ERR Command not allowed inside a transaction\r\n");
  CHECK(Ask(client, "EXEC").empty());
  CHECK(server.Asked() == Strings{"DISCARD"});  // and nothing of SHUTDOWN
  CHECK(Answer(client, "DISCARD", "+OK\r\n") ==
        "-EXECABORT Transaction discarded because of previous errors.\r\n");
  CHECK(Ask(client, "SHUTDOWN").starts_with("-ERR SHUTDOWN is not passed on"));
}

TEST_CASE_FIXTURE(Pinned, "SELECT in a transaction is queued, and the link stays with the client") {
  Start();
  FakeConnection& client = Connect();
  (void)Do(client, "MULTI", "+OK\r\n");
  server.select = "+QUEUED\r\n";
  CHECK(Ask(client, "SELECT 3") == "+QUEUED\r\n");
  CHECK(Do(client, "SET k new", "+QUEUED\r\n") == "+QUEUED\r\n");
  CHECK(Do(client, "EXEC", "*2\r\n+OK\r\n+OK\r\n") == "*2\r\n+OK\r\n+OK\r\n");
  CHECK(stats().pinned.value() == 1);
  CHECK(Do(client, "GET k", "$3\r\nnew\r\n") == "$3\r\nnew\r\n");  // of that database
  CHECK(stats().pinned.value() == 1);
}

TEST_CASE_FIXTURE(Pinned, "a refusal on the client's own link makes EXEC fail too") {
  Start();
  FakeConnection& client = Connect();
  (void)Do(client, "READONLY", "+OK\r\n");
  (void)Do(client, "MULTI", "+OK\r\n");
  (void)Do(client, "SET k new", "+QUEUED\r\n");
  CHECK(Ask(client, "SHUTDOWN") == "-ERR Command not allowed inside a transaction\r\n");
  CHECK(Ask(client, "EXEC") == "-EXECABORT Transaction discarded because of previous errors.\r\n");
  CHECK(server.Asked() == Strings{"DISCARD"});
  CHECK(Answer(client, "DISCARD", "+OK\r\n").empty());
  CHECK(Ask(client, "PING") == "+PONG\r\n");
}

TEST_CASE_FIXTURE(Pinned,
                  "WAIT follows a command of its link, so that it counts what was written") {
  Start();
  FakeConnection& client = Connect();
  (void)Do(client, "SET k v", "+OK\r\n");
  CHECK(Ask(client, "WAIT 1 100").empty());
  const std::size_t pings = server.Times("PING");
  CHECK(Answer(client, "WAIT 1 100", ":1\r\n") == ":1\r\n");
  CHECK(Ask(client, "WAIT 1 100").empty());  // on the same link
  CHECK(server.Times("PING") == pings + 1);
  CHECK(Answer(client, "WAIT 1 100", ":1\r\n") == ":1\r\n");
  CHECK(stats().pinned.value() == 0);
}

TEST_CASE_FIXTURE(Pinned, "CLIENT UNBLOCK reaches the link that waits for the other client") {
  Start();
  FakeConnection& waits = Connect();
  FakeConnection& other = Connect();
  CHECK(Ask(other, "CLIENT UNBLOCK 1") == ":0\r\n");
  CHECK(Ask(waits, "BLPOP l 0").empty());
  CHECK(Ask(other, "CLIENT UNBLOCK 1 SOMEHOW").starts_with("-ERR CLIENT UNBLOCK reason"));
  CHECK(Ask(other, "CLIENT UNBLOCK 1 ERROR").empty());
  // The server's id of that link, not ours of the client.
  CHECK(Answer(other, "CLIENT UNBLOCK 77 ERROR", ":1\r\n") == ":1\r\n");
  CHECK(Answer(waits, "BLPOP l 0", "-UNBLOCKED by another\r\n") == "-UNBLOCKED by another\r\n");
}

TEST_CASE_FIXTURE(Pinned, "a CLIENT UNBLOCK that comes too late unblocks nobody else") {
  Start();
  FakeConnection& waits = Connect();
  FakeConnection& other = Connect();
  CHECK(Ask(waits, "BLPOP l 0").empty());
  CHECK(Ask(other, "CLIENT UNBLOCK 1").empty());
  // While it is on its way the client gets its element, and another one blocks.
  CHECK(Answer(waits, "BLPOP l 0", "*2\r\n$1\r\nl\r\n$1\r\nx\r\n").starts_with("*2"));
  CHECK(stats().pinned.value() == 0);
  CHECK(worker->pool().stats().exclusive_idle.value() == 0);  // the link the id stands for is gone
  CHECK(worker->pool().stats().closed_returned.value() == 1);
  CHECK(Answer(other, "CLIENT UNBLOCK 77", ":0\r\n") == ":0\r\n");
}

TEST_CASE_FIXTURE(Pinned, "commands.deny and a read-only listener refuse, on every path") {
  config.commands.deny = {"FLUSHALL", "config"};
  listener.config.read_only = true;
  Start();
  FakeConnection& client = Connect();
  for (const char* line : {"FLUSHALL", "flushall", "CONFIG SET a b", "CONFIG GET a"}) {
    CAPTURE(line);
    CHECK(Ask(client, line).ends_with("is refused by commands.deny\r\n"));
  }
  for (const char* line : {"SET k v", "EVAL x 0", "NOSUCH k", "BLPOP l 0", "FCALL f 0"}) {
    CAPTURE(line);
    CHECK(Ask(client, line).ends_with("may write, and this listener is read_only\r\n"));
  }
  CHECK(stats().denied.value() == 9);
  CHECK(Do(client, "LLEN l", ":0\r\n") == ":0\r\n");
  (void)Do(client, "MULTI", "+OK\r\n");
  CHECK(Ask(client, "SET k v").starts_with("-ERR nearcached: "));
  CHECK(Ask(client, "EXEC").empty());
  CHECK(Answer(client, "DISCARD", "+OK\r\n").starts_with("-EXECABORT"));
}

TEST_CASE_FIXTURE(Pinned, "DISCARD and UNWATCH give the link back") {
  Start();
  FakeConnection& client = Connect();
  (void)Do(client, "MULTI", "+OK\r\n");
  (void)Do(client, "SET k new", "+QUEUED\r\n");
  CHECK(Do(client, "DISCARD", "+OK\r\n") == "+OK\r\n");
  CHECK(stats().pinned.value() == 0);
  (void)Do(client, "WATCH k", "+OK\r\n");
  CHECK(stats().pinned.value() == 1);
  CHECK(Do(client, "UNWATCH", "+OK\r\n") == "+OK\r\n");
  CHECK(stats().pinned.value() == 0);
}

TEST_CASE_FIXTURE(Pinned, "WATCH, reads and MULTI share one connection") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  CHECK(Ask(client, "WATCH k").empty());
  FakeConnection& link = server.ConnectionOf("WATCH k");
  (void)Answer(client, "WATCH k", "+OK\r\n");
  for (const char* line : {"GET k", "MULTI", "SET k w"}) {
    CAPTURE(line);
    CHECK(Ask(client, line).empty());
    CHECK(&server.ConnectionOf(line) == &link);
    (void)Answer(client, line, "+QUEUED\r\n");
  }
  CHECK(Do(client, "EXEC", "*-1\r\n") == "*-1\r\n");
  CHECK(stats().pinned.value() == 0);
}

TEST_CASE_FIXTURE(Pinned, "EXEC and DISCARD without MULTI are for the upstream to refuse") {
  Start();
  FakeConnection& client = Connect();
  for (const char* line : {"EXEC", "DISCARD", "UNWATCH"}) {
    CAPTURE(line);
    CHECK(Do(client, line, "-ERR without MULTI\r\n") == "-ERR without MULTI\r\n");
    CHECK(stats().pinned.value() == 0);
  }
}

TEST_CASE_FIXTURE(Pinned, "a MULTI that the server refuses opens nothing") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Do(client, "MULTI", "-ERR no\r\n") == "-ERR no\r\n");
  CHECK(stats().pinned.value() == 0);
  Cache(client, "k", "v");
}

TEST_CASE_FIXTURE(Pinned, "a client that loses its transaction is told, and closed") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "MULTI").empty());
  FakeConnection& link = server.ConnectionOf("MULTI");
  (void)Answer(client, "MULTI", "+OK\r\n");
  link.End(Code::kUnavailable);
  Turn();
  CHECK(client.TakeWritten() == "-" + std::string(proto::kErrConnectionLost) + "\r\n");
  CHECK(client.closed());
  CHECK(stats().closed_upstream.value() == 1);
}

TEST_CASE_FIXTURE(Pinned,
                  "a client that leaves in the middle of a transaction takes its link along") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "MULTI").empty());
  FakeConnection& link = server.ConnectionOf("MULTI");
  (void)Answer(client, "MULTI", "+OK\r\n");
  client.End(Code::kUnavailable);
  Turn();
  CHECK(client.closed());
  CHECK(link.closed());
}

TEST_CASE_FIXTURE(Pinned, "what was sent behind a refused MULTI is not carried out one by one") {
  config.upstream.pool.max_active = 1;
  config.upstream.pool.max_wait = {};
  Start();
  FakeConnection& first = Connect();
  (void)Do(first, "MULTI", "+OK\r\n");
  for (const char* begin : {"MULTI", "WATCH k"}) {
    CAPTURE(begin);
    FakeConnection& second = Connect();
    std::string lines = std::string("PING\r\n") + begin;
    SUBCASE("in one batch") {
      lines += "\r\nINCR a\r\nINCR b\r\nEXEC";
    }
    SUBCASE("of which more has come than a batch holds") {
      lines = begin;
      for (std::size_t i = 1; i < RequestBatch::kMax; ++i) {
        lines.insert(0, "PING\r\n");  // MULTI is the last of the batch
      }
      lines += "\r\nINCR a";
    }
    const std::string said = Ask(second, lines);
    CHECK(said.starts_with("+PONG\r\n"));
    CHECK(said.find("upstream.pool.max_active") != std::string::npos);
    CHECK(std::count(said.begin(), said.end(), '-') == 1);
    CHECK(second.closed());
  }
  CHECK(server.Asked().empty());
  CHECK(stats().closed_upstream.value() == 2);
}

TEST_CASE_FIXTURE(Pinned, "when no link is left MULTI is refused, and the client goes on") {
  config.upstream.pool.max_active = 1;
  config.upstream.pool.max_wait = {};
  Start();
  FakeConnection& first = Connect();
  FakeConnection& second = Connect();
  (void)Do(first, "MULTI", "+OK\r\n");
  CHECK(Ask(second, "MULTI").find("upstream.pool.max_active") != std::string::npos);
  CHECK(Ask(second, "PING") == "+PONG\r\n");
}

TEST_CASE_FIXTURE(Pinned,
                  "when no link is left MULTI waits for one, and nobody else waits with it") {
  config.upstream.pool.max_active = 1;
  Start();
  FakeConnection& first = Connect();
  FakeConnection& second = Connect();
  FakeConnection& third = Connect();
  (void)Do(first, "MULTI", "+OK\r\n");
  CHECK(Ask(second, "MULTI").empty());
  CHECK(Ask(third, "PING") == "+PONG\r\n");
  CHECK(Do(third, "DBSIZE", ":0\r\n") == ":0\r\n");
  CHECK(Do(first, "EXEC", "*0\r\n") == "*0\r\n");
  CHECK(Answer(second, "MULTI", "+OK\r\n") == "+OK\r\n");
  CHECK(server.Times("MULTI") == 2);
}

TEST_CASE_FIXTURE(Pinned, "a wait that is too long ends with an error, and the client goes on") {
  config.upstream.pool.max_active = 1;
  config.upstream.pool.max_wait = std::chrono::seconds(1);
  Start();
  FakeConnection& first = Connect();
  FakeConnection& second = Connect();
  (void)Do(first, "MULTI", "+OK\r\n");
  CHECK(Ask(second, "BLPOP q 0\r\nPING").empty());
  Wait(std::chrono::milliseconds(1100));
  const std::string said = second.TakeWritten();
  CHECK(said.find("upstream.pool.max_wait") != std::string::npos);
  CHECK(said.ends_with("\r\n+PONG\r\n"));
  CHECK(worker->pool().stats().exclusive_refused.value() == 1);
}

TEST_CASE_FIXTURE(Pinned, "clients that leave while they wait are forgotten") {
  config.upstream.pool.max_active = 1;
  Start();
  FakeConnection& first = Connect();
  (void)Do(first, "MULTI", "+OK\r\n");
  FakeConnection& reset = Connect();
  FakeConnection& left = Connect();
  FakeConnection& stays = Connect();
  for (FakeConnection* client : {&reset, &left, &stays}) {
    CHECK(Ask(*client, "MULTI").empty());
  }
  CHECK(worker->pool().stats().exclusive_waiting.value() == 3);
  reset.End(Code::kUnavailable);
  left.End(Code::kEof);
  Turn();
  CHECK(reset.closed());
  CHECK(left.closed());
  CHECK(worker->pool().stats().exclusive_waiting.value() == 1);
  (void)Do(first, "EXEC", "*0\r\n");
  CHECK(Answer(stays, "MULTI", "+OK\r\n") == "+OK\r\n");
}

TEST_CASE_FIXTURE(Pinned, "a client that needs no link any more when its turn comes passes it on") {
  config.upstream.pool.max_active = 1;
  Start();
  FakeConnection& holder = Connect();
  (void)Do(holder, "MULTI", "+OK\r\n");
  FakeConnection& first = Connect();
  FakeConnection& second = Connect();
  FakeConnection& third = Connect();
  CHECK(Ask(first, "SELECT 5").empty());
  CHECK(Ask(second, "SELECT 5").empty());  // the answer to the first one answers this one too
  CHECK(Ask(third, "MULTI").empty());
  (void)Do(holder, "EXEC", "*0\r\n");
  Turn();
  CHECK(first.TakeWritten() == "+OK\r\n");
  CHECK(second.TakeWritten() == "+OK\r\n");
  CHECK(Answer(third, "MULTI", "+OK\r\n") == "+OK\r\n");
  CHECK(worker->pool().exclusive().promised() == 0);
}

TEST_CASE_FIXTURE(Pinned, "a drain does not wait for those who wait for a link") {
  config.upstream.pool.max_active = 1;
  Start();
  FakeConnection& first = Connect();
  FakeConnection& second = Connect();
  (void)Do(first, "MULTI", "+OK\r\n");
  CHECK(Ask(second, "MULTI").empty());
  worker->StartDrain();
  Turn();
  CHECK(second.closed());
  CHECK(worker->pool().stats().exclusive_waiting.value() == 0);
}

TEST_CASE_FIXTURE(Pinned, "a link whose transaction may still be open is never lent again") {
  Start();
  FakeConnection& client = Connect();
  (void)Do(client, "MULTI", "+OK\r\n");
  CHECK(Ask(client, "EXEC").empty());
  FakeConnection& link = server.ConnectionOf("EXEC");
  SUBCASE("EXEC was refused") {
    (void)Answer(client, "EXEC", "-LOADING no\r\n");
  }
  SUBCASE("EXEC was not answered in time") {
    Wait(6s);
  }
  CHECK(link.closed());
  CHECK(worker->pool().stats().exclusive_idle.value() == 0);
  CHECK(stats().pinned.value() == 0);
}

TEST_CASE_FIXTURE(Pinned, "a client that has sent its transaction and no more hears how it ended") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "MULTI\r\nINCR k\r\nEXEC").empty());
  client.End(Code::kEof);
  Turn();
  CHECK_FALSE(client.closed());
  (void)Answer(client, "MULTI", "+OK\r\n");
  (void)Answer(client, "INCR k", "+QUEUED\r\n");
  CHECK(Answer(client, "EXEC", "*1\r\n:1\r\n") == "*1\r\n:1\r\n");
  CHECK(client.closed());
}

TEST_CASE_FIXTURE(Pinned, "MULTI with an argument is refused by the server, and opens nothing") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Do(client, "MULTI x", "-ERR wrong number\r\n") == "-ERR wrong number\r\n");
  CHECK(stats().pinned.value() == 0);
}

TEST_CASE_FIXTURE(Pinned, "what a transaction reads does not go back in time after EXEC") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  (void)Do(client, "MULTI", "+OK\r\n");
  (void)Do(client, "GET k", "+QUEUED\r\n");
  Cache(other, "k", "old");
  CHECK(Do(client, "EXEC", "*1\r\n$3\r\nnew\r\n") == "*1\r\n$3\r\nnew\r\n");
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Pinned, "a FLUSHALL in a transaction empties L1 again at EXEC") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  (void)Do(client, "MULTI", "+OK\r\n");
  (void)Do(client, "FLUSHALL", "+QUEUED\r\n");
  Cache(other, "k", "old");
  (void)Do(client, "EXEC", "*1\r\n+OK\r\n");
  CHECK_FALSE(Cached("k"));
}

// ---- blocking commands --------------------------------------------------------------------------

TEST_CASE_FIXTURE(Pinned, "a blocked client waits on a link of its own, and holds up nobody") {
  Start();
  FakeConnection& blocked = Connect();
  FakeConnection& other = Connect();
  CHECK(Ask(blocked, "BLPOP q 0\r\nPING").empty());
  CHECK(Do(other, "LPUSH q x", ":1\r\n") == ":1\r\n");
  Wait(60s);
  CHECK(blocked.TakeWritten().empty());
  server.Answer("BLPOP q 0", "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
  Turn();
  CHECK(blocked.TakeWritten() == "*2\r\n$1\r\nq\r\n$1\r\nx\r\n+PONG\r\n");
  CHECK(stats().pinned.value() == 0);
}

TEST_CASE_FIXTURE(Pinned, "a blocking command that fails leaves a link that is as good as before") {
  Start();
  FakeConnection& client = Connect();
  constexpr const char* kError = "-WRONGTYPE Operation against a key of the wrong kind\r\n";
  CHECK(Do(client, "BLMOVE q string LEFT LEFT 0", kError) == kError);
  CHECK(worker->pool().stats().closed_returned.value() == 0);
  CHECK(Do(client, "BLPOP q 1", "*-1\r\n") == "*-1\r\n");
  CHECK(worker->pool().stats().opened_demand.value() == 1);
}

TEST_CASE_FIXTURE(Pinned, "blocking commands reach the server in the order in which they came") {
  Start();
  FakeConnection& holder = Connect();
  FakeConnection& first = Connect();
  FakeConnection& second = Connect();
  CHECK(Ask(holder, "BLPOP other 0").empty());
  server.accepts = false;
  CHECK(Ask(first, "BLPOP q 0").empty());  // a connection is made for it
  server.Answer("BLPOP other 0", "*-1\r\n");
  Turn();  // and one comes back meanwhile
  CHECK(Ask(second, "BLMOVE q r LEFT LEFT 0").empty());
  server.accepts = true;
  Turn();
  CHECK(server.Asked() == std::vector<std::string>{"BLPOP q 0", "BLMOVE q r LEFT LEFT 0"});
  CHECK(Answer(second, "BLMOVE q r LEFT LEFT 0", "$1\r\ny\r\n") == "$1\r\ny\r\n");
  CHECK(Answer(first, "BLPOP q 0", "*2\r\n$1\r\nq\r\n$1\r\nx\r\n").ends_with("x\r\n"));
  CHECK(stats().pinned.value() == 0);
}

TEST_CASE_FIXTURE(Pinned, "when a blocked client vanishes the server is told by closing its link") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "BLPOP q 0").empty());
  FakeConnection& link = server.ConnectionOf("BLPOP q 0");
  SUBCASE("closed") {
    client.End(Code::kEof);
  }
  SUBCASE("reset") {
    client.End(Code::kUnavailable);
  }
  Turn();
  CHECK(link.closed());
  CHECK(client.closed());
}

TEST_CASE_FIXTURE(Pinned, "a blocked client that sent more ahead than is read may vanish as well") {
  config.upstream.pool.max_active = 1;
  Start();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  std::string ahead;
  while (ahead.size() < 128 * 1024) {
    ahead += "\r\nSET a b";
  }
  SUBCASE("while it is blocked") {
    CHECK(Ask(client, "BLPOP q 0" + ahead).empty());
    CHECK_FALSE(client.reading());
    client.EndUnread();
    CHECK(Ask(other, "MULTI").empty());
    Wait(1100ms);
    CHECK(client.closed());
    CHECK(Answer(other, "MULTI", "+OK\r\n") == "+OK\r\n");
  }
  SUBCASE("while it waits for a link") {
    CHECK(Do(other, "MULTI", "+OK\r\n") == "+OK\r\n");
    CHECK(Ask(client, "BLPOP q 0" + ahead).empty());
    CHECK_FALSE(client.reading());
    client.EndUnread();
    Wait(1100ms);
    CHECK(client.closed());
    CHECK(worker->pool().stats().exclusive_waiting.value() == 0);
  }
}

TEST_CASE_FIXTURE(Pinned,
                  "a blocking command with a timeout is given that long and a little more") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "BLPOP q 10").empty());
  Wait(14900ms);
  CHECK(client.TakeWritten().empty());
  Wait(200ms);
  CHECK(client.TakeWritten() == "-" + std::string(proto::kErrTimeout) + "\r\n");
}

TEST_CASE_FIXTURE(Pinned, "a blocking command waits until what went before is answered") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "LPUSH q x\r\nBLPOP q 0").empty());
  CHECK(server.Asked() == Strings{"LPUSH q x"});
  CHECK(Answer(client, "LPUSH q x", ":1\r\n") == ":1\r\n");
  CHECK(Answer(client, "BLPOP q 0", "*-1\r\n") == "*-1\r\n");
}

TEST_CASE_FIXTURE(Pinned, "inside MULTI a blocking command is queued like any other") {
  Start();
  FakeConnection& client = Connect();
  (void)Do(client, "MULTI", "+OK\r\n");
  CHECK(Do(client, "BLPOP q 0", "+QUEUED\r\n") == "+QUEUED\r\n");
  CHECK(Do(client, "EXEC", "*1\r\n*-1\r\n") == "*1\r\n*-1\r\n");
  CHECK(stats().pinned.value() == 0);
}

// ---- subscriptions ------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Pinned, "a subscriber and the server talk through") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SUBSCRIBE c").empty());
  FakeConnection& link = server.ConnectionOf("SUBSCRIBE c");
  const std::string confirmed = "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
  const std::string message = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
  CHECK(Answer(client, "SUBSCRIBE c", confirmed + message) == confirmed + message);
  link.Feed(message);
  Turn();
  CHECK(client.TakeWritten() == message);
  CHECK(Do(client, "UNSUBSCRIBE c", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n") ==
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n");
  client.End(Code::kEof);
  Turn();
  CHECK(link.closed());
}

TEST_CASE_FIXTURE(Pinned, "the last confirmation may be what is too much for its client") {
  config.limits.output_bytes_max = 100;
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SUBSCRIBE c").empty());
  FakeConnection& link = server.ConnectionOf("SUBSCRIBE c");
  client.SetRoom(0);
  CHECK(Answer(client, "SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n").empty());
  link.Feed("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$20\r\n01234567890123456789\r\n");
  CHECK_FALSE(client.closed());
  CHECK(Ask(client, "UNSUBSCRIBE c").empty());
  server.Answer("UNSUBSCRIBE c", "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n");
  Turn();
  CHECK(client.closed());
  CHECK(link.closed());
  CHECK(stats().closed_output.value() == 1);
}

TEST_CASE_FIXTURE(Pinned, "a subscription begins when everything before it is answered") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "GET k\r\nSUBSCRIBE c").empty());
  CHECK(server.Asked() == Strings{"GET k", "PTTL k"});
  AnswerFill("k", Bulk("v"));
  CHECK(client.TakeWritten() == Bulk("v"));
  CHECK(server.Asked() == Strings{"SUBSCRIBE c"});
}

TEST_CASE_FIXTURE(Pinned, "what a client writes in a passthrough concerns L1 all the same") {
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "HELLO 3");
  Cache(client, "k", "old");
  const std::string confirmed = ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
  CHECK(Do(client, "SUBSCRIBE c", confirmed) == confirmed);
  CHECK(Do(client, "SET k new", "+OK\r\n") == "+OK\r\n");
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Pinned, "a client that loses its subscription is closed") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "SUBSCRIBE c").empty());
  server.ConnectionOf("SUBSCRIBE c").End(Code::kUnavailable);
  Turn();
  CHECK(client.closed());
  CHECK(client.TakeWritten().empty());  // a message may have broken off: nothing fits behind it
}

TEST_CASE_FIXTURE(Pinned, "RESET ends a subscription and leaves an ordinary client") {
  Start();
  FakeConnection& client = Connect();
  (void)Do(client, "SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  CHECK(Ask(client, "RESET") == "+RESET\r\n");
  CHECK(stats().pinned.value() == 0);
  Cache(client, "k", "v");
}

TEST_CASE_FIXTURE(Pinned, "QUIT in a passthrough is answered after what the server still owes") {
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "HELLO 3");
  (void)Do(client, "SUBSCRIBE c", ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  CHECK(Ask(client, "LLEN l\r\nQUIT").empty());
  CHECK(Answer(client, "LLEN l", ":1\r\n") == ":1\r\n+OK\r\n");
  CHECK(client.closed());
}

TEST_CASE_FIXTURE(Pinned, "a client that tracks for itself does so on a link of its own") {
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "HELLO 3");
  server.tracking.clear();  // this one is the client's
  CHECK(Ask(client, "CLIENT TRACKING ON").empty());
  FakeConnection& link = server.ConnectionOf("CLIENT TRACKING ON");
  CHECK(Answer(client, "CLIENT TRACKING ON", "+OK\r\n") == "+OK\r\n");
  CHECK(Ask(client, "GET k").empty());
  CHECK(&server.ConnectionOf("GET k") == &link);
  CHECK(Answer(client, "GET k", "$1\r\nv\r\n") == "$1\r\nv\r\n");
  const std::string push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
  link.Feed(push);
  Turn();
  CHECK(client.TakeWritten() == push);
}

TEST_CASE_FIXTURE(Pinned, "nothing of ours comes into the middle of what the server says") {
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "HELLO 3");
  server.tracking.clear();  // this one is the client's
  CHECK(Ask(client, "CLIENT TRACKING ON").empty());
  FakeConnection& link = server.ConnectionOf("CLIENT TRACKING ON");
  CHECK(Answer(client, "CLIENT TRACKING ON", "+OK\r\n") == "+OK\r\n");
  const std::string push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
  link.Feed(push.substr(0, 9));
  Turn();
  std::string told = client.TakeWritten();
  CHECK(told == push.substr(0, told.size()));
  SUBCASE("an answer waits") {
    CHECK(Ask(client, "CLIENT GETNAME").empty());
    link.Feed(push.substr(9));
    Turn();
    told += client.TakeWritten();
    CHECK(told == push + "_\r\n");
  }
  SUBCASE("a complaint is left out") {
    client.Feed("*1\r\n:5\r\n");
    Turn();
    CHECK(client.TakeWritten().empty());
    CHECK(client.closed());
  }
}

TEST_CASE_FIXTURE(Pinned, "SUBSCRIBE in a transaction is queued, and subscribes at EXEC") {
  Start();
  FakeConnection& client = Connect();
  SUBCASE("RESP2") {
    (void)Do(client, "MULTI", "+OK\r\n");
    CHECK(Do(client, "SUBSCRIBE c", "+QUEUED\r\n") == "+QUEUED\r\n");
    CHECK(Do(client, "SET k new", "+QUEUED\r\n") == "+QUEUED\r\n");
    constexpr const char* kDone = "*2\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n+OK\r\n";
    CHECK(Do(client, "EXEC", kDone) == kDone);
    // What is published now gives back nobody's place.
    server.ping = "";
    CHECK(Ask(client, "PING").empty());
    FakeConnection& link = server.ConnectionOf("PING");
    link.Feed("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n");
    CHECK(worker->pool().stats().inflight.value() == 1);
    (void)client.TakeWritten();
  }
  SUBCASE("RESP3, where the confirmation inside the reply looks like a push") {
    (void)Ask(client, "HELLO 3");
    (void)Do(client, "MULTI", "+OK\r\n");
    CHECK(Do(client, "PSUBSCRIBE c*", "+QUEUED\r\n") == "+QUEUED\r\n");
    constexpr const char* kDone = "*1\r\n>3\r\n$10\r\npsubscribe\r\n$2\r\nc*\r\n:1\r\n";
    CHECK(Do(client, "EXEC", kDone) == kDone);
    CHECK(Do(client, "LLEN l", ":0\r\n") == ":0\r\n");
  }
  CHECK(stats().pinned.value() == 1);
}

TEST_CASE_FIXTURE(Pinned, "what a transaction may not do the server says, SYNC for one") {
  Start();
  FakeConnection& client = Connect();
  (void)Do(client, "MULTI", "+OK\r\n");
  constexpr const char* kNo = "-ERR Command not allowed inside a transaction\r\n";
  CHECK(Do(client, "SYNC", kNo) == kNo);
  CHECK(Do(client, "EXEC", "-EXECABORT Transaction discarded\r\n").starts_with("-EXECABORT"));
  CHECK(Do(client, "LLEN l", ":0\r\n") == ":0\r\n");
}

TEST_CASE_FIXTURE(Pinned, "a transaction inside a passthrough concerns L1 as any other") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  (void)Ask(client, "HELLO 3");
  (void)Do(client, "SUBSCRIBE c", ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  (void)Do(client, "MULTI", "+OK\r\n");
  (void)Do(client, "SET k new", "+QUEUED\r\n");
  Cache(other, "k", "old");
  CHECK(Do(client, "EXEC", "*1\r\n+OK\r\n") == "*1\r\n+OK\r\n");
  CHECK_FALSE(Cached("k"));
}

}  // namespace
}  // namespace nearcached
