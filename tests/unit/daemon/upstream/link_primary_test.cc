// What a link does when the primary is, or may be, another node.
#include <string>

#include "tests/unit/daemon/upstream/link_fixture.h"

namespace nearcached {
namespace {

using Purpose = Link::Purpose;
using State = Link::State;

constexpr const char* kRole = "*3\r\n$6\r\nmaster\r\n:7\r\n*0\r\n";

class Rig : public LinkFixture {
 public:
  Rig() { topology.may_change = true; }

  // The handshake of a lane, with ROLE.
  FakeConnection& EstablishLane() {
    FakeConnection& connection = dialer.latest();
    connection.Open();
    for (const char* reply : {"+OK\r\n", "+PONG\r\n", kRole}) {
      connection.Feed(reply);
    }
    REQUIRE(link->state() == State::kReady);
    link->Flush();
    return connection;
  }
};

TEST_CASE_FIXTURE(Rig,
                  "without a primary nothing is dialled, and who waits is served by the next one") {
  topology.known = false;
  Make(Purpose::kLane);
  CHECK(Send(1).empty());
  CHECK(dialer.dials() == 0);
  topology.known = true;
  topology.primary.host = "n2";
  link->OnPrimaryChanged();
  REQUIRE(dialer.dials() == 1);
  CHECK(dialer.last_endpoint().host == "n2");
  FakeConnection& connection = EstablishLane();
  CHECK(connection.TakeWritten().ends_with(Wire({"GET", "1"})));
  connection.Feed("+one\r\n");
  CHECK(sink.heard.size() == 1);
}

TEST_CASE_FIXTURE(Rig, "who waits for a primary too long is told that there is none") {
  topology.known = false;
  Make(Purpose::kLane);
  CHECK(Send(1).empty());
  scheduler.Advance(Duration(config.connect_timeout));
  REQUIRE(sink.heard.size() == 1);
  CHECK(sink.heard[0].find("no node is known to be the primary") != std::string::npos);
}

TEST_CASE_FIXTURE(
    Rig, "when the primary is another one, what was under way is told once and not sent again") {
  Make(Purpose::kLane);
  link->Open();
  FakeConnection& old = EstablishLane();
  CHECK(Send(1, BeginWrite("k")).empty());
  CHECK(Send(2).empty());
  link->Flush();
  topology.primary.host = "n2";
  link->OnPrimaryChanged();
  CHECK(old.closed());
  CHECK(sink.heard ==
        Heard{Lost(1, proto::kErrConnectionLost), Lost(2, proto::kErrConnectionLost)});
  CHECK(coherence.idle());
  CHECK(dialer.last_endpoint().host == "n2");
  FakeConnection& next = EstablishLane();
  CHECK(next.TakeWritten().find("GET") == std::string::npos);
  CHECK(stats.closed_switched.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "an attempt that waits is made at once when the primary is another one") {
  Make(Purpose::kLane);
  link->Open();
  dialer.latest().End(Code::kUnavailable);
  CHECK(link->state() == State::kBackoff);
  CHECK(topology.doubts.empty());  // the pool raises that one
  topology.primary.host = "n2";
  link->OnPrimaryChanged();
  CHECK(dialer.dials() == 2);
  (void)EstablishLane();
}

TEST_CASE_FIXTURE(Rig, "a node that answers READONLY is left, after its error was delivered") {
  Make(Purpose::kLane);
  link->Open();
  FakeConnection& connection = EstablishLane();
  CHECK(Send(1).empty());
  CHECK(Send(2).empty());
  link->Flush();
  connection.Feed("-READONLY You can't write against a read only replica.\r\n+old\r\n");
  CHECK(connection.closed());
  REQUIRE(sink.heard.size() == 2);
  CHECK(sink.heard[0].find("READONLY") != std::string::npos);
  CHECK(sink.heard[1] == Lost(2, proto::kErrConnectionLost));
  CHECK(topology.doubts == Heard{"READONLY"});
  CHECK(stats.closed_demoted.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "LOADING, MASTERDOWN and a timeout raise a doubt, other errors do not") {
  Make(Purpose::kLane);
  link->Open();
  FakeConnection& connection = EstablishLane();
  for (std::uint64_t seq = 1; seq <= 4; ++seq) {
    CHECK(Send(seq).empty());
  }
  link->Flush();
  connection.Feed("-ERR READONLY no\r\n-LOADING Redis is loading\r\n-MASTERDOWN Link down\r\n");
  CHECK(topology.doubts == Heard{"LOADING", "MASTERDOWN"});
  scheduler.Advance(std::chrono::seconds(5));
  CHECK(topology.doubts.size() == 3);
  CHECK(link->state() == State::kReady);
}

TEST_CASE_FIXTURE(Rig, "with a single server READONLY is an error like any other") {
  topology.may_change = false;
  FakeConnection& connection = MakeReady(Purpose::kLane);
  CHECK(Send(1).empty());
  link->Flush();
  connection.Feed("-READONLY You can't write against a read only replica.\r\n");
  CHECK_FALSE(connection.closed());
  CHECK(topology.doubts.empty());
}

}  // namespace
}  // namespace nearcached
