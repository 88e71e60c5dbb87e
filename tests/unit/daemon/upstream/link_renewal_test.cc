#include <chrono>
#include <string>

#include "tests/unit/daemon/upstream/link_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class Rig : public LinkFixture {
 public:
  Counter reason;

  void Renew() { link->Renew(reason, "time for a new one"); }
  std::string Written(FakeConnection& connection) {
    link->Flush();
    return connection.TakeWritten();
  }
};

TEST_CASE_FIXTURE(Rig, "a link with nothing unanswered is renewed at once") {
  FakeConnection& old = MakeReady(Purpose::kLane);
  Renew();
  CHECK(old.closed());
  CHECK(reason.value() == 1);
  CHECK(TakeSeen() == Heard{"down: time for a new one"});
  CHECK(link->closed_by_us());
  CHECK(dialer.dials() == 2);
  FakeConnection& fresh = Establish();
  CHECK(Send(1).empty());
  CHECK(Written(fresh) == Wire({"GET", "1"}));
  fresh.Feed("+one\r\n");
  CHECK(TakeHeard() == Heard{"1: +one\r\n"});
}

TEST_CASE_FIXTURE(Rig,
                  "what was sent is answered by the old connection, what comes by the new one") {
  FakeConnection& old = MakeReady(Purpose::kLane);
  CHECK(Send(1).empty());
  CHECK(Send(2).empty());
  Renew();  // nothing of it has been written yet: it still belongs to the old connection
  CHECK(Send(3).empty());
  CHECK(Written(old) == Wire({"GET", "1"}) + Wire({"GET", "2"}));
  CHECK_FALSE(old.closed());
  old.Feed("+one\r\n");
  CHECK(dialer.dials() == 1);
  CHECK(reason.value() == 0);
  old.Feed("+two\r\n");
  CHECK(old.closed());
  CHECK(reason.value() == 1);
  CHECK(TakeHeard() == Heard{"1: +one\r\n", "2: +two\r\n"});
  CHECK(Send(4).empty());
  FakeConnection& fresh = Establish();
  CHECK(Written(fresh) == Wire({"GET", "3"}) + Wire({"GET", "4"}));
  fresh.Feed("+three\r\n+four\r\n");
  CHECK(TakeHeard() == Heard{"3: +three\r\n", "4: +four\r\n"});
}

TEST_CASE_FIXTURE(Rig, "a request that timed out is still waited for before the connection goes") {
  config.command_timeout = 5s;
  FakeConnection& old = MakeReady(Purpose::kLane);
  CHECK(Send(1).empty());
  CHECK(Written(old) == Wire({"GET", "1"}));
  Renew();
  scheduler.Advance(5s);
  CHECK(TakeHeard() == Heard{Lost(1, proto::kErrTimeout)});
  CHECK_FALSE(old.closed());
  old.Feed("+late\r\n");
  CHECK(old.closed());
  CHECK(TakeHeard().empty());
  Establish();
}

TEST_CASE_FIXTURE(Rig, "a connection lost while it is renewed loses all its requests, once each") {
  FakeConnection& old = MakeReady(Purpose::kLane);
  CHECK(Send(1, BeginWrite("k")).empty());
  Renew();
  CHECK(Send(2, BeginWrite("l")).empty());
  old.End(Code::kEof);
  CHECK(TakeHeard() ==
        Heard{Lost(1, proto::kErrConnectionLost), Lost(2, proto::kErrConnectionLost)});
  CHECK_FALSE(Held("k"));
  CHECK_FALSE(Held("l"));
  CHECK_FALSE(link->renewing());
  scheduler.Advance(5s);
  FakeConnection& fresh = Establish();
  CHECK(Written(fresh).empty());  // a write is never sent twice
}

TEST_CASE_FIXTURE(Rig, "a new connection that cannot be made fails those who waited for it") {
  FakeConnection& old = MakeReady(Purpose::kLane);
  CHECK(Send(1).empty());
  Renew();
  CHECK(Send(2).empty());
  old.Feed("+one\r\n");
  (void)TakeHeard();
  dialer.latest().End(Code::kUnavailable);
  const Heard heard = TakeHeard();
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].starts_with("2 lost: " + std::string(kUnavailable)));
}

TEST_CASE_FIXTURE(Rig, "nothing may be filled by a fill link that is about to be another one") {
  FakeConnection& old = MakeReady(Purpose::kFill);
  CHECK(Send(1).empty());
  CHECK(link->armed());
  const FillOwner before = link->owner();
  Renew();
  CHECK_FALSE(link->armed());
  old.Feed("+one\r\n");
  CHECK(TakeSeen() == Heard{"down: time for a new one"});
  Establish();
  CHECK(link->armed());
  CHECK_FALSE(link->owner() == before);
}

TEST_CASE_FIXTURE(Rig,
                  "a lane that has reached its lifetime says so, a new connection begins anew") {
  config.pool.max_lifetime = 100s;
  config.pool.lifetime_jitter = 0;
  MakeReady(Purpose::kLane);
  CHECK_FALSE(link->outlived(scheduler.Now() + 99s));
  CHECK(link->outlived(scheduler.Now() + 100s));
  link->Retire();
  CHECK(link->outlived(scheduler.Now()));
  Renew();
  Establish();
  CHECK_FALSE(link->outlived(scheduler.Now()));
}

TEST_CASE_FIXTURE(Rig, "a link that does not stand, or is being renewed, is not renewed again") {
  Make(Purpose::kLane);
  link->Open();
  Renew();
  CHECK(dialer.dials() == 1);
  CHECK(reason.value() == 0);
  FakeConnection& old = Establish();
  CHECK(Send(1).empty());
  Renew();
  Renew();
  CHECK(Written(old) == Wire({"GET", "1"}));
  old.Feed("+one\r\n");
  CHECK(reason.value() == 1);
  CHECK(dialer.dials() == 2);
  Establish();
}

}  // namespace
}  // namespace nearcached
