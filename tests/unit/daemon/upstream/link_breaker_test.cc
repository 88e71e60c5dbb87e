#include <chrono>
#include <string>

#include "tests/unit/daemon/upstream/link_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class Rig : public LinkFixture {
 public:
  Rig() {
    config.breaker_failures = 3;
    config.reconnect_delay_min = 100ms;
    config.reconnect_delay_max = 10s;
  }
  // Fails attempts until the breaker is open.
  void FailUntilOpen() {
    link->Open();
    while (gate.state() == DialGate::State::kClosed) {
      dialer.latest().End(Code::kUnavailable);
      if (gate.state() == DialGate::State::kClosed) {
        WaitForDial();
      }
    }
  }
  void WaitForDial() {
    for (const std::size_t dials = dialer.dials(); dialer.dials() == dials;) {
      scheduler.Advance(10ms);
    }
  }
};

TEST_CASE_FIXTURE(Rig, "after so many failed attempts requests are refused, and nobody connects") {
  Make(Purpose::kLane);
  FailUntilOpen();
  CHECK(dialer.dials() == 3);
  CHECK(Send(1).starts_with(kUnavailable));
  CHECK(dialer.dials() == 3);
  Make(Purpose::kExclusive);  // another one, that has not failed itself
  CHECK(Send(2).starts_with(kUnavailable));
  CHECK(dialer.dials() == 3);
}

TEST_CASE_FIXTURE(Rig, "the trial that stands closes the breaker") {
  Make(Purpose::kLane);
  FailUntilOpen();
  WaitForDial();
  CHECK(gate.state() == DialGate::State::kHalfOpen);
  CHECK(Send(1).starts_with(kUnavailable));  // its outcome is waited for by nobody
  Establish();
  CHECK(gate.state() == DialGate::State::kClosed);
  CHECK(Send(2).empty());
}

TEST_CASE_FIXTURE(Rig, "a link given up in the middle of its trial lets another one try") {
  Make(Purpose::kLane);
  FailUntilOpen();
  WaitForDial();
  link->Close("not wanted");
  CHECK(gate.state() == DialGate::State::kOpen);
  link->Open();
  CHECK(gate.state() == DialGate::State::kHalfOpen);
  Establish();
}

TEST_CASE_FIXTURE(Rig, "timeouts of a server that says nothing open it, one word of it closes it") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    CHECK(Send(seq).empty());
  }
  link->Flush();
  scheduler.Advance(5s);
  CHECK(gate.state() == DialGate::State::kOpen);
  CHECK(TakeHeard().size() == 3);
  CHECK(Send(4).starts_with(kUnavailable));
  connection.Feed("+late\r\n");
  CHECK(gate.state() == DialGate::State::kClosed);
  CHECK(Send(5).empty());
}

TEST_CASE_FIXTURE(Rig, "a database that is not there says nothing about the server") {
  for (int i = 0; i < 5; ++i) {
    Make(Purpose::kExclusive);
    link->Open();
    dialer.latest().Open();
    dialer.latest().Feed("+OK\r\n:90\r\n");
    dialer.latest().Feed("-ERR DB index is out of range\r\n");
    CHECK(link->state() == State::kClosed);
  }
  CHECK(gate.state() == DialGate::State::kClosed);
}

TEST_CASE_FIXTURE(Rig,
                  "a link that finds too many others connecting waits, and its requests with it") {
  config.dials_max = 1;
  CHECK(gate.Ask(scheduler.Now()) == DialGate::Answer::kGo);  // somebody else
  Make(Purpose::kLane);
  CHECK(Send(1).empty());
  CHECK(dialer.dials() == 0);
  scheduler.Advance(20ms);
  CHECK(dialer.dials() == 0);
  CHECK(stats.dials_delayed.value() == 1);
  gate.OnDialEnded(DialGate::End::kStands, scheduler.Now());
  scheduler.Advance(10ms);
  CHECK(dialer.dials() == 1);
  FakeConnection& connection = Establish();
  link->Flush();
  CHECK(connection.TakeWritten() == Wire({"GET", "1"}));
  connection.Feed("+one\r\n");
  CHECK(TakeHeard() == Heard{"1: +one\r\n"});
}

TEST_CASE_FIXTURE(Rig, "a request that waits for a dial the breaker forbids is told so") {
  config.dials_max = 1;
  CHECK(gate.Ask(scheduler.Now()) == DialGate::Answer::kGo);
  Make(Purpose::kExclusive);
  CHECK(Send(1).empty());
  for (int i = 0; i < 3; ++i) {
    gate.OnTimeout(scheduler.Now());
  }
  scheduler.Advance(10ms);
  const Heard heard = TakeHeard();
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].starts_with("1 lost: " + std::string(kUnavailable)));
  gate.OnDialEnded(DialGate::End::kGivenUp, scheduler.Now());
}

TEST_CASE_FIXTURE(Rig, "open, one request tries a link that stands, the others are told why not") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    CHECK(Send(seq).empty());
  }
  link->Flush();
  scheduler.Advance(5s);
  REQUIRE(gate.state() == DialGate::State::kOpen);
  scheduler.Advance(100ms);
  CHECK(Send(4).empty());
  link->Flush();
  CHECK(gate.state() == DialGate::State::kHalfOpen);
  const std::string refused(Send(5));
  CHECK(refused.find("requests timed out, circuit breaker open") != std::string::npos);
  connection.Feed("+1\r\n+2\r\n+3\r\n+4\r\n");
  CHECK(Send(6).empty());
}

TEST_CASE_FIXTURE(Rig, "a link that waits to try again is woken, and takes requests at once") {
  config.breaker_failures = 0;
  Make(Purpose::kLane);
  link->Open();
  dialer.latest().End(Code::kUnavailable);
  CHECK(link->state() == State::kBackoff);
  CHECK(Send(1).starts_with(kUnavailable));
  link->Wake();
  CHECK(dialer.dials() == 2);
  CHECK(Send(2).empty());
  Establish();
}

TEST_CASE_FIXTURE(Rig, "without a primary there is nothing to ask the gate for") {
  topology.known = false;
  Make(Purpose::kLane);
  link->Open();
  scheduler.Advance(Duration(config.connect_timeout) + 1ms);
  CHECK(dialer.dials() == 0);
  CHECK(gate.state() == DialGate::State::kClosed);
  CHECK(link->state() == State::kBackoff);
}

}  // namespace
}  // namespace nearcached
