// One link against a connection that the test plays byte by byte.
#include "daemon/upstream/link.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "proto/encode.h"
#include "proto/wire_errors.h"
#include "tests/support/fake_fetch.h"
#include "tests/support/fake_network.h"
#include "tests/support/fake_scheduler.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;
using Heard = std::vector<std::string>;
using Purpose = Link::Purpose;
using State = Link::State;

std::string Wire(std::vector<std::string_view> words) {
  std::string bytes;
  proto::AppendCommand(bytes, words);
  return bytes;
}

std::string Lost(std::uint64_t seq, std::string_view line) {
  return std::to_string(seq) + " lost: " + std::string(line);
}

constexpr const char* kHelloReply = "%1\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n";
const char* const kUnavailable = "ERR nearcached: upstream up:6379 is unavailable (";

class Rig : private LinkObserver, private ExclusiveOwner {
 public:
  FakeScheduler scheduler;
  FakeDialer dialer;
  SingleTopology topology{Endpoint{.host = "up", .port = 6379, .unix_path = {}}};
  config::UpstreamConfig config;
  Rng rng{1};
  KeyHasher hasher{1};
  L1 l1{L1Options{.bytes_max = 1 << 20, .negative_share = 0.1}};
  FakeFillChannel channel;
  Coherence coherence{scheduler, hasher, l1, channel};
  UpstreamStats stats;
  RecordingSink sink;
  std::vector<std::string> seen;  // "ready", "down: why", "push: frame", "dirty", "lost: line"
  std::string passed;             // passthrough bytes
  std::optional<Link> link;

  Rig() = default;
  virtual ~Rig() {
    if (link) {
      link->Close("the test ends");
      CHECK(link->unanswered() == 0);
    }
    link.reset();
    CHECK(stats.inflight.value() == 0);
    CHECK(stats.links_ready.value() == 0);
    CHECK(scheduler.timers() == 0);
    CHECK(coherence.idle());
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  void Make(Purpose purpose) {
    const bool fill = purpose == Purpose::kFill;
    link.emplace(LinkContext{scheduler, dialer, topology, config, rng, coherence, stats, *this},
                 Link::Spec{.purpose = purpose,
                            .db = 0,
                            .protocol = fill ? proto::Protocol::kResp3 : proto::Protocol::kResp2,
                            .track = fill,
                            .id = 3,
                            .retry = purpose != Purpose::kExclusive});
  }
  // Plays the server's part of the handshake on the latest connection, and forgets the turn's
  // events; what the link said is not looked at here.
  FakeConnection& Establish() {
    FakeConnection& connection = dialer.latest();
    connection.Open();
    if (link->spec().purpose == Purpose::kFill) {
      connection.Feed(kHelloReply);
      connection.Feed("+PONG\r\n");
      connection.Feed("+OK\r\n");
    } else {
      connection.Feed("+OK\r\n");
      connection.Feed("+PONG\r\n");
    }
    REQUIRE(link->state() == State::kReady);
    (void)connection.TakeWritten();
    seen.clear();
    return connection;
  }
  FakeConnection& MakeReady(Purpose purpose) {
    Make(purpose);
    link->Open();
    return Establish();
  }
  // A request of `seq`; its wire form is "GET <seq>". What Send said.
  std::string Send(std::uint64_t seq, std::unique_ptr<Footprint> footprint = nullptr,
                   Duration timeout = 5s) {
    const std::string name = std::to_string(seq);
    const std::string bytes = Wire({"GET", name});
    return std::string(link->Send({.bytes = bytes,
                                   .sink = &sink,
                                   .token = {1, seq},
                                   .footprint = std::move(footprint),
                                   .timeout = timeout}));
  }
  std::unique_ptr<Footprint> BeginWrite(std::string_view key) {
    auto footprint = std::make_unique<Footprint>();
    footprint->write = true;
    footprint->keys.push_back({hasher(key), std::string(key), true});
    coherence.BeginWrite(*footprint);
    return footprint;
  }
  void SendPassthrough(std::string_view bytes, std::unique_ptr<Footprint> footprint,
                       bool answered_by_push) {
    CHECK(link->Send({.bytes = bytes,
                      .sink = nullptr,
                      .token = {},
                      .footprint = std::move(footprint),
                      .answered_by_push = answered_by_push})
              .empty());
  }
  bool Held(std::string_view key) { return coherence.Held(hasher(key)); }
  void Lend() { link->Lend(this, 77); }
  Heard TakeHeard() { return std::exchange(sink.heard, {}); }
  std::vector<std::string> TakeSeen() { return std::exchange(seen, {}); }

 private:
  void OnLinkReady(Link& /*link*/, const Handshake& /*handshake*/) override {
    seen.emplace_back("ready");
  }
  void OnLinkDown(Link& /*link*/, std::string_view why) override {
    seen.push_back("down: " + std::string(why));
  }
  void OnLinkPush(Link& /*link*/, std::string_view frame) override {
    seen.push_back("push: " + std::string(frame));
  }
  void OnLinkDirty(Link& /*link*/) override {}
  void OnPassthrough(std::uint64_t session, std::string_view bytes) override {
    CHECK(session == 77);
    passed += bytes;
  }
  void OnExclusiveLost(std::uint64_t session, std::string_view error_line) override {
    CHECK(session == 77);
    seen.push_back("lost: " + std::string(error_line));
    sink.heard.emplace_back("owner told");
  }
};

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
  sink.congested = true;
  connection.Feed("$200000\r\n" + std::string(1000, 'x'));
  CHECK_FALSE(connection.reading());
  scheduler.Advance(20ms);
  CHECK_FALSE(connection.reading());
  SUBCASE("the reader catches up") {
    sink.congested = false;
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

TEST_CASE_FIXTURE(Rig, "a link that is lost while it waits for a reader starts reading afresh") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  scheduler.Advance(10s);
  (void)Send(1);
  sink.congested = true;
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

// ---- timeouts (R13) -----------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "a late reply is counted off and reaches nobody") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  link->Flush();
  scheduler.Advance(5s - 1ms);
  CHECK(sink.heard.empty());
  scheduler.Advance(1ms);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrTimeout)});
  (void)Send(2);
  link->Flush();
  connection.Feed("+late\r\n+two\r\n");
  CHECK(TakeHeard() == Heard{"2: +two\r\n"});
  CHECK(stats.timeouts.value() == 1);
  CHECK(stats.late_replies.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "requests time out each at its own time, in order") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  link->Flush();
  scheduler.Advance(2s);
  (void)Send(2);
  (void)Send(3);
  link->Flush();
  scheduler.Advance(3s);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrTimeout)});
  connection.Feed("+late\r\n+two\r\n");
  CHECK(TakeHeard() == Heard{"2: +two\r\n"});
  scheduler.Advance(2s);
  CHECK(TakeHeard() == Heard{Lost(3, proto::kErrTimeout)});
  connection.Feed("+late\r\n");
  CHECK(stats.late_replies.value() == 2);
}

TEST_CASE_FIXTURE(Rig, "a large late reply is thrown away to its last byte") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  link->Flush();
  scheduler.Advance(5s);
  (void)TakeHeard();
  (void)Send(2);
  const std::string body(150'000, 'b');
  connection.Feed("$150000\r\n" + body.substr(0, 70'000));
  connection.Feed(body.substr(70'000) + "\r\n+two\r\n");
  CHECK(TakeHeard() == Heard{"2: +two\r\n"});
}

TEST_CASE_FIXTURE(Rig,
                  "a large reply that keeps coming is not late, one that stops is broken off") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  link->Flush();
  connection.Feed("$150000\r\nxxx");
  for (int i = 0; i < 4; ++i) {
    scheduler.Advance(3s);
    connection.Feed("yyy");
  }
  CHECK(sink.heard.size() == 5);
  (void)TakeHeard();
  scheduler.Advance(5s);
  CHECK(TakeHeard() == Heard{"1 broken: " + std::string(proto::kErrTimeout)});
}

TEST_CASE_FIXTURE(Rig,
                  "a request without a timeout waits for ever, and those behind it do not pass") {
  FakeConnection& connection = MakeReady(Purpose::kExclusive);
  Lend();
  (void)Send(1, nullptr, 0s);
  link->Flush();
  scheduler.Advance(24h);
  CHECK(sink.heard.empty());
  connection.Feed("+at last\r\n");
  CHECK(TakeHeard() == Heard{"1: +at last\r\n"});
}

TEST_CASE_FIXTURE(Rig, "requests that wait for the connection time out as well") {
  config.connect_timeout = 60s;
  Make(Purpose::kLane);
  (void)Send(1);
  link->Flush();
  scheduler.Advance(5s);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrTimeout)});
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

// ---- loss ---------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "a lost connection is told to everyone once, after the stream is closed") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  scheduler.Advance(10s);
  (void)Send(1);
  (void)Send(2, BeginWrite("k"));
  connection.End(Code::kUnavailable, "connection reset by peer");
  CHECK(TakeHeard() ==
        Heard{Lost(1, proto::kErrConnectionLost), Lost(2, proto::kErrConnectionLost)});
  CHECK(TakeSeen() == Heard{"down: connection reset by peer"});
  CHECK(connection.closed());
  CHECK_FALSE(Held("k"));
  CHECK(stats.closed_by_peer.value() == 1);
  CHECK(stats.lost.value() == 2);
}

TEST_CASE_FIXTURE(Rig, "after a connection that stood a while the next is dialled at once") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  scheduler.Advance(10s);
  const std::uint32_t epoch = link->owner().epoch;
  connection.End(Code::kEof);
  REQUIRE(dialer.dials() == 2);
  CHECK(link->owner().epoch > epoch);
  CHECK(Send(1).empty());  // waits for this one attempt
  FakeConnection& next = Establish();
  link->Flush();
  CHECK(next.TakeWritten() == Wire({"GET", "1"}));
  next.Feed("+one\r\n");
  CHECK(TakeHeard() == Heard{"1: +one\r\n"});
}

TEST_CASE_FIXTURE(Rig, "what was not sent before a loss is not sent after it") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  scheduler.Advance(10s);
  (void)Send(1);
  connection.End(Code::kEof);
  (void)TakeHeard();
  FakeConnection& next = Establish();
  link->Flush();
  CHECK(next.TakeWritten().empty());
}

TEST_CASE_FIXTURE(Rig, "a server that accepts and hangs up is not dialled in a tight loop") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  connection.End(Code::kEof, "closed by the upstream");
  CHECK(dialer.dials() == 1);
  CHECK(link->state() == State::kBackoff);
  CHECK(Send(1) == std::string(kUnavailable) + "closed by the upstream); retrying");
}

TEST_CASE_FIXTURE(Rig,
                  "half a reply: told as lost while it was gathered, as broken once streamed") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  (void)Send(2);
  SUBCASE("gathered") {
    connection.Feed("$10\r\n0123");
    connection.End(Code::kEof);
    CHECK(TakeHeard() ==
          Heard{Lost(1, proto::kErrConnectionLost), Lost(2, proto::kErrConnectionLost)});
  }
  SUBCASE("streamed") {
    connection.Feed("$100000\r\n0123");
    connection.End(Code::kEof);
    CHECK(TakeHeard() == Heard{"1: $100000\r\n0123…",
                               "1 broken: " + std::string(proto::kErrConnectionLost),
                               Lost(2, proto::kErrConnectionLost)});
  }
}

TEST_CASE_FIXTURE(Rig, "a reply that nobody asked for ends the connection") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  connection.Feed("+one\r\n+extra\r\n");
  CHECK(TakeHeard() == Heard{"1: +one\r\n"});
  CHECK(connection.closed());
  CHECK(stats.closed_protocol.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "bytes that are no reply end the connection, and whoever waits hears why") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  (void)Send(2);
  connection.Feed("+one\r\nHTTP/1.1 400 Bad Request\r\n");
  CHECK(TakeHeard() == Heard{"1: +one\r\n", Lost(2, proto::kErrBadUpstreamReply)});
  CHECK(connection.closed());
  CHECK(stats.closed_protocol.value() == 1);
}

// ---- connecting ---------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "once an attempt has failed requests are refused at once, with the reason") {
  Make(Purpose::kLane);
  CHECK(Send(1).empty());
  dialer.latest().End(Code::kUnavailable, "connection refused");
  const std::string line = std::string(kUnavailable) + "connection refused); retrying";
  CHECK(TakeHeard() == Heard{Lost(1, line)});
  CHECK(Send(2) == line);
  CHECK(sink.heard.empty());

  scheduler.Advance(config.reconnect_delay_min);
  REQUIRE(dialer.dials() == 2);
  CHECK(Send(3) == line);  // until one stands
  (void)Establish();
  CHECK(Send(4).empty());
  CHECK(stats.refused_down.value() == 2);
  CHECK(stats.connects_failed.value() == 1);
  CHECK(stats.connects_ok.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "attempts go on for as long as it takes, further and further apart") {
  Make(Purpose::kLane);
  link->Open();
  std::vector<MonoTime> at;
  for (int i = 0; i < 12; ++i) {
    dialer.latest().End(Code::kUnavailable);
    const std::size_t dials = dialer.dials();
    while (dialer.dials() == dials) {
      scheduler.Advance(1ms);
    }
    at.push_back(scheduler.Now());
  }
  CHECK(at[1] - at[0] <= 100ms);
  CHECK(at[11] - at[10] > 2500ms);
  CHECK(at[11] - at[10] <= 5s);
}

TEST_CASE_FIXTURE(Rig, "a connection that does not come about is given up in time") {
  Make(Purpose::kLane);
  (void)Send(1);
  const char* const why = "no connection within upstream.connect_timeout";
  SUBCASE("no answer to the dial") {}
  SUBCASE("no answer to the handshake") {
    dialer.latest().Open();
  }
  scheduler.Advance(config.connect_timeout - 1ms);
  CHECK(sink.heard.empty());
  scheduler.Advance(1ms);
  CHECK(TakeHeard() == Heard{Lost(1, std::string(kUnavailable) + why + "); retrying")});
  CHECK(dialer.connection(0).closed());
}

TEST_CASE_FIXTURE(Rig, "a refused handshake is a failed attempt whose reason requests are told") {
  Make(Purpose::kLane);
  (void)Send(1);
  FakeConnection& connection = dialer.latest();
  connection.Open();
  connection.Feed("-NOAUTH Authentication required.\r\n");
  SUBCASE("refused") {
    connection.Feed("-NOAUTH Authentication required.\r\n");
    REQUIRE(sink.heard.size() == 1);
    CHECK(sink.heard[0].find("NOAUTH Authentication required.; set upstream.password") !=
          std::string::npos);
  }
  SUBCASE("not RESP") {
    connection.Feed("SSH-2.0-OpenSSH\r\n");
    REQUIRE(sink.heard.size() == 1);
    CHECK(sink.heard[0].find("unavailable") != std::string::npos);
  }
  SUBCASE("closed") {
    connection.End(Code::kEof, "closed");
    REQUIRE(sink.heard.size() == 1);
    CHECK(sink.heard[0].find("unavailable (closed)") != std::string::npos);
  }
  CHECK(stats.connects_failed.value() == 1);
  CHECK(stats.closed_protocol.value() == 0);  // it never stood
  CHECK(link->state() == State::kBackoff);
}

TEST_CASE_FIXTURE(Rig, "a closed link tells its requests, and opens again when one comes") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1);
  link->Close("because");
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrConnectionLost)});
  CHECK(connection.closed());
  scheduler.Advance(1h);
  CHECK(dialer.dials() == 1);
  CHECK(Send(2).empty());
  CHECK(dialer.dials() == 2);
}

// ---- health -------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "an idle link is asked for a sign of life, a busy one gives it by itself") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  scheduler.Advance(config.health_interval);
  link->CheckHealth();
  link->Flush();
  CHECK(connection.TakeWritten() == Wire({"PING"}));
  scheduler.Advance(2ms);
  connection.Feed("+PONG\r\n");
  CHECK(stats.ping_rtt.sum_seconds() == doctest::Approx(0.002));
  link->CheckHealth();  // something came a moment ago
  link->Flush();
  CHECK(connection.TakeWritten().empty());
  CHECK(stats.pings.value() == 1);
}

// How long a silent link with something unanswered is kept, looked at every health_interval.
Duration Patience(Rig& rig, FakeConnection& connection) {
  const MonoTime from = rig.scheduler.Now();
  for (int i = 0; i < 100 && !connection.closed(); ++i) {
    rig.link->CheckHealth();
    rig.link->Flush();
    rig.scheduler.Advance(rig.config.health_interval);
  }
  return rig.scheduler.Now() - from;
}

TEST_CASE_FIXTURE(Rig, "a silent fill link is given up soon, since L1 is only as fresh as it") {
  FakeConnection& connection = MakeReady(Purpose::kFill);
  scheduler.Advance(1s);
  CHECK(Patience(*this, connection) <= 4 * config.health_interval + 1s);
  CHECK(stats.closed_silent.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "a silent lane is given up no sooner than a slow command may take") {
  config.command_timeout = 20s;
  FakeConnection& connection = MakeReady(Purpose::kLane);
  (void)Send(1, nullptr, 60s);
  const Duration patience = Patience(*this, connection);
  CHECK(patience >= 20s);
  CHECK(patience <= 22s);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrConnectionLost)});
}

TEST_CASE_FIXTURE(Rig, "a blocked client's link may be silent as long as the client likes") {
  FakeConnection& connection = MakeReady(Purpose::kExclusive);
  Lend();
  (void)Send(1, nullptr, 0s);
  (void)Patience(*this, connection);
  CHECK_FALSE(connection.closed());
  CHECK(stats.pings.value() == 0);
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

}  // namespace
}  // namespace nearcached
