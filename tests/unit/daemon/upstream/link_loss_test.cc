// What becomes of requests when time runs out, when the connection is lost, or cannot be made.
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
using State = LinkFixture::State;

// ---- timeouts (R13) -----------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "a call that times out behind its script is one timeout, not two") {
  (void)MakeReady(Purpose::kLane);
  Script script;
  script.sha1 = "63143b6f8007b98c53ca2149822777b3566f9241";
  script.body = "return";
  script.id = 7;
  const std::string bytes = Wire({"EVALSHA", script.sha1, "0"});
  CHECK(link->Send({.bytes = bytes,
                    .sink = &sink,
                    .token = {1, 1},
                    .timeout = 5s,
                    .script = std::make_shared<const Script>(script)})
            .empty());
  link->Flush();
  scheduler.Advance(5s);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrTimeout)});
  CHECK(stats.timeouts.value() == 1);
  CHECK(link->awaited() == 0);
}

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

TEST_CASE_FIXTURE(Rig, "once another link stands, one that is trying takes requests again") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  connection.End(Code::kEof, "closed by the upstream");
  SUBCASE("it waited for its next attempt") {
    REQUIRE(link->state() == State::kBackoff);
  }
  SUBCASE("it was about to connect") {
    scheduler.Advance(config.reconnect_delay_min);
    REQUIRE(link->state() == State::kConnecting);
  }
  SUBCASE("it was shaking hands") {
    scheduler.Advance(config.reconnect_delay_min);
    dialer.latest().Open();
    REQUIRE(link->state() == State::kHandshake);
    link->Wake();
    REQUIRE(dialer.dials() == 2);
    CHECK(Send(1).empty());
    dialer.latest().Feed("+OK\r\n+PONG\r\n");
    link->Flush();
    dialer.latest().Feed("+one\r\n");
    CHECK(TakeHeard() == Heard{"1: +one\r\n"});
    return;
  }
  CHECK_FALSE(Send(1).empty());
  link->Wake();
  CHECK(Send(2).empty());
  FakeConnection& next = Establish();
  link->Flush();
  CHECK(next.TakeWritten() == Wire({"GET", "2"}));
  next.Feed("+two\r\n");
  CHECK(TakeHeard() == Heard{"2: +two\r\n"});
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

}  // namespace
}  // namespace nearcached
