// GET and MGET through a whole worker: hits, misses, coalescing, and what keeps L1 honest.
#include <chrono>

#include "proto/wire_errors.h"
#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

TEST_CASE_FIXTURE(WorkerFixture, "a miss is asked upstream once, a hit is not asked at all") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "GET k").empty());
  CHECK(server.Asked() == Strings{"GET k", "PTTL k"});
  AnswerFill("k", "$1\r\nv\r\n");
  CHECK(client.TakeWritten() == "$1\r\nv\r\n");
  CHECK(Ask(client, "GET k") == "$1\r\nv\r\n");
  CHECK(server.Asked().empty());
  CHECK(stats().hits.value() == 1);
  CHECK(stats().misses.value() == 1);
}

TEST_CASE_FIXTURE(WorkerFixture, "many clients that miss the same key are answered by one read") {
  Start();
  std::vector<FakeConnection*> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(&Connect());
    clients.back()->Feed("GET k\r\n");
  }
  Turn();
  CHECK(server.Asked() == Strings{"GET k", "PTTL k"});
  AnswerFill("k", "$1\r\nv\r\n");
  for (FakeConnection* client : clients) {
    CHECK(client->TakeWritten() == "$1\r\nv\r\n");
  }
  CHECK(worker->coherence().flights().stats().coalesced.value() == 19);
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "a missing key is remembered, and said in each client's protocol") {
  Start();
  FakeConnection& two = Connect();
  FakeConnection& three = Connect();
  (void)Ask(three, "HELLO 3");
  two.Feed("GET k\r\n");
  three.Feed("GET k\r\n");
  Turn();
  AnswerFill("k", "_\r\n", ":-2\r\n");
  CHECK(two.TakeWritten() == "$-1\r\n");
  CHECK(three.TakeWritten() == "_\r\n");
  CHECK(Ask(two, "GET k") == "$-1\r\n");
  CHECK(Ask(three, "GET k") == "_\r\n");
  CHECK(stats().hits.value() == 2);
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "replies keep the order of requests, whatever order they come in") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "hit", "h");
  CHECK(Ask(client, "GET lock:a\r\nGET hit\r\nPING\r\nGET b\r\nGET hit").empty());
  AnswerFill("b", "$1\r\nB\r\n");
  CHECK(client.TakeWritten().empty());
  CHECK(Answer(client, "GET lock:a", "$1\r\nA\r\n") ==
        "$1\r\nA\r\n$1\r\nh\r\n+PONG\r\n$1\r\nB\r\n$1\r\nh\r\n");
}

TEST_CASE("requests are understood wherever the network cuts them") {
  const std::string stream =
      "*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n";
  for (std::size_t cut = 1; cut <= stream.size(); ++cut) {
    CAPTURE(cut);
    WorkerFixture f;
    f.Start();
    FakeConnection& client = f.Connect();
    f.Cache(client, "k", "v");
    client.Feed(stream.substr(0, cut));
    f.Turn();
    client.Feed(stream.substr(cut));
    f.Turn();
    REQUIRE(client.TakeWritten() == "$1\r\nv\r\n+PONG\r\n+PONG\r\n$2\r\nhi\r\n");
  }
}

TEST_CASE_FIXTURE(WorkerFixture, "a pushed key is asked for again") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  Push("k");
  Cache(client, "k", "new");
  CHECK(Ask(client, "GET k") == Bulk("new"));
}

TEST_CASE_FIXTURE(WorkerFixture, "an entry is served until its end and not at it") {
  config.l1.ttl = 2s;
  config.l1.ttl_jitter = 0;
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  Wait(2s - 1ms);
  CHECK(Ask(client, "GET k") == Bulk("v"));
  Wait(1ms);
  CHECK(Ask(client, "GET k").empty());
  AnswerFill("k", "$-1\r\n", ":-2\r\n");
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "a large hit is sent from where it lies, even if it goes meanwhile") {
  Start();
  FakeConnection& client = Connect();
  const std::string value(100'000, 'x');
  Cache(client, "k", value);
  client.SetRoom(1000);
  CHECK(Ask(client, "GET k").size() == 1000);
  Push("k");
  client.SetRoom(FakeConnection::kEndless);
  Turn();
  CHECK(client.TakeWritten() == Bulk(value).substr(1000));
}

TEST_CASE_FIXTURE(WorkerFixture, "a value too large for L1 streams through to everybody") {
  config.l1.entry_bytes_max = 1024;
  Start();
  FakeConnection& a = Connect();
  FakeConnection& b = Connect();
  a.Feed("GET k\r\n");
  b.Feed("GET k\r\n");
  Turn();
  const std::string reply = Bulk(std::string(300'000, 'y'));
  FakeConnection& upstream = server.ConnectionOf("GET k");
  server.Answer("GET k", reply.substr(0, 100'000));
  Turn();
  std::string at_a = a.TakeWritten();
  CHECK(at_a.size() == 100'000);
  upstream.Feed(reply.substr(100'000));
  server.Answer("PTTL k", ":-1\r\n");
  Turn();
  CHECK(at_a + a.TakeWritten() == reply);
  CHECK(b.TakeWritten() == reply);
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "a value that breaks off in the middle ends its client's connection") {
  config.l1.entry_bytes_max = 1024;
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "GET k");
  CHECK(Answer(client, "GET k", "$300000\r\nbegin") == "$300000\r\nbegin");
  server.tracking_connection().End(Code::kUnavailable);
  Turn();
  CHECK(client.TakeWritten().empty());  // no error line in the middle of a value
  CHECK(client.closed());
  CHECK(stats().closed_upstream.value() == 1);
}

TEST_CASE_FIXTURE(WorkerFixture, "keys that rules keep out of L1 go past it on the client's lane") {
  NeverCache("no:");
  Start();
  FakeConnection& client = Connect();
  for (const char* key : {"no:1", "lock:1"}) {
    CAPTURE(key);
    const std::string get = "GET " + std::string(key);
    CHECK(Ask(client, get).empty());
    CHECK(server.Asked() == Strings{get});
    CHECK(Answer(client, get, "$1\r\nx\r\n") == "$1\r\nx\r\n");
  }
  CHECK(stats().bypass_policy.value() == 2);
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "until tracking is armed reads go past L1, and nothing is stored") {
  server.tracking.clear();
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "GET k").empty());
  CHECK(Answer(client, "GET k", "$1\r\nx\r\n") == "$1\r\nx\r\n");
  CHECK(stats().bypass_not_armed.value() == 1);
}

TEST_CASE_FIXTURE(WorkerFixture, "without L1 everything is forwarded") {
  config.l1.enabled = false;
  Start();
  FakeConnection& client = Connect();
  for (int i = 0; i < 2; ++i) {
    CHECK(Ask(client, "GET k").empty());
    CHECK(server.Asked() == Strings{"GET k"});
    CHECK(Answer(client, "GET k", "$1\r\nx\r\n") == "$1\r\nx\r\n");
  }
  CHECK(dialer.dials() == 1);
}

TEST_CASE_FIXTURE(WorkerFixture, "a cache that was switched off is empty when it is on again") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  worker->SetCacheEnabled(false);
  CHECK(Ask(client, "GET k").empty());
  CHECK(Answer(client, "GET k", "$1\r\nx\r\n") == "$1\r\nx\r\n");
  CHECK(stats().bypass_disabled.value() == 1);
  worker->SetCacheEnabled(true);
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(WorkerFixture, "an error is handed on and not remembered") {
  Start();
  FakeConnection& client = Connect();
  for (int i = 0; i < 2; ++i) {
    CHECK(Ask(client, "GET k").empty());
    AnswerFill("k", "-WRONGTYPE no\r\n");
    CHECK(client.TakeWritten() == "-WRONGTYPE no\r\n");
  }
}

TEST_CASE_FIXTURE(WorkerFixture, "a client that leaves does not take the read from the others") {
  Start();
  FakeConnection& leaver = Connect();
  FakeConnection& stayer = Connect();
  leaver.Feed("GET k\r\n");
  stayer.Feed("GET k\r\n");
  Turn();
  leaver.End(Code::kUnavailable);
  Turn();
  CHECK(leaver.closed());
  AnswerFill("k", "$1\r\nv\r\n");
  CHECK(stayer.TakeWritten() == "$1\r\nv\r\n");
  CHECK(Cached("k"));
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "a read that takes too long is told so; its late answer fills nothing") {
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "GET k");
  server.ping.clear();
  FakeConnection& upstream = server.ConnectionOf("GET k");
  for (int i = 0; i < 49; ++i) {
    Wait(100ms);
    upstream.Feed(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nz\r\n");  // it lives
  }
  Wait(100ms);
  CHECK(client.TakeWritten() == "-" + std::string(proto::kErrTimeout) + "\r\n");
  AnswerFill("k", "$1\r\nv\r\n");
  CHECK(client.TakeWritten().empty());
  server.ping = "+PONG\r\n";
  Turn();
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "GET with the wrong number of arguments is for the upstream to judge") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "GET").empty());
  CHECK(Answer(client, "GET", "-ERR wrong number\r\n") == "-ERR wrong number\r\n");
  CHECK(Ask(client, "GET a b").empty());
  CHECK(Answer(client, "GET a b", "-ERR wrong number\r\n") == "-ERR wrong number\r\n");
}

// ---- MGET ---------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(WorkerFixture, "MGET asks for the keys it misses only, and answers in order") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "b", "B");
  CHECK(Ask(client, "MGET a b c a").empty());
  CHECK(server.Asked() == Strings{"GET a", "PTTL a", "GET c", "PTTL c"});
  AnswerFill("a", "$1\r\nA\r\n");
  CHECK(client.TakeWritten().empty());
  AnswerFill("c", "$-1\r\n", ":-2\r\n");
  CHECK(client.TakeWritten() == "*4\r\n$1\r\nA\r\n$1\r\nB\r\n$-1\r\n$1\r\nA\r\n");
  CHECK(Ask(client, "MGET c b a") == "*3\r\n$-1\r\n$1\r\nB\r\n$1\r\nA\r\n");
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "MGET says nil for a key of another type, and passes other errors on") {
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "MGET a b");
  AnswerFill("a", "-WRONGTYPE no\r\n");
  AnswerFill("b", "$1\r\nB\r\n");
  CHECK(client.TakeWritten() == "*2\r\n$-1\r\n$1\r\nB\r\n");
  (void)Ask(client, "MGET a b");
  AnswerFill("a", "-NOPERM no\r\n");
  CHECK(client.TakeWritten() == "-NOPERM no\r\n");
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "an MGET that misses too many keys, or names one not cached, goes on whole") {
  config.l1.mget_fill_keys_max = 2;
  Start();
  FakeConnection& client = Connect();
  for (const char* line : {"MGET a b c", "MGET a lock:1"}) {
    CAPTURE(line);
    CHECK(Ask(client, line).empty());
    CHECK(server.Asked() == Strings{line});
    CHECK(Answer(client, line, "*0\r\n") == "*0\r\n");
  }
}

TEST_CASE_FIXTURE(WorkerFixture, "an MGET whose reads are lost is told so once") {
  config.upstream.retry_reads = false;
  Start();
  FakeConnection& client = Connect();
  Wait(2s);
  (void)Ask(client, "MGET a b");
  server.tracking_connection().End(Code::kUnavailable);
  Turn();
  CHECK(client.TakeWritten() == "-" + std::string(proto::kErrConnectionLost) + "\r\n");
  CHECK(Ask(client, "PING") == "+PONG\r\n");
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "reads that were on their way when their links died are repeated") {
  Start();
  FakeConnection& client = Connect();
  Wait(2s);
  CHECK(Ask(client, "GET a\r\nLLEN l").empty());
  server.tracking_connection().End(Code::kUnavailable);
  server.ConnectionOf("LLEN l").End(Code::kUnavailable);
  Turn();
  CHECK(client.TakeWritten().empty());
  CHECK(server.Times("GET a") == 2);
  CHECK(server.Times("LLEN l") == 2);
  CHECK(Answer(client, "GET a", Bulk("1")).empty());
  CHECK(Answer(client, "PTTL a", ":-1\r\n") == Bulk("1"));
  CHECK(Answer(client, "LLEN l", ":3\r\n") == ":3\r\n");
  CHECK(Ask(client, "GET a").empty());  // and has not filled
}

// ---- reload -------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(WorkerFixture, "after a reload of rules nothing of the old ones is served") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  NeverCache("k");
  worker->Reload(config);
  CHECK(Ask(client, "GET k").empty());
  CHECK(server.Asked() == Strings{"GET k"});
  (void)Answer(client, "GET k", "$-1\r\n");
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "a reload between a write and a read of one client changes no order") {
  NeverCache("k");
  Start();
  FakeConnection& client = Connect();
  SUBCASE("a read follows the write it cannot know of") {
    CHECK(Ask(client, "SET k new").empty());
    CHECK(server.Asked() == Strings{"SET k new"});
    config.rules.clear();
    worker->Reload(config);
    CHECK(Ask(client, "GET k\r\nMGET k").empty());
    CHECK(server.Asked() == Strings{"SET k new", "GET k", "MGET k"});  // no PTTL: on the lane
    server.Answer("SET k new", "+OK\r\n");
    server.Answer("GET k", "$3\r\nnew\r\n");
    (void)Answer(client, "MGET k", "*1\r\n$3\r\nnew\r\n");
  }
  SUBCASE("a write waits for the read it cannot know of") {
    config.rules.clear();
    worker->Reload(config);
    Wait(Duration(config.upstream.command_timeout));
    CHECK(Ask(client, "GET k").empty());
    CHECK(server.Asked() == Strings{"GET k", "PTTL k"});
    NeverCache("k");
    worker->Reload(config);
    CHECK(Ask(client, "SET k new").empty());
    CHECK(server.Asked() == Strings{"GET k", "PTTL k"});  // both unanswered still
    AnswerFill("k", "$3\r\nold\r\n");
    CHECK(client.TakeWritten() == "$3\r\nold\r\n");
    CHECK(server.Asked() == Strings{"SET k new"});
    (void)Answer(client, "SET k new", "+OK\r\n");
  }
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "after a reload nothing is stored until older writes must be answered") {
  NeverCache("k");
  Start();
  FakeConnection& writer = Connect();
  FakeConnection& client = Connect();
  (void)Ask(writer, "SET k new");  // judged by the old rules: it holds nothing
  config.rules.clear();
  worker->Reload(config);
  (void)Ask(client, "GET k");
  AnswerFill("k", "$3\r\nold\r\n");
  (void)client.TakeWritten();
  (void)Answer(writer, "SET k new", "+OK\r\n");
  CHECK_FALSE(Cached("k"));
  Wait(Duration(config.upstream.command_timeout));
  Cache(client, "k", "new");
  CHECK(Cached("k"));
}

TEST_CASE_FIXTURE(WorkerFixture, "what a function said is forgotten when functions are loaded") {
  config.l1.commands = {"fcall_ro"};
  Start();
  FakeConnection& client = Connect();
  const std::string call = "FCALL_RO f 1 k";
  CHECK(Ask(client, call).empty());
  server.Answer(call, ":1\r\n");
  CHECK(Answer(client, "PTTL k", ":-1\r\n") == ":1\r\n");
  CHECK(Ask(client, call) == ":1\r\n");
  CHECK(stats().hits.value() == 1);
  CHECK(Ask(client, "FUNCTION LOAD REPLACE library").empty());
  CHECK(Answer(client, "FUNCTION LOAD REPLACE library", Bulk("l")) == Bulk("l"));
  CHECK(Ask(client, call).empty());
  CHECK(server.Asked() == Strings{call, "PTTL k"});
  server.Answer(call, ":2\r\n");
  CHECK(Answer(client, "PTTL k", ":-1\r\n") == ":2\r\n");
}

}  // namespace
}  // namespace nearcached
