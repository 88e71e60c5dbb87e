// Requests and replies on a link that stands.
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/daemon/upstream/link_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;
using Rig = LinkFixture;
using Heard = LinkFixture::Heard;
using Purpose = LinkFixture::Purpose;

// ---- sending ------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "nothing is dialled before it is needed; requests wait for the handshake") {
  Make(Purpose::kLane);
  CHECK(dialer.dials() == 0);
  CHECK(Send(1).empty());
  CHECK(Send(2).empty());
  link->Flush();
  REQUIRE(dialer.dials() == 1);
  CHECK(dialer.last_endpoint().ToString() == "up:6379");
  FakeConnection& connection = dialer.latest();
  CHECK(connection.TakeWritten().empty());
  connection.Open();
  CHECK(connection.TakeWritten() == Wire({"CLIENT", "SETNAME", "nearcached"}));
  connection.Feed("+OK\r\n");
  CHECK(connection.TakeWritten() == Wire({"PING"}));
  connection.Feed("+PONG\r\n");
  CHECK(TakeSeen() == Heard{"ready"});
  CHECK(connection.TakeWritten().empty());  // not before the end of the turn
  link->Flush();
  CHECK(connection.TakeWritten() == Wire({"GET", "1"}) + Wire({"GET", "2"}));
  connection.Feed("+one\r\n+two\r\n");
  CHECK(TakeHeard() == Heard{"1: +one\r\n", "2: +two\r\n"});
}

TEST_CASE_FIXTURE(Rig,
                  "a turn's requests leave in one write, and the rest of a short write later") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  const std::size_t writes = connection.writes();
  (void)Send(1);
  (void)Send(2);
  connection.SetRoom(10);
  link->Flush();
  CHECK(connection.writes() == writes + 1);
  (void)Send(3);
  link->Flush();
  CHECK(connection.writes() == writes + 1);  // blocked: nobody asks again
  connection.SetRoom(FakeConnection::kEndless);
  CHECK(connection.TakeWritten() == Wire({"GET", "1"}) + Wire({"GET", "2"}) + Wire({"GET", "3"}));
  connection.Feed(":1\r\n:2\r\n:3\r\n");
  CHECK(sink.heard.size() == 3);
}

TEST_CASE_FIXTURE(Rig, "a full queue refuses, but never the second half of what it took") {
  config.link_queue_max = 2;
  FakeConnection& connection = MakeReady(Purpose::kLane);
  CHECK(Send(1).empty());
  CHECK(Send(2).empty());
  CHECK(Send(3) == proto::kErrOverload);
  const std::string bytes = Wire({"PTTL", "2"});
  CHECK(link->Send({.bytes = bytes,
                    .sink = &sink,
                    .token = {1, 4},
                    .footprint = nullptr,
                    .timeout = 5s,
                    .follows = true})
            .empty());
  CHECK(stats.refused_full.value() == 1);
  link->Flush();
  connection.Feed(":1\r\n:2\r\n:4\r\n");
  CHECK(TakeHeard() == Heard{"1: :1\r\n", "2: :2\r\n", "4: :4\r\n"});
}

TEST_CASE_FIXTURE(Rig, "so many bytes may wait and no more, but one request always may") {
  config.link_bytes_max = 50;
  FakeConnection& connection = MakeReady(Purpose::kLane);
  const std::string big(1000, 'x');
  CHECK(link->Send(
                {.bytes = big, .sink = &sink, .token = {1, 1}, .footprint = nullptr, .timeout = 5s})
            .empty());
  CHECK(Send(2) == proto::kErrOverload);
  link->Flush();
  CHECK(Send(3).empty());
  connection.Feed("+a\r\n+b\r\n");
  CHECK(TakeHeard() == Heard{"1: +a\r\n", "3: +b\r\n"});
}

TEST_CASE_FIXTURE(Rig, "a refused request keeps its footprint with the caller") {
  config.link_queue_max = 1;
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  SendRequest request{
      .bytes = "x", .sink = &sink, .token = {1, 2}, .footprint = BeginWrite("k"), .timeout = 5s};
  CHECK(link->Send(std::move(request)) == proto::kErrOverload);
  REQUIRE(request.footprint != nullptr);  // NOLINT(bugprone-use-after-move): the contract
  coherence.Finish(std::move(request.footprint), Outcome::kAnswered);
  connection.Feed("+a\r\n");
}

// ---- replies ------------------------------------------------------------------------------------

TEST_CASE("replies reach those who asked, in order, wherever the network cuts them") {
  const std::string stream =
      "+OK\r\n$5\r\nhe\r\no\r\n:7\r\n*2\r\n$1\r\na\r\n*1\r\n$-1\r\n-ERR no\r\n$0\r\n\r\n";
  const Heard expected = {"1: +OK\r\n",     "2: $5\r\nhe\r\no\r\n",
                          "3: :7\r\n",      "4: *2\r\n$1\r\na\r\n*1\r\n$-1\r\n",
                          "5: -ERR no\r\n", "6: $0\r\n\r\n"};
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    CAPTURE(cut);
    Rig rig;
    FakeConnection& connection = rig.MakeReady(Purpose::kLane);
    for (std::uint64_t seq = 1; seq <= 6; ++seq) {
      (void)rig.Send(seq);
    }
    if (cut == 0) {
      connection.FeedByteByByte(stream);
    } else {
      connection.Feed(stream.substr(0, cut));
      connection.Feed(stream.substr(cut));
    }
    REQUIRE(rig.TakeHeard() == expected);
  }
}

TEST_CASE("pushes are told apart from replies, wherever the network cuts them") {
  const std::string push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
  const std::string stream = push + "+one\r\n" + push + "+two\r\n";
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    CAPTURE(cut);
    Rig rig;
    FakeConnection& connection = rig.MakeReady(Purpose::kFill);
    (void)rig.Send(1);
    (void)rig.Send(2);
    if (cut == 0) {
      connection.FeedByteByByte(stream);
    } else {
      connection.Feed(stream.substr(0, cut));
      connection.Feed(stream.substr(cut));
    }
    REQUIRE(rig.TakeHeard() == Heard{"1: +one\r\n", "2: +two\r\n"});
    REQUIRE(rig.TakeSeen() == Heard{"push: " + push, "push: " + push});
  }
}

TEST_CASE_FIXTURE(Rig, "a small reply in pieces is handed on whole, a large one as it comes") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  (void)Send(2);
  (void)Send(3);
  connection.Feed("$10\r\n01234");
  CHECK(sink.heard.empty());
  const std::string body(200'000, 'b');
  connection.Feed("56789\r\n$200000\r\n" + body.substr(0, 10));
  CHECK(TakeHeard() == Heard{"1: $10\r\n0123456789\r\n", "2: $200000\r\nbbbbbbbbbb…"});
  connection.Feed(body.substr(10));
  connection.Feed("\r\n+after\r\n");
  REQUIRE(sink.heard.size() == 3);
  CHECK(sink.heard[0] == "2: " + body.substr(10) + "…");
  CHECK(sink.heard[1] == "2: \r\n");
  CHECK(sink.heard[2] == "3: +after\r\n");
  CHECK(stats.replies.value() == 3);
}

TEST_CASE_FIXTURE(Rig, "a large array is streamed too, once it is too large to gather") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  std::string whole = "*10000\r\n";
  for (int i = 0; i < 10'000; ++i) {
    whole += "$10\r\n0123456789\r\n";
  }
  for (std::size_t at = 0; at < whole.size(); at += 4096) {
    connection.Feed(whole.substr(at, 4096));
  }
  CHECK(sink.heard.size() > 10);
  std::string joined;
  for (const std::string& piece : sink.heard) {
    joined += piece.substr(3);
    if (piece.ends_with("…")) {
      joined.resize(joined.size() - std::string_view("…").size());
    }
  }
  CHECK(joined == whole);
}

TEST_CASE_FIXTURE(Rig, "a large reply waits for a reader who is behind, but not for ever") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  (void)Send(2);
  sink.backlog = 2 * 1024 * 1024;
  connection.Feed("$200000\r\n" + std::string(1000, 'x'));
  CHECK_FALSE(connection.reading());
  scheduler.Advance(20ms);
  CHECK_FALSE(connection.reading());
  SUBCASE("the reader catches up") {
    sink.backlog = 0;
    scheduler.Advance(20ms);
  }
  SUBCASE("the reader does not") {
    scheduler.Advance(2s);
  }
  CHECK(connection.reading());
  connection.Feed(std::string(199'000, 'x') + "\r\n+after\r\n");
  CHECK(connection.reading());
  CHECK(sink.heard.back() == "2: +after\r\n");
}

TEST_CASE_FIXTURE(Rig, "a fill link waits so long in all for readers, whose pushes wait with it") {
  config.health_misses = 3;
  Duration longest = 1s;
  SUBCASE("a second") {
    config.health_interval = 1s;
  }
  SUBCASE("half of what it may be silent") {
    config.health_interval = 100ms;
    longest = 150ms;
  }
  FakeConnection& connection = MakeReady(Purpose::kFill);
  const std::string begin = "$200000\r\nxxx";
  const std::string end = std::string(199'997, 'x') + "\r\n";
  (void)Send(1);
  (void)Send(2);
  sink.backlog = 2 * 1024 * 1024;
  scheduler.Advance(1ms);
  connection.Feed(begin);
  scheduler.Advance(longest - 10ms);
  CHECK_FALSE(connection.reading());
  scheduler.Advance(20ms);
  CHECK(connection.reading());
  connection.Feed(end + begin);  // a reply that was on its way already: nothing new to wait for
  CHECK(connection.reading());
  (void)Send(3);
  (void)Send(4);
  connection.Feed(end + ":3\r\n" + begin);
  CHECK_FALSE(connection.reading());
}

TEST_CASE_FIXTURE(Rig, "a link that is lost while it waits for a reader starts reading afresh") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  scheduler.Advance(10s);
  (void)Send(1);
  sink.backlog = 2 * 1024 * 1024;
  connection.Feed("$200000\r\nxxx");
  connection.End(Code::kUnavailable);
  FakeConnection& next = Establish();
  scheduler.Advance(1s);
  CHECK(next.reading());
}

TEST_CASE_FIXTURE(Rig, "who asks again from inside an answer is served in turn") {
  class Asker final : public RecordingSink {
   public:
    explicit Asker(Rig& rig) : rig_(rig) {}
    void OnReplyPart(RequestToken /*token*/, std::string_view /*bytes*/, const ReplyInfo& /*info*/,
                     bool /*last*/) override {
      (void)rig_.Send(9);
    }

   private:
    Rig& rig_;
  } asker(*this);
  FakeConnection& connection = MakeReady(Purpose::kLane);
  CHECK(link->Send({.bytes = "x", .sink = &asker, .token = {}, .footprint = nullptr, .timeout = 5s})
            .empty());
  (void)Send(2);
  connection.Feed("+a\r\n+b\r\n+c\r\n");
  CHECK(TakeHeard() == Heard{"2: +b\r\n", "9: +c\r\n"});
}

// ---- footprints ---------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "a write's key is let go before its reply is handed on") {
  class Looker final : public RecordingSink {
   public:
    explicit Looker(Rig& rig) : rig_(rig) {}
    void OnReplyPart(RequestToken /*token*/, std::string_view /*bytes*/, const ReplyInfo& /*info*/,
                     bool /*last*/) override {
      held = rig_.Held("k");
    }
    bool held = true;

   private:
    Rig& rig_;
  } looker(*this);
  FakeConnection& connection = MakeReady(Purpose::kLane);
  CHECK(link->Send({.bytes = "x",
                    .sink = &looker,
                    .token = {},
                    .footprint = BeginWrite("k"),
                    .timeout = 5s})
            .empty());
  CHECK(Held("k"));
  connection.Feed("+OK\r\n");
  CHECK_FALSE(looker.held);
}

TEST_CASE_FIXTURE(Rig, "a write that timed out stays held until its late reply comes") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1, BeginWrite("k"));
  link->Flush();
  scheduler.Advance(5s);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrTimeout)});
  CHECK(Held("k"));
  SUBCASE("the reply") {
    connection.Feed("+OK\r\n");
  }
  SUBCASE("the end of the connection") {
    connection.End(Code::kUnavailable);
  }
  CHECK_FALSE(Held("k"));
  CHECK(sink.heard.empty());
}

// ---- questions of the daemon's own --------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "the daemon's own question is answered in its turn, in whatever pieces") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  std::vector<std::string> answers;
  const auto note = [&](const UpstreamReply* reply) {
    answers.push_back(reply == nullptr ? "none" : reply->text);
  };
  (void)Send(1);
  link->Ask({"ECHO", "x"}, note);
  (void)Send(2);
  link->Flush();
  CHECK(connection.TakeWritten() == Wire({"GET", "1"}) + Wire({"ECHO", "x"}) + Wire({"GET", "2"}));
  connection.FeedByteByByte("+one\r\n$1\r\nx\r\n+two\r\n");
  CHECK(answers == Heard{"x"});
  CHECK(TakeHeard() == Heard{"1: +one\r\n", "2: +two\r\n"});

  link->Ask({"ECHO", "y"}, note);
  link->Flush();
  SUBCASE("too late") {
    scheduler.Advance(5s);
    CHECK(answers == Heard{"x", "none"});
    connection.Feed("$1\r\ny\r\n");
    (void)Send(3);
    connection.Feed("+three\r\n");
    CHECK(TakeHeard() == Heard{"3: +three\r\n"});
  }
  SUBCASE("lost") {
    connection.End(Code::kEof);
  }
  CHECK(answers == Heard{"x", "none"});
}

// ---- exclusive links ----------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "a lost exclusive link tells its requests, then its owner, and is spent") {
  FakeConnection& connection = MakeReady(Purpose::kExclusive);
  Lend();
  (void)Send(1);
  connection.End(Code::kUnavailable);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrConnectionLost), "owner told"});
  scheduler.Advance(1h);
  CHECK(dialer.dials() == 1);
  // A new connection would know nothing of the transaction or the watch.
  CHECK(Send(2) == proto::kErrConnectionLost);
  CHECK_FALSE(link->clean());
}

TEST_CASE_FIXTURE(Rig, "an exclusive link that cannot be made is spent as well") {
  Make(Purpose::kExclusive);
  Lend();
  (void)Send(1);
  dialer.latest().End(Code::kUnavailable, "connection refused");
  CHECK(TakeHeard() ==
        Heard{Lost(1, std::string(kUnavailable) + "connection refused); retrying"), "owner told"});
  CHECK_FALSE(Send(2).empty());
  CHECK(dialer.dials() == 1);
}

TEST_CASE_FIXTURE(Rig, "an owner that closes the link from inside a reply hears no more of it") {
  class Closer final : public RecordingSink {
   public:
    explicit Closer(Rig& rig) : rig_(rig) {}
    void OnReplyPart(RequestToken /*token*/, std::string_view /*bytes*/, const ReplyInfo& /*info*/,
                     bool /*last*/) override {
      ++replies;
      rig_.link->Lend(nullptr, 0);
      rig_.link->Close("returned");
    }
    void OnReplyLost(RequestToken /*token*/, std::string_view /*line*/, bool /*mid*/) override {
      ++losses;
    }
    int replies = 0;
    int losses = 0;

   private:
    Rig& rig_;
  } closer(*this);
  FakeConnection& connection = MakeReady(Purpose::kExclusive);
  Lend();
  for (int i = 0; i < 2; ++i) {
    CHECK(link->Send(
                  {.bytes = "x", .sink = &closer, .token = {}, .footprint = nullptr, .timeout = 5s})
              .empty());
  }
  connection.Feed("+one\r\n+two\r\n");
  CHECK(closer.replies == 1);
  CHECK(closer.losses == 1);
  CHECK(sink.heard.empty());
}

TEST_CASE_FIXTURE(Rig, "in a passthrough the server's bytes reach the owner as they come") {
  FakeConnection& connection = MakeReady(Purpose::kExclusive);
  Lend();
  link->StartPassthrough();
  SendPassthrough("SUBSCRIBE", nullptr, true);
  link->Flush();
  const std::string stream =
      "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
  connection.FeedByteByByte(stream);
  CHECK(passed == stream);
  CHECK(link->unanswered() == 0);
  CHECK_FALSE(link->clean());
  connection.End(Code::kEof);
  CHECK(TakeHeard() == Heard{"owner told"});
}

TEST_CASE_FIXTURE(Rig, "a message of a subscription answers no command that stands behind it") {
  FakeConnection& connection = MakeReady(Purpose::kExclusive);
  Lend();
  link->StartPassthrough();
  SendPassthrough("SUBSCRIBE", nullptr, true);
  SendPassthrough("SET", BeginWrite("k"), false);
  SUBCASE("RESP2") {
    connection.Feed("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    connection.Feed("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n");
  }
  SUBCASE("RESP3") {
    connection.Feed(">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    connection.Feed(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n");
  }
  CHECK(link->unanswered() == 1);
  CHECK(Held("k"));
  connection.Feed("+OK\r\n");
  CHECK_FALSE(Held("k"));
  CHECK(link->unanswered() == 0);
}

TEST_CASE_FIXTURE(Rig, "a push in a passthrough answers nothing") {
  FakeConnection& connection = MakeReady(Purpose::kExclusive);
  Lend();
  link->StartPassthrough();
  SendPassthrough("SET", BeginWrite("k"), false);
  connection.Feed(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
  CHECK(Held("k"));
  connection.Feed("+OK\r\n");
  CHECK_FALSE(Held("k"));
}

TEST_CASE_FIXTURE(Rig, "what MONITOR reports answers nothing, and is told apart from replies") {
  FakeConnection& connection = MakeReady(Purpose::kExclusive);
  Lend();
  link->StartPassthrough();
  SendPassthrough("SET", BeginWrite("k"), false);
  connection.Feed("+1700000000.123456 [0 127.0.0.1:40000] \"get\" \"x\"\r\n");
  CHECK(Held("k"));
  CHECK(pushes == 1);
  connection.Feed("+OK\r\n");
  CHECK_FALSE(Held("k"));
  CHECK(pushes == 1);
}

TEST_CASE_FIXTURE(Rig, "how many subscriptions are left is read wherever the bytes are cut") {
  FakeConnection& connection = MakeReady(Purpose::kExclusive);
  Lend();
  link->StartPassthrough();
  SendPassthrough("SUBSCRIBE", nullptr, true);
  for (const char c : std::string("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:12\r\n")) {
    connection.Feed(std::string(1, c));
  }
  CHECK(link->subscriptions() == 12);
  SendPassthrough("UNSUBSCRIBE", nullptr, true);
  for (const char c : std::string("*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n")) {
    connection.Feed(std::string(1, c));
  }
  CHECK(link->subscriptions() == 0);
  CHECK(subscriptions_ended == 1);
}

TEST_CASE_FIXTURE(Rig, "a switch of protocol is the link's own affair") {
  FakeConnection& connection = MakeReady(Purpose::kExclusive);
  CHECK(link->upstream_client_id() == 90);
  Lend();
  link->StartPassthrough();
  link->SwitchProtocol(proto::Protocol::kResp3);
  link->Flush();
  CHECK(connection.TakeWritten() == Wire({"HELLO", "3"}));
  connection.Feed("%1\r\n$5\r\nproto\r\n:3\r\n");
  CHECK(passed.empty());
  SendPassthrough("SET", nullptr, false);
  connection.Feed("+OK\r\n");
  CHECK(passed == "+OK\r\n");
}

TEST_CASE_FIXTURE(Rig, "a switch of protocol does not wait for what nobody waits for any more") {
  FakeConnection& connection = MakeReady(Purpose::kExclusive);
  Lend();
  CHECK(Send(1, nullptr, 5s).empty());
  link->Flush();
  scheduler.Advance(5s);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrTimeout)});
  link->SwitchProtocol(proto::Protocol::kResp3);
  link->SwitchProtocol(proto::Protocol::kResp2);
  CHECK(Send(2).empty());
  link->Flush();
  CHECK(connection.TakeWritten() ==
        Wire({"GET", "1"}) + Wire({"HELLO", "3"}) + Wire({"HELLO", "2"}) + Wire({"GET", "2"}));
  connection.Feed("+late\r\n%1\r\n$5\r\nproto\r\n:3\r\n*2\r\n$5\r\nproto\r\n:2\r\n+two\r\n");
  CHECK(TakeHeard() == Heard{"2: +two\r\n"});
}

}  // namespace
}  // namespace nearcached
