// What becomes of requests whose connection is lost: reads are sent once more, writes never.
#include <chrono>
#include <string>

#include "tests/unit/daemon/upstream/link_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class Rig : public LinkFixture {
 public:
  std::string Ask(std::uint64_t client, std::uint64_t seq, std::string_view word, bool repeatable,
                  bool follows = false) {
    const std::string bytes = Wire({word, std::to_string(seq)});
    return std::string(link->Send({.bytes = bytes,
                                   .sink = &sink,
                                   .token = {client, seq},
                                   .timeout = 5s,
                                   .repeatable = repeatable,
                                   .client = client,
                                   .follows = follows}));
  }
  void Read(std::uint64_t client, std::uint64_t seq) { CHECK(Ask(client, seq, "R", true).empty()); }
  void Write(std::uint64_t client, std::uint64_t seq) {
    CHECK(Ask(client, seq, "W", false).empty());
  }
  // A lane that has stood for a while.
  FakeConnection& Stable(Purpose purpose = Purpose::kLane) {
    FakeConnection& connection = MakeReady(purpose);
    scheduler.Advance(2s);
    return connection;
  }
  FakeConnection& Again() {
    FakeConnection& connection = Establish();
    link->Flush();
    return connection;
  }
  static std::string R(int seq) { return Wire({"R", std::to_string(seq)}); }
};

TEST_CASE_FIXTURE(Rig, "reads on a lost connection are sent once more, in order, and answered") {
  FakeConnection& connection = Stable();
  Read(1, 1);
  Read(2, 2);
  Read(1, 3);
  link->Flush();
  connection.End(Code::kEof);
  CHECK(TakeHeard().empty());
  FakeConnection& next = Again();
  CHECK(next.TakeWritten() == R(1) + R(2) + R(3));
  next.Feed("+1\r\n+2\r\n+3\r\n");
  CHECK(TakeHeard() == Heard{"1: +1\r\n", "2: +2\r\n", "3: +3\r\n"});
  CHECK(stats.repeated.value() == 3);
  CHECK(stats.repeated_ok.value() == 3);
}

TEST_CASE_FIXTURE(Rig,
                  "a write is never sent twice, and no read of its client that came before it") {
  FakeConnection& connection = Stable();
  Read(1, 1);
  Write(1, 2);
  Read(1, 3);
  Read(2, 4);
  Write(3, 5);
  link->Flush();
  connection.End(Code::kEof);
  const Heard lost = TakeHeard();
  CHECK(lost == Heard{Lost(1, proto::kErrConnectionLost), Lost(2, proto::kErrConnectionLost),
                      Lost(5, proto::kErrConnectionLost)});
  CHECK(Again().TakeWritten() == R(3) + R(4));
  dialer.latest().Feed("+3\r\n+4\r\n");
  CHECK(TakeHeard() == Heard{"3: +3\r\n", "4: +4\r\n"});
}

TEST_CASE_FIXTURE(Rig, "what is sent after a loss comes behind what is repeated") {
  FakeConnection& connection = Stable();
  Read(1, 1);
  link->Flush();
  connection.End(Code::kEof);
  Write(1, 2);
  CHECK(Again().TakeWritten() == R(1) + Wire({"W", "2"}));
  dialer.latest().Feed("+1\r\n+OK\r\n");
  CHECK(TakeHeard() == Heard{"1: +1\r\n", "2: +OK\r\n"});
}

TEST_CASE_FIXTURE(Rig, "a read is sent twice at most") {
  FakeConnection& connection = Stable();
  Read(1, 1);
  link->Flush();
  connection.End(Code::kEof);
  FakeConnection& next = Again();
  scheduler.Advance(2s);
  next.End(Code::kEof);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrConnectionLost)});
  CHECK(stats.repeated_failed.value() == 1);
  CHECK(Again().TakeWritten().empty());
}

TEST_CASE_FIXTURE(Rig, "a read keeps the deadline it began with") {
  FakeConnection& connection = Stable();
  Read(1, 1);
  link->Flush();
  scheduler.Advance(3s);
  connection.End(Code::kEof);
  FakeConnection& next = Again();
  scheduler.Advance(2s);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrTimeout)});
  CHECK(stats.repeated_failed.value() == 1);
  next.Feed("+late\r\n");
  CHECK(TakeHeard().empty());
}

TEST_CASE_FIXTURE(Rig, "no read is repeated of which the beginning was heard") {
  FakeConnection& connection = Stable();
  Read(1, 1);
  link->Flush();
  connection.Feed("$100000\r\n" + std::string(70'000, 'x'));
  (void)TakeHeard();
  connection.End(Code::kEof);
  const Heard lost = TakeHeard();
  REQUIRE(lost.size() == 1);
  CHECK(lost[0].find("lost") != std::string::npos);
  CHECK(Again().TakeWritten().empty());
}

TEST_CASE_FIXTURE(Rig, "a link that is lost as soon as it stands repeats nothing") {
  FakeConnection& connection = MakeReady(Purpose::kLane);
  Read(1, 1);
  link->Flush();
  connection.End(Code::kEof);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrConnectionLost)});
}

TEST_CASE_FIXTURE(Rig, "retry_reads off: reads fail as writes do") {
  config.retry_reads = false;
  FakeConnection& connection = Stable();
  Read(1, 1);
  link->Flush();
  connection.End(Code::kEof);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrConnectionLost)});
}

TEST_CASE_FIXTURE(Rig, "the halves of a fill are repeated together or not at all") {
  FakeConnection& connection = Stable(Purpose::kFill);
  for (std::uint64_t i = 0; i < 4; i += 2) {
    CHECK(Ask(0, i, "R", true).empty());
    CHECK(Ask(0, i + 1, "R", true, true).empty());
  }
  link->Flush();
  connection.Feed("+0\r\n");  // the first half of the first
  (void)TakeHeard();
  connection.End(Code::kEof);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrConnectionLost)});
  CHECK(Again().TakeWritten() == R(2) + R(3));
  dialer.latest().Feed("+2\r\n+3\r\n");
}

TEST_CASE_FIXTURE(Rig,
                  "in a young outage what was never sent waits for the next attempt, writes too") {
  config.max_hold = 3s;
  Make(Purpose::kLane);
  Write(1, 1);
  Read(1, 2);
  dialer.latest().End(Code::kUnavailable);
  CHECK(TakeHeard().empty());
  CHECK(link->holding());
  SUBCASE("which succeeds") {
    scheduler.Advance(100ms);
    CHECK(Again().TakeWritten() == Wire({"W", "1"}) + R(2));
    dialer.latest().Feed("+OK\r\n+2\r\n");
    CHECK(TakeHeard() == Heard{"1: +OK\r\n", "2: +2\r\n"});
    CHECK(stats.repeated.value() == 0);
  }
  SUBCASE("until it is not young any more") {
    for (int i = 0; i < 40 && TakeHeard().empty(); ++i) {
      scheduler.Advance(100ms);
      if (link->state() == State::kConnecting) {
        dialer.latest().End(Code::kUnavailable);
      }
    }
    CHECK_FALSE(link->holding());
    CHECK(link->unanswered() == 0);
  }
}

TEST_CASE_FIXTURE(Rig,
                  "a read that is answered LOADING waits for the server, where requests may wait") {
  FakeConnection& connection = Stable();
  Read(1, 1);
  Write(2, 2);
  link->Flush();
  SUBCASE("max_hold is 0: the answer is passed on, and the link stays") {
    connection.Feed("-LOADING soon\r\n-LOADING soon\r\n");
    CHECK(TakeHeard() == Heard{"1: -LOADING soon\r\n", "2: -LOADING soon\r\n"});
    CHECK(link->state() == State::kReady);
    CHECK(stats.sick[static_cast<std::size_t>(SickReply::kLoading)].value() == 2);
  }
  SUBCASE("else the link is made anew") {
    config.max_hold = 10s;
    connection.Feed("-LOADING soon\r\n-LOADING soon\r\n");
    CHECK(stats.closed_sick.value() == 1);
    CHECK(link->holding());
    CHECK(TakeHeard() == Heard{Lost(2, proto::kErrConnectionLost)});
    CHECK(Again().TakeWritten() == R(1));
    dialer.latest().Feed("+1\r\n");
    CHECK(TakeHeard() == Heard{"1: +1\r\n"});
  }
  SUBCASE("a write has its answer, and the link is made anew") {
    config.max_hold = 10s;
    connection.Feed("+1\r\n-MASTERDOWN soon\r\n");
    CHECK(TakeHeard() == Heard{"1: +1\r\n", "2: -MASTERDOWN soon\r\n"});
    CHECK(link->holding());
  }
}

TEST_CASE_FIXTURE(Rig, "reads on a connection to the old primary are sent to the new one") {
  FakeConnection& connection = Stable();
  topology.may_change = true;
  Read(1, 1);
  Write(2, 2);
  link->Flush();
  (void)connection.TakeWritten();
  topology.primary.port = 6380;
  link->OnPrimaryChanged();
  CHECK(TakeHeard() == Heard{Lost(2, proto::kErrConnectionLost)});
  CHECK(dialer.dials() == 2);
  dialer.latest().Open();
  dialer.latest().Feed("+OK\r\n+PONG\r\n*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n");
  (void)dialer.latest().TakeWritten();
  link->Flush();
  CHECK(dialer.latest().TakeWritten() == R(1));
  dialer.latest().Feed("+1\r\n");
}

}  // namespace
}  // namespace nearcached
