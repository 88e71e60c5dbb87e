// EVALSHA outlives the server that knew the script.
#include <chrono>
#include <string>

#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kNoScript = "-NOSCRIPT No matching script. Please use EVAL.\r\n";

class Scripts : public WorkerFixture {
 public:
  const std::string sha = "63143b6f8007b98c53ca2149822777b3566f9241";  // of "return"
  const std::string call = "EVALSHA " + sha + " 1 k";
  const std::string load = "SCRIPT LOAD return";

  // A client shows the script by EVAL.
  void Show(FakeConnection& client) {
    CHECK(Ask(client, "EVAL return 0").empty());
    CHECK(Answer(client, "EVAL return 0", "$-1\r\n") == "$-1\r\n");
  }
  // Every connection the server has breaks, and is made again.
  void RestartServer(FakeConnection& client) {
    (void)Ask(client, "LLEN l");
    server.ConnectionOf("LLEN l").End(Code::kUnavailable);
    Turn();
    (void)client.TakeWritten();
    Wait(2s);
  }
};

TEST_CASE_FIXTURE(Scripts, "a new connection is told the script before its first call, once") {
  Start();
  FakeConnection& client = Connect();
  Show(client);
  RestartServer(client);
  CHECK(Ask(client, call).empty());
  CHECK(server.Asked() == Strings{load, call});
  CHECK(Ask(client, call).empty());
  CHECK(server.Asked() == Strings{load, call, call});
  CHECK(Answer(client, load, Bulk(sha)).empty());  // nobody asked for that
  server.Answer(call, ":1\r\n");
  server.Answer(call, ":2\r\n");
  Turn();
  CHECK(client.TakeWritten() == ":1\r\n:2\r\n");
  CHECK(worker->upstream_stats().script_loads.value() == 1);
}

TEST_CASE_FIXTURE(Scripts, "a script is told as well by SCRIPT LOAD, and called by EVALSHA_RO") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, load).empty());
  CHECK(Answer(client, load, Bulk(sha)) == Bulk(sha));
  RestartServer(client);
  const std::string readonly = "EVALSHA_RO " + sha + " 0";
  CHECK(Ask(client, readonly).empty());
  CHECK(server.Asked() == Strings{load, readonly});
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, readonly, ":1\r\n") == ":1\r\n");
}

TEST_CASE_FIXTURE(Scripts, "a script is shown as well by an EVAL_RO whose reply may be cached") {
  config.l1.commands = {"eval_ro"};
  Start();
  FakeConnection& client = Connect();
  const std::string shown = "EVAL_RO return 1 k";
  CHECK(Ask(client, shown).empty());
  server.Answer(shown, ":1\r\n");
  CHECK(Answer(client, "PTTL k", ":-1\r\n") == ":1\r\n");
  CHECK(Ask(client, shown) == ":1\r\n");
  CHECK(stats().hits.value() == 1);
  CHECK(Ask(client, call).empty());
  CHECK(server.Asked() == Strings{load, call});
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, call, ":1\r\n") == ":1\r\n");
}

TEST_CASE_FIXTURE(Scripts, "order is kept in a pipeline around the script that is told") {
  Start();
  FakeConnection& client = Connect();
  Show(client);
  CHECK(Ask(client, "SET k 1\r\n" + call + "\r\nLLEN l").empty());
  CHECK(server.Asked() == Strings{"SET k 1", load, call, "LLEN l"});
  server.Answer("SET k 1", "+OK\r\n");
  server.Answer(load, "-NOPERM no\r\n");
  server.Answer(call, ":1\r\n");
  CHECK(Answer(client, "LLEN l", ":0\r\n") == "+OK\r\n:1\r\n:0\r\n");
}

TEST_CASE_FIXTURE(Scripts,
                  "a script that nobody has shown, and one that was flushed, are NOSCRIPT") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, call).empty());
  CHECK(server.Asked() == Strings{call});
  CHECK(Answer(client, call, kNoScript) == kNoScript);
  Show(client);
  CHECK(Ask(client, "SCRIPT FLUSH\r\n" + call).empty());
  CHECK(server.Asked() == Strings{"SCRIPT FLUSH", call});
  server.Answer("SCRIPT FLUSH", "+OK\r\n");
  CHECK(Answer(client, call, kNoScript) == "+OK\r\n" + std::string(kNoScript));
  CHECK(worker->script_stats().remembered.value() == 0);
}

TEST_CASE_FIXTURE(Scripts,
                  "a call that finds the script flushed from elsewhere is sent once more") {
  Start();
  FakeConnection& client = Connect();
  Show(client);
  CHECK(Ask(client, call).empty());
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, call, ":1\r\n") == ":1\r\n");
  CHECK(Ask(client, call).empty());
  const std::string exists = "SCRIPT EXISTS " + sha;
  CHECK(Answer(client, call, kNoScript).empty());
  CHECK(Ask(client, "LLEN l").empty());
  CHECK(server.Asked() == Strings{exists});  // what comes later waits
  CHECK(Answer(client, exists, "*1\r\n:0\r\n").empty());
  CHECK(server.Asked() == Strings{load, call});
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, call, ":2\r\n") == ":2\r\n");
  CHECK(Answer(client, "LLEN l", ":0\r\n") == ":0\r\n");
  CHECK(worker->script_stats().repaired.value() == 1);
}

TEST_CASE_FIXTURE(Scripts, "an error that a script makes up itself is passed on, not run again") {
  Start();
  FakeConnection& client = Connect();
  Show(client);
  CHECK(Ask(client, call).empty());
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, call, kNoScript).empty());
  CHECK(Answer(client, "SCRIPT EXISTS " + sha, "*1\r\n:1\r\n") == kNoScript);
  CHECK(server.Asked().empty());
  CHECK(server.Times(call) == 1);
}

TEST_CASE_FIXTURE(Scripts, "a call with later requests under way behind it keeps its NOSCRIPT") {
  Start();
  FakeConnection& client = Connect();
  Show(client);
  CHECK(Ask(client, call + "\r\nLLEN l").empty());
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, call, kNoScript) == kNoScript);
  CHECK(Answer(client, "LLEN l", ":0\r\n") == ":0\r\n");
  CHECK(Ask(client, call).empty());  // but the next one finds it
  CHECK(server.Asked() == Strings{load, call});
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, call, ":1\r\n") == ":1\r\n");
}

TEST_CASE_FIXTURE(Scripts, "a script that cannot be loaded is NOSCRIPT after one more attempt") {
  Start();
  FakeConnection& client = Connect();
  Show(client);
  CHECK(Ask(client, call).empty());
  server.Answer(load, "-NOPERM no\r\n");
  CHECK(Answer(client, call, kNoScript).empty());
  CHECK(Answer(client, "SCRIPT EXISTS " + sha, "*1\r\n:0\r\n").empty());
  server.Answer(load, "-NOPERM no\r\n");
  CHECK(Answer(client, call, kNoScript) == kNoScript);
  CHECK(worker->script_stats().remembered.value() == 0);
  CHECK(Ask(client, call).empty());
  CHECK(server.Asked() == Strings{call});
  (void)Answer(client, call, kNoScript);
}

TEST_CASE_FIXTURE(Scripts,
                  "a call that is lost on its second journey is lost, and not sent again") {
  Start();
  FakeConnection& client = Connect();
  Show(client);
  CHECK(Ask(client, call).empty());
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, call, kNoScript).empty());
  CHECK(Answer(client, "SCRIPT EXISTS " + sha, "*1\r\n:0\r\n").empty());
  server.ConnectionOf(call).End(Code::kUnavailable);
  Turn();
  CHECK(client.TakeWritten().starts_with("-ERR nearcached: "));
  Wait(2s);
  CHECK(server.Times(call) == 2);
  CHECK(server.Asked().empty());
}

TEST_CASE_FIXTURE(Scripts,
                  "inside MULTI the script is told over a lane before the call is queued") {
  Start();
  FakeConnection& client = Connect();
  Show(client);
  CHECK(Ask(client, "MULTI\r\n" + call + "\r\n" + call + "\r\nEXEC").empty());
  CHECK(server.Asked() == Strings{load, "MULTI"});  // the link of its own had to be made
  CHECK(&server.ConnectionOf("MULTI") != &server.ConnectionOf(load));
  CHECK(Answer(client, "MULTI", "+OK\r\n") == "+OK\r\n");
  CHECK(Answer(client, load, Bulk(sha)).empty());
  CHECK(server.Asked() == Strings{call, call, "EXEC"});
  server.Answer(call, "+QUEUED\r\n");
  server.Answer(call, "+QUEUED\r\n");
  CHECK(Answer(client, "EXEC", "*2\r\n:1\r\n:2\r\n") == "+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:2\r\n");
  CHECK(Ask(client, "MULTI\r\n" + call + "\r\nDISCARD").empty());  // the link knows by now
  CHECK(server.Asked() == Strings{"MULTI", call, "DISCARD"});
  server.Answer("MULTI", "+OK\r\n");
  server.Answer(call, "+QUEUED\r\n");
  (void)Answer(client, "DISCARD", "+OK\r\n");
}

TEST_CASE_FIXTURE(Scripts, "a call in MULTI whose script could not be told fails the transaction") {
  Start();
  FakeConnection& client = Connect();
  Show(client);
  CHECK(Ask(client, "MULTI").empty());
  CHECK(Answer(client, "MULTI", "+OK\r\n") == "+OK\r\n");
  CHECK(Ask(client, call).empty());
  CHECK(server.Asked() == Strings{load});
  server.ConnectionOf(load).End(Code::kUnavailable);
  Turn();
  Turn();
  CHECK(client.TakeWritten().starts_with("-ERR nearcached: "));
  CHECK(Ask(client, "EXEC").empty());
  CHECK(server.Asked() == Strings{"DISCARD"});
  CHECK(Answer(client, "DISCARD", "+OK\r\n") ==
        "-EXECABORT Transaction discarded because of previous errors.\r\n");
}

TEST_CASE_FIXTURE(
    Scripts,
    "an error instead of telling the script fails the call, a missing permission does not") {
  Start();
  FakeConnection& client = Connect();
  Show(client);
  CHECK(Ask(client, "MULTI").empty());
  CHECK(Answer(client, "MULTI", "+OK\r\n") == "+OK\r\n");
  CHECK(Ask(client, call).empty());
  CHECK(Answer(client, load, "-LOADING Redis is loading\r\n") == "-LOADING Redis is loading\r\n");
  CHECK(Ask(client, call).empty());  // told anew
  CHECK(Answer(client, load, "-NOPERM no permissions\r\n").empty());
  CHECK(server.Asked().back() == call);
  CHECK(Answer(client, call, "+QUEUED\r\n") == "+QUEUED\r\n");
}

TEST_CASE_FIXTURE(Scripts, "a client that has a link to itself needs no repair either") {
  Start();
  FakeConnection& client = Connect();
  Show(client);
  CHECK(Ask(client, "WATCH k").empty());
  (void)Answer(client, "WATCH k", "+OK\r\n");
  CHECK(Ask(client, call).empty());
  CHECK(server.Asked() == Strings{load, call});
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, call, ":1\r\n") == ":1\r\n");
  CHECK(Ask(client, "UNWATCH").empty());
  (void)Answer(client, "UNWATCH", "+OK\r\n");
}

TEST_CASE_FIXTURE(Scripts, "a call that is repaired holds its keys on both journeys") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  Show(client);
  Cache(other, "k", "old");
  CHECK(Ask(client, call).empty());
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, call, kNoScript).empty());
  CHECK(Answer(client, "SCRIPT EXISTS " + sha, "*1\r\n:0\r\n").empty());
  CHECK(Ask(other, "GET k").empty());
  AnswerFill("k", Bulk("old"));  // read before the script ran: must not stay
  CHECK(other.TakeWritten() == Bulk("old"));
  server.Answer(load, Bulk(sha));
  CHECK(Answer(client, call, "+OK\r\n") == "+OK\r\n");
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Scripts, "with a bound of zero every NOSCRIPT is the client's to see") {
  config.limits.scripts_bytes_max = 0;
  Start();
  FakeConnection& client = Connect();
  Show(client);
  CHECK(Ask(client, call).empty());
  CHECK(server.Asked() == Strings{call});
  CHECK(Answer(client, call, kNoScript) == kNoScript);
}

}  // namespace
}  // namespace nearcached
