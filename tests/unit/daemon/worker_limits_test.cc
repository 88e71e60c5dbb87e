// Bounds and endings: what happens to clients that ask too much, too slowly, or not at all.
#include <algorithm>
#include <chrono>

#include "proto/wire_errors.h"
#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

std::string Error(std::string_view line) {
  return "-" + std::string(line) + "\r\n";
}

TEST_CASE_FIXTURE(WorkerFixture, "a client with too much unanswered waits, and loses nothing") {
  config.limits.pipeline_max = 4;
  Start();
  FakeConnection& client = Connect();
  std::string requests;
  std::string replies;
  for (int i = 0; i < 20; ++i) {
    requests += "LLEN l" + std::to_string(i) + "\r\n";
    replies += ":" + std::to_string(i) + "\r\n";
  }
  client.Feed(requests);
  Turn();
  CHECK(server.Asked().size() == 4);
  std::string heard;
  for (int i = 0; i < 20; ++i) {
    heard += Answer(client, "LLEN l" + std::to_string(i), ":" + std::to_string(i) + "\r\n");
    CHECK(server.Asked().size() <= 4);
  }
  CHECK(heard == replies);
}

TEST_CASE_FIXTURE(WorkerFixture, "a client that is far ahead of itself is not read") {
  config.limits.pipeline_max = 2;
  Start();
  FakeConnection& client = Connect();
  client.Feed("LLEN a\r\nLLEN b\r\n" + std::string("ECHO ") + std::string(60'000, 'x') + "\r\n");
  Turn();
  CHECK(client.reading());
  client.Feed("ECHO " + std::string(60'000, 'y') + "\r\n");
  Turn();
  CHECK_FALSE(client.reading());
  CHECK(stats().reading_paused.value() == 1);
  (void)Answer(client, "LLEN a", ":1\r\n");
  const std::string heard = Answer(client, "LLEN b", ":2\r\n");
  CHECK(heard.ends_with(Bulk(std::string(60'000, 'x')) + Bulk(std::string(60'000, 'y'))));
  CHECK(client.reading());
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "a client that does not read its replies waits with its requests") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", std::string(10'000, 'x'));
  client.SetRoom(0);
  const std::string reply = Bulk(std::string(10'000, 'x'));
  std::string requests;
  for (int i = 0; i < 1000; ++i) {
    requests += "GET k\r\n";
  }
  client.Feed(requests);
  Turn();
  const std::uint64_t before = stats().hits.value();
  CHECK(before < 200);  // a megabyte, and not ten
  std::string heard;
  for (int i = 0; i < 1000 && heard.size() < 1000 * reply.size(); ++i) {
    client.SetRoom(100'000);
    Turn();
    heard += client.TakeWritten();
  }
  CHECK(heard.size() == 1000 * reply.size());
  CHECK(heard.starts_with(reply));
  CHECK(heard.ends_with(reply));
}

TEST_CASE_FIXTURE(WorkerFixture, "a client that lets too many bytes wait is closed") {
  config.limits.output_bytes_max = 100'000;
  Start();
  FakeConnection& client = Connect();
  client.SetRoom(0);
  (void)Ask(client, "LRANGE l 0 -1");
  server.Answer("LRANGE l 0 -1", Bulk(std::string(60'000, 'x')));
  Turn();
  CHECK_FALSE(client.closed());
  (void)Ask(client, "LRANGE l 0 -1");
  server.Answer("LRANGE l 0 -1", Bulk(std::string(60'000, 'x')));
  Turn();
  CHECK(client.closed());
  CHECK(stats().closed_output.value() == 1);
}

TEST_CASE_FIXTURE(WorkerFixture, "replies that wait behind an unanswered one count as well") {
  config.limits.output_bytes_max = 100'000;
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "GET slow\r\nLRANGE a 0 -1\r\nLRANGE b 0 -1");
  server.Answer("LRANGE a 0 -1", Bulk(std::string(60'000, 'x')));
  server.Answer("LRANGE b 0 -1", Bulk(std::string(60'000, 'x')));
  Turn();
  CHECK(client.closed());
}

TEST_CASE_FIXTURE(WorkerFixture, "a client that is closed at once is still sent what was ready") {
  config.limits.output_bytes_max = 100'000;
  Start();
  FakeConnection& client = Connect();
  SUBCASE("too much waits for it") {
    (void)Ask(client, "LLEN l\r\nGET lock:slow\r\nLRANGE a 0 -1");
    server.Answer("LLEN l", ":1\r\n");
    server.ConnectionOf("GET lock:slow").Feed("$1\r\nx\r\n" + Bulk(std::string(200'000, 'x')));
    Turn();
    CHECK(client.TakeWritten().starts_with(":1\r\n$1\r\nx\r\n"));
  }
  SUBCASE("the sidecar ends") {
    (void)Ask(client, "LLEN l");
    server.Answer("LLEN l", ":1\r\n");
    worker->Stop();
    CHECK(client.TakeWritten() == ":1\r\n");
  }
  CHECK(client.closed());
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "large replies are asked for a few at a time, small ones are not") {
  config.limits.output_bytes_max = 1'000'000;
  Start();
  FakeConnection& client = Connect();
  const auto request = [](int i) { return "LRANGE l" + std::to_string(i) + " 0 -1"; };
  const auto pipeline = [&](int count) {
    std::string lines;
    for (int i = 0; i < count; ++i) {
      lines += request(i) + "\r\n";
    }
    client.Feed(lines);
    Turn();
  };
  const std::string large = Bulk(std::string(100'000, 'x'));
  (void)Ask(client, request(0));
  CHECK(Answer(client, request(0), large) == large);
  pipeline(10);
  CHECK(server.Asked().size() == 3);  // a quarter of the limit, and the one that goes beyond
  for (int i = 0; i < 10; ++i) {
    CAPTURE(i);
    CHECK(Answer(client, request(i), large) == large);
    CHECK(server.Asked().size() <= 3);
  }
  for (int i = 0; i < 100; ++i) {
    (void)Ask(client, "LLEN l");
    CHECK(Answer(client, "LLEN l", ":1\r\n") == ":1\r\n");
  }
  pipeline(200);
  CHECK(server.Asked().size() == 200);
}

// ---- links and slow readers ---------------------------------------------------------------------

TEST_CASE_FIXTURE(WorkerFixture, "what waits for a reply of another link stops no link") {
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "GET slow\r\nLRANGE a 0 -1");
  FakeConnection& lane = server.ConnectionOf("LRANGE a 0 -1");
  lane.Feed("$4000000\r\n" + std::string(3'000'000, 'x'));
  Turn();
  CHECK(lane.reading());
  lane.Feed(std::string(1'000'000, 'x') + "\r\n");
  AnswerFill("slow", Bulk("v"));
  CHECK(client.TakeWritten().size() == 4'000'012 + Bulk("v").size());
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "a client that stands still is waited for once, one that reads always") {
  Start();
  FakeConnection& client = Connect();
  const std::string head = "$4000000\r\n" + std::string(3'000'000, 'x');
  const std::string rest = std::string(1'000'000, 'x') + "\r\n";
  client.SetRoom(0);
  (void)Ask(client, "LRANGE a 0 -1\r\nLRANGE b 0 -1");
  FakeConnection& lane = server.ConnectionOf("LRANGE a 0 -1");
  lane.Feed(head);
  Turn();
  CHECK_FALSE(lane.reading());
  Wait(900ms);
  CHECK_FALSE(lane.reading());
  SUBCASE("stands still") {
    Wait(200ms);
    CHECK(lane.reading());
    lane.Feed(rest + head);
    Turn();
    CHECK(lane.reading());
  }
  SUBCASE("reads") {
    for (int i = 0; i < 10; ++i) {
      client.SetRoom(50'000);
      Wait(900ms);
      CHECK_FALSE(lane.reading());
    }
    client.SetRoom(FakeConnection::kEndless);
    Wait(10ms);
    CHECK(lane.reading());
  }
}

TEST_CASE_FIXTURE(WorkerFixture, "half a request may take so long and no longer") {
  config.limits.request_timeout = 5s;
  Start();
  FakeConnection& client = Connect();
  client.Feed("*2\r\n$3\r\nGET\r\n$1");
  Wait(4s);
  client.Feed("\r\n");  // a sign of life
  Wait(4s);
  CHECK_FALSE(client.closed());
  Wait(2500ms);
  CHECK(client.closed());
  CHECK(stats().closed_request.value() == 1);
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "a silent client is closed where that is wanted, a waiting one never") {
  config.limits.client_idle_timeout = 3s;
  Start();
  FakeConnection& silent = Connect();
  FakeConnection& blocked = Connect();
  FakeConnection& watching = Connect();
  (void)Ask(blocked, "BLPOP q 0");
  (void)Ask(watching, "WATCH k");
  (void)Answer(watching, "WATCH k", "+OK\r\n");
  Wait(4500ms);
  CHECK(silent.closed());
  CHECK_FALSE(blocked.closed());
  CHECK(watching.closed());  // a WATCH holds a link that others may need
  CHECK(stats().closed_idle.value() == 2);
}

TEST_CASE_FIXTURE(WorkerFixture, "an idle client that gave its buffers back goes on as before") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  Wait(10s);
  Cache(client, "other", "w");
  CHECK(Ask(client, "SET x 1\r\nGET x").empty());
  CHECK(server.Asked() == Strings{"SET x 1", "GET x"});
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "bytes that are no request are answered with why, and end the client") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "LLEN l\r\n*1\r\n:3").empty());
  const std::string heard = Answer(client, "LLEN l", ":1\r\n");
  CHECK(heard.starts_with(":1\r\n-ERR Protocol error"));
  CHECK(client.closed());
  CHECK(stats().closed_protocol.value() == 1);
}

TEST_CASE_FIXTURE(WorkerFixture, "one client too many is told so and closed") {
  config.limits.clients_max = 2;
  Start();
  FakeConnection& first = Connect();
  (void)Connect();
  FakeConnection& third = Connect();
  CHECK(third.TakeWritten() == Error(proto::kErrMaxClients));
  CHECK(third.closed());
  CHECK(stats().rejected_full.value() == 1);
  first.End(Code::kEof);
  Turn();
  CHECK(Ask(Connect(), "PING") == "+PONG\r\n");
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "a client that has sent all it will send still hears its replies") {
  Start();
  FakeConnection& client = Connect();
  (void)Ask(client, "LLEN l");
  client.End(Code::kEof);
  Turn();
  CHECK_FALSE(client.closed());
  CHECK(Answer(client, "LLEN l", ":1\r\n") == ":1\r\n");
  CHECK(client.closed());
}

TEST_CASE_FIXTURE(WorkerFixture, "a reply for a client that has left reaches nobody else") {
  Start();
  FakeConnection& leaver = Connect();
  (void)Ask(leaver, "LLEN l");
  leaver.End(Code::kUnavailable);
  Turn();
  FakeConnection& next = Connect();  // takes the place of the one that left
  (void)Ask(next, "LLEN m");
  CHECK(Answer(next, "LLEN l", ":1\r\n").empty());
  CHECK(Answer(next, "LLEN m", ":2\r\n") == ":2\r\n");
}

// ---- the end ------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(WorkerFixture, "a drain answers what was asked, takes nobody in, and ends") {
  Start();
  FakeConnection& idle = Connect();
  FakeConnection& busy = Connect();
  (void)Ask(busy, "LLEN l");
  worker->StartDrain();
  Turn();
  CHECK(idle.closed());
  CHECK_FALSE(busy.closed());
  CHECK_FALSE(worker->drained());
  FakeConnection& late = Connect();
  CHECK(late.TakeWritten() == Error(proto::kErrDraining));
  CHECK(late.closed());
  CHECK(Answer(busy, "LLEN l", ":1\r\n") == ":1\r\n");
  CHECK(busy.closed());
  CHECK(worker->drained());
  CHECK(stats().closed_drain.value() == 2);
  CHECK(stats().rejected_draining.value() == 1);
}

TEST_CASE_FIXTURE(WorkerFixture, "a drain does not wait for subscribers or open transactions") {
  Start();
  FakeConnection& subscriber = Connect();
  (void)Ask(subscriber, "SUBSCRIBE c");
  (void)Answer(subscriber, "SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  FakeConnection& transaction = Connect();
  (void)Ask(transaction, "MULTI");
  (void)Answer(transaction, "MULTI", "+OK\r\n");
  worker->StartDrain();
  Turn();
  CHECK(worker->drained());
}

TEST_CASE_FIXTURE(WorkerFixture, "a stop in the middle of everything leaves nothing behind") {
  Start();
  FakeConnection& a = Connect();
  FakeConnection& b = Connect();
  FakeConnection& c = Connect();
  (void)Ask(a, "GET k\r\nSET z 1\r\nMGET x y\r\nEVAL s 0\r\nGET q");
  (void)Ask(b, "BLPOP q 0");
  (void)Ask(c, "MULTI\r\nSET k v\r\nEXEC");
  worker->Stop();  // the fixture looks at the rest
  CHECK(a.closed());
  CHECK(b.closed());
  CHECK(c.closed());
}

// ---- fairness on a lane
// --------------------------------------------------------------------------

TEST_CASE_FIXTURE(WorkerFixture,
                  "a light client is not behind more of a heavy one than the limit") {
  config.upstream.link_pipeline_max = 50;
  Start();
  FakeConnection& heavy = Connect();
  FakeConnection& light = Connect();
  std::string flood;
  for (int i = 0; i < 500; ++i) {
    flood += "SETRANGE heavy 0 x\r\n";
  }
  heavy.Feed(flood);
  Turn();
  CHECK(server.Times("SETRANGE heavy 0 x") == 50);
  CHECK(stats().crowded.value() >= 1);
  CHECK(Ask(light, "SETRANGE light 0 x").empty());  // taken at once, though the lane is full
  CHECK(server.Times("SETRANGE light 0 x") == 1);
  // Each answer lets the heavy one go on, and in the end it has all its answers.
  for (int i = 0; i < 50; ++i) {
    server.Answer("SETRANGE heavy 0 x", ":1\r\n");
  }
  server.Answer("SETRANGE light 0 x", ":7\r\n");
  Turn();
  CHECK(light.TakeWritten() == ":7\r\n");
  std::size_t answered = heavy.TakeWritten().size() / 4;
  CHECK(answered == 50);
  for (int i = 50; i < 500; ++i) {
    server.Answer("SETRANGE heavy 0 x", ":1\r\n");
    Turn();
  }
  CHECK(heavy.TakeWritten().size() / 4 == 450);
  CHECK(server.Times("SETRANGE heavy 0 x") == 500);
}

TEST_CASE_FIXTURE(WorkerFixture, "at the limit many clients with little each all go on") {
  config.upstream.link_pipeline_max = 16;
  Start();
  std::vector<FakeConnection*> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(&Connect());
    for (int n = 0; n < 15; ++n) {
      CHECK(Ask(*clients.back(), "DBSIZE").empty());
    }
  }
  CHECK(server.Times("DBSIZE") == 150);
  CHECK(stats().crowded.value() == 0);
  for (int i = 0; i < 150; ++i) {
    server.Answer("DBSIZE", ":0\r\n");
  }
  Turn();
}

TEST_CASE_FIXTURE(WorkerFixture, "bytes under way are limited as well, one request at least goes") {
  config.upstream.link_pipeline_bytes_max = 1024;
  Start();
  FakeConnection& client = Connect();
  const std::string large(2000, 'x');
  CHECK(Ask(client, "SETRANGE k 0 " + large + "\r\nSETRANGE k 0 y").empty());
  CHECK(server.Times("SETRANGE k 0 y") == 0);
  server.Answer("SETRANGE k 0 " + large, ":2000\r\n");
  Turn();
  CHECK(server.Times("SETRANGE k 0 y") == 1);
  CHECK(Answer(client, "SETRANGE k 0 y", ":2000\r\n") == ":2000\r\n:2000\r\n");
}

TEST_CASE_FIXTURE(WorkerFixture, "where a link's bytes are full, others wait, and for so long") {
  config.upstream.link_bytes_max = 100'000;
  config.upstream.links = 1;
  config.upstream.command_timeout = 2s;
  Start();
  FakeConnection& first = Connect();
  FakeConnection& second = Connect();
  CHECK(Ask(first, "LLEN l").empty());
  FakeConnection& lane = server.ConnectionOf("LLEN l");
  CHECK(Answer(first, "LLEN l", ":1\r\n") == ":1\r\n");
  lane.SetRoom(0);
  const std::string request = "SETRANGE k 0 " + std::string(60'000, 'x');
  CHECK(Ask(first, request).empty());
  CHECK(Ask(second, request).empty());
  Wait(1s);
  CHECK(second.TakeWritten().empty());
  CHECK(stats().delayed.value() == 1);
  SUBCASE("there is room in time") {
    lane.SetRoom(FakeConnection::kEndless);
    Turn();
    CHECK(server.Times(request) == 1);
    Wait(5ms);
    CHECK(server.Times(request) == 2);
    CHECK(Answer(first, request, ":60000\r\n") == ":60000\r\n");
    CHECK(Answer(second, request, ":60000\r\n") == ":60000\r\n");
  }
  SUBCASE("there is none") {
    Wait(1100ms);
    CHECK(second.TakeWritten() == "-" + std::string(proto::kErrOverload) + "\r\n");
  }
}

TEST_CASE_FIXTURE(WorkerFixture, "whoever waits on a crowded lane that is lost goes on as well") {
  config.upstream.link_pipeline_max = 16;
  Start();
  Wait(std::chrono::seconds(2));  // the lane is known to be stable
  FakeConnection& client = Connect();
  std::string flood;
  for (int i = 0; i < 40; ++i) {
    flood += "SETRANGE k 0 x\r\n";
  }
  client.Feed(flood);
  Turn();
  CHECK(server.Times("SETRANGE k 0 x") == 16);
  server.ConnectionOf("SETRANGE k 0 x").End(Code::kEof);
  Turn();
  for (int i = 16; i < 40; ++i) {
    server.Answer("SETRANGE k 0 x", ":1\r\n");
    Turn();
  }
  const std::string replies = client.TakeWritten();
  CHECK(replies.ends_with(":1\r\n"));
  CHECK(std::count(replies.begin(), replies.end(), '\n') == 40);
  CHECK(std::count(replies.begin(), replies.end(), '-') == 16);
}

TEST_CASE_FIXTURE(WorkerFixture,
                  "reads that fill wait on a crowded fill link, those in memory do not") {
  config.upstream.link_pipeline_max = 16;
  Start();
  FakeConnection& client = Connect();
  Cache(client, "known", "v");
  std::string flood;
  for (int i = 0; i < 40; ++i) {
    flood += "GET k" + std::to_string(i) + "\r\n";
  }
  client.Feed(flood);
  Turn();
  CHECK(server.Times("GET k15") == 1);
  CHECK(server.Times("GET k16") == 0);
  FakeConnection& other = Connect();
  CHECK(Ask(other, "GET known") == Bulk("v"));
  CHECK(Ask(other, "GET else").empty());
  CHECK(server.Times("GET else") == 1);
  AnswerFill("k0", Bulk("0"));
  CHECK(server.Times("GET k16") == 1);
}

}  // namespace
}  // namespace nearcached
