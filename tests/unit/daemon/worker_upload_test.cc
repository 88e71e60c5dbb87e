// Requests too large to be gathered: limits.stream_above.
#include <array>
#include <chrono>
#include <string>

#include "proto/wire_errors.h"
#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class Uploads : public WorkerFixture {
 public:
  const std::string value = std::string(300, 'v');
  const std::string request = Set("k");
  const std::string asked = "SET k " + value;

  Uploads() { config.limits.stream_above = 64; }

  [[nodiscard]] std::string Set(std::string_view key) const {
    std::string bytes;
    proto::AppendCommand(bytes, std::array<std::string_view, 3>{"SET", key, value});
    return bytes;
  }
  // What the client is told when `bytes` have come.
  std::string Feed(FakeConnection& client, std::string_view bytes) {
    client.Feed(bytes);
    Turn();
    return client.TakeWritten();
  }
  // The first 100 bytes of the request, on a link of its own.
  FakeConnection& Begin(FakeConnection& client) {
    CHECK(Feed(client, request.substr(0, 100)).empty());
    REQUIRE(stats().streamed.value() == 1);
    REQUIRE(stats().pinned.value() == 1);
    return dialer.latest();
  }
  std::string Rest(FakeConnection& client) { return Feed(client, request.substr(100)); }
};

TEST_CASE_FIXTURE(Uploads, "a large request goes on as it comes, over a link that goes back") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& link = Begin(client);
  FakeConnection& other = Connect();
  CHECK(Ask(other, "LLEN l").empty());  // nobody waits for it
  CHECK(Answer(other, "LLEN l", ":0\r\n") == ":0\r\n");
  CHECK(Rest(client).empty());
  CHECK(server.Asked() == Strings{asked});
  CHECK(&server.ConnectionOf(asked) == &link);
  CHECK(Answer(client, asked, "+OK\r\n") == "+OK\r\n");
  CHECK(stats().pinned.value() == 0);
  CHECK(worker->pool().stats().exclusive_idle.value() == 1);
  CHECK(Ask(client, "PING") == "+PONG\r\n");
}

TEST_CASE_FIXTURE(Uploads, "wherever it is cut, the same arrives, and what is behind it as well") {
  Start();
  for (std::size_t cut = 1; cut < request.size(); ++cut) {
    CAPTURE(cut);
    FakeConnection& client = Connect();
    CHECK(Feed(client, request.substr(0, cut)).empty());
    CHECK(Feed(client, request.substr(cut) + "LLEN l\r\n").empty());
    CHECK(server.Asked().front() == asked);
    CHECK(Answer(client, asked, "+OK\r\n") == "+OK\r\n");
    CHECK(Answer(client, "LLEN l", ":7\r\n") == ":7\r\n");
    client.End(Code::kEof);
    Turn();
  }
  FakeConnection& client = Connect();
  client.FeedByteByByte(request + "PING\r\n");
  Turn();
  CHECK(Answer(client, asked, "+OK\r\n") == "+OK\r\n+PONG\r\n");
  CHECK(worker->pool().stats().exclusive_idle.value() == 1);  // one link did for all of them
}

TEST_CASE_FIXTURE(Uploads, "what it writes is not read from memory from its beginning on") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& reader = Connect();
  Cache(reader, "k", "old");
  (void)Begin(client);
  CHECK_FALSE(Cached("k"));
  CHECK(Ask(reader, "GET k").empty());
  AnswerFill("k", Bulk("old"));
  CHECK(reader.TakeWritten() == Bulk("old"));
  (void)Rest(client);
  CHECK(Answer(client, asked, "+OK\r\n") == "+OK\r\n");
  CHECK_FALSE(Cached("k"));  // what was read meanwhile was not kept
}

TEST_CASE_FIXTURE(Uploads, "it waits for what the client has asked before") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Feed(client, "LLEN l\r\n" + request.substr(0, 100)).empty());
  CHECK(stats().pinned.value() == 0);
  CHECK(Answer(client, "LLEN l", ":0\r\n") == ":0\r\n");
  CHECK(stats().pinned.value() == 1);
  CHECK(Rest(client).empty());
  CHECK(Answer(client, asked, "+OK\r\n") == "+OK\r\n");
}

TEST_CASE_FIXTURE(Uploads, "a server that refuses it early is believed, and the rest is skipped") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& link = Begin(client);
  link.Feed("-ERR Protocol error: invalid bulk length\r\n");
  Turn();
  CHECK(client.TakeWritten() == "-ERR Protocol error: invalid bulk length\r\n");
  SUBCASE("the server closes") {
    link.End(Code::kEof);
    Turn();
  }
  SUBCASE("the server does not close") {}
  CHECK(Feed(client, request.substr(100) + "PING\r\n") == "+PONG\r\n");
  CHECK(link.closed());
  CHECK(stats().pinned.value() == 0);
  CHECK(worker->pool().stats().exclusive_idle.value() == 0);
}

TEST_CASE_FIXTURE(Uploads, "a link that is lost in the middle is told once, and the rest skipped") {
  Start();
  FakeConnection& client = Connect();
  Begin(client).End(Code::kUnavailable);
  Turn();
  CHECK(client.TakeWritten() ==
        "-ERR nearcached: the upstream connection was lost in the middle of the request; the "
        "command has not run\r\n");
  CHECK(Feed(client, request.substr(100, 50)).empty());
  CHECK(Feed(client, request.substr(150) + "PING\r\n") == "+PONG\r\n");
  CHECK(server.Asked().empty());
}

TEST_CASE_FIXTURE(Uploads, "a client that leaves in the middle has done nothing") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& link = Begin(client);
  SUBCASE("it is gone") {
    client.End(Code::kUnavailable);
  }
  SUBCASE("it has sent all it will") {
    client.End(Code::kEof);
  }
  SUBCASE("it says nothing any more") {
    Wait(config.limits.request_timeout + std::chrono::seconds(2));
    CHECK(stats().closed_request.value() == 1);
  }
  Turn();
  CHECK(client.closed());
  CHECK(link.closed());
  CHECK(server.Asked().empty());
  CHECK(stats().pinned.value() == 0);
}

TEST_CASE_FIXTURE(Uploads, "a client that ends in the middle still gets what it had asked before") {
  Start();
  FakeConnection& client = Connect();
  client.SetRoom(2);
  CHECK(Feed(client, "PING\r\n" + request.substr(0, 100)) == "+P");
  client.End(Code::kEof);
  Turn();
  CHECK_FALSE(client.closed());
  client.SetRoom(FakeConnection::kEndless);
  Turn();
  CHECK(client.TakeWritten() == "ONG\r\n");
  CHECK(client.closed());
  CHECK(server.Asked().empty());
}

TEST_CASE_FIXTURE(Uploads, "bytes that are no request end the client in the middle, in words") {
  Start();
  FakeConnection& client = Connect();
  std::string broken = request;
  broken[1] = '4';  // one argument more, which is none
  CHECK(Feed(client, broken.substr(0, 100)).empty());
  FakeConnection& link = dialer.latest();
  CHECK(Feed(client, broken.substr(100) + "PING\r\n") ==
        "-ERR Protocol error: expected '$', got 'P'\r\n");
  CHECK(client.closed());
  CHECK(link.closed());
  CHECK(stats().closed_protocol.value() == 1);
}

TEST_CASE_FIXTURE(Uploads, "where there is no link for it, it is refused and skipped") {
  config.upstream.pool.max_active = 1;
  config.upstream.pool.max_wait = {};
  Start();
  FakeConnection& holder = Connect();
  CHECK(Ask(holder, "MULTI").empty());
  (void)Answer(holder, "MULTI", "+OK\r\n");
  FakeConnection& client = Connect();
  CHECK(Feed(client, request.substr(0, 100)).find("upstream.pool.max_active") != std::string::npos);
  CHECK(Feed(client, request.substr(100) + "PING\r\n") == "+PONG\r\n");
  CHECK(server.Asked().empty());
}

TEST_CASE_FIXTURE(Uploads, "a client that has sent all of it and only listens is waited for") {
  config.upstream.pool.max_active = 1;
  Start();
  FakeConnection& holder = Connect();
  CHECK(Ask(holder, "MULTI").empty());
  (void)Answer(holder, "MULTI", "+OK\r\n");
  FakeConnection& client = Connect();
  CHECK(Feed(client, request.substr(0, 100)).empty());
  client.Feed(request.substr(100));
  client.End(Code::kEof);
  Turn();
  CHECK_FALSE(client.closed());
  CHECK(Ask(holder, "DISCARD").empty());
  (void)Answer(holder, "DISCARD", "+OK\r\n");
  CHECK(Answer(client, asked, "+OK\r\n") == "+OK\r\n");
  CHECK(client.closed());
}

TEST_CASE_FIXTURE(Uploads, "a client is read no faster than the server takes") {
  config.limits.stream_above = 1000;
  Start();
  FakeConnection& client = Connect();
  const std::string head = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9000000\r\n";
  CHECK(Feed(client, head + std::string(5000, 'x')).empty());
  FakeConnection& link = dialer.latest();
  link.SetRoom(0);
  const std::string piece(100'000, 'x');
  int pieces = 0;
  for (; pieces < 80 && client.reading(); ++pieces) {
    CHECK(Feed(client, piece).empty());
  }
  CHECK(pieces >= 10);  // a megabyte
  CHECK(pieces < 15);
  SUBCASE("and goes on when it does") {
    for (int i = 0; i < 90; ++i) {
      link.SetRoom(200'000);
      Wait(10ms);
      if (pieces < 89) {
        client.Feed(piece);
        ++pieces;
      }
    }
    link.SetRoom(FakeConnection::kEndless);
    Wait(100ms);
    const std::size_t sent = 5000 + static_cast<std::size_t>(pieces) * piece.size();
    CHECK(Feed(client, std::string(9'000'000 - sent, 'x') + "\r\n").empty());
    Wait(10ms);
    REQUIRE(server.Asked().size() == 1);
    CHECK(server.Asked().front() == "SET k " + std::string(9'000'000, 'x'));
    CHECK(Answer(client, server.Asked().front(), "+OK\r\n") == "+OK\r\n");
  }
  SUBCASE("and told when it takes nothing any more") {
    Wait(config.upstream.command_timeout + std::chrono::seconds(1));
    CHECK(client.TakeWritten() == "-" + std::string(proto::kErrUploadStopped) + "\r\n");
    CHECK(link.closed());
    const std::size_t sent = 5000 + static_cast<std::size_t>(pieces) * piece.size();
    client.Feed(std::string(9'000'000 - sent, 'x') + "\r\nPING\r\n");
    Wait(100ms);
    CHECK(client.TakeWritten() == "+PONG\r\n");
  }
}

TEST_CASE_FIXTURE(Uploads, "the server's time to answer begins with the end of the request") {
  Start();
  FakeConnection& client = Connect();
  (void)Begin(client);
  for (int i = 0; i < 40; ++i) {
    CHECK(Feed(client, request.substr(100 + static_cast<std::size_t>(i), 1)).empty());
    Wait(1s);
  }
  CHECK(Feed(client, request.substr(140)).empty());
  Wait(config.upstream.command_timeout - 100ms);
  CHECK(client.TakeWritten().empty());
  Wait(200ms);
  CHECK(client.TakeWritten() == "-" + std::string(proto::kErrTimeout) + "\r\n");
}

TEST_CASE_FIXTURE(Uploads, "a drain lets it end") {
  Start();
  FakeConnection& client = Connect();
  (void)Begin(client);
  worker->StartDrain();
  Turn();
  CHECK_FALSE(worker->drained());
  CHECK(Rest(client).empty());
  CHECK(Answer(client, asked, "+OK\r\n") == "+OK\r\n");
  CHECK(client.closed());
  CHECK(worker->drained());
}

TEST_CASE_FIXTURE(Uploads, "what cannot be judged by its beginning is gathered") {
  std::string bytes = request;
  std::string expected = asked;
  SUBCASE("keys that come later") {
    bytes = "*5\r\n$4\r\nMSET\r\n$1\r\nk\r\n$300\r\n" + value + "\r\n$1\r\nl\r\n$1\r\nw\r\n";
    expected = "MSET k " + value + " l w";
  }
  SUBCASE("a key that is not there yet") {
    bytes = "*3\r\n$3\r\nSET\r\n$300\r\n" + value + "\r\n$1\r\nw\r\n";
    expected = "SET " + value + " w";
  }
  SUBCASE("scripts") {
    bytes = "*3\r\n$4\r\nEVAL\r\n$300\r\n" + value + "\r\n$1\r\n0\r\n";
    expected = "EVAL " + value + " 0";
  }
  SUBCASE("commands that nobody knows") {
    bytes = "*3\r\n$4\r\nNEWS\r\n$1\r\nk\r\n$300\r\n" + value + "\r\n";
    expected = "NEWS k " + value;
  }
  SUBCASE("renamed commands") {
    config.commands.rename = {"flushall=x"};
  }
  SUBCASE("all, when it is switched off") {
    config.limits.stream_above = 0;
  }
  Start();
  FakeConnection& client = Connect();
  CHECK(Feed(client, bytes.substr(0, bytes.size() - 8)).empty());
  CHECK(stats().pinned.value() == 0);
  CHECK(Feed(client, bytes.substr(bytes.size() - 8)).empty());
  CHECK(server.Asked() == Strings{expected});
  CHECK(Answer(client, expected, "+OK\r\n") == "+OK\r\n");
  CHECK(stats().streamed.value() == 0);
}

TEST_CASE_FIXTURE(Uploads,
                  "what is refused is refused, and a transaction's commands are gathered") {
  SUBCASE("a read-only listener") {
    listener.config.read_only = true;
    Start();
    FakeConnection& client = Connect();
    CHECK(Feed(client, request.substr(0, 100)).empty());
    CHECK(Rest(client).find("read_only") != std::string::npos);
  }
  SUBCASE("MULTI") {
    Start();
    FakeConnection& client = Connect();
    CHECK(Ask(client, "MULTI").empty());
    (void)Answer(client, "MULTI", "+OK\r\n");
    CHECK(Feed(client, request.substr(0, 100)).empty());
    CHECK(Rest(client).empty());
    CHECK(Answer(client, asked, "+QUEUED\r\n") == "+QUEUED\r\n");
  }
  CHECK(stats().streamed.value() == 0);
}

// It goes from the session to the link without a copy.
TEST_CASE_FIXTURE(WorkerFixture, "a large request is whole though its link takes it late") {
  Start();
  FakeConnection& client = Connect();
  CHECK(Ask(client, "LLEN l").empty());
  FakeConnection& lane = server.ConnectionOf("LLEN l");
  CHECK(Answer(client, "LLEN l", ":0\r\n") == ":0\r\n");
  const std::string one(200'000, '1');
  const std::string two(100'000, '2');
  std::string bytes;
  proto::AppendCommand(bytes, std::array<std::string_view, 3>{"SET", "one", one});
  proto::AppendCommand(bytes, std::array<std::string_view, 2>{"LLEN", "between"});
  proto::AppendCommand(bytes, std::array<std::string_view, 3>{"SET", "two", two});
  proto::AppendCommand(bytes, std::array<std::string_view, 2>{"LLEN", "behind"});
  lane.SetRoom(1000);
  std::size_t piece = 0;
  SUBCASE("in large pieces") {
    piece = 70'000;
  }
  SUBCASE("in small ones") {
    piece = 999;
  }
  SUBCASE("in one") {
    piece = bytes.size();
  }
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    client.Feed(std::string_view(bytes).substr(at, piece));
    Turn();
  }
  client.Feed("*2\r\n$4\r\nLLEN\r\n$5\r\nlater\r\n" + std::string(1000, '*'));
  Turn();
  client.End(Code::kUnavailable);
  Turn();
  lane.SetRoom(FakeConnection::kEndless);
  Turn();
  const Strings asked = server.Asked();
  REQUIRE(asked.size() >= 4);
  CHECK(asked[0] == "SET one " + one);
  CHECK(asked[1] == "LLEN between");
  CHECK(asked[2] == "SET two " + two);
  CHECK(asked[3] == "LLEN behind");
}

}  // namespace
}  // namespace nearcached
