#include "daemon/upstream/exclusive_pool.h"

#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/upstream/pool.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"
#include "tests/support/fake_fetch.h"
#include "tests/support/fake_scheduler.h"
#include "tests/support/fake_server.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;
using Protocol = proto::Protocol;
using Sessions = std::vector<std::uint64_t>;

// A pool, and sessions that are only numbers.
class Rig : private ExclusiveOwner {
 public:
  FakeScheduler scheduler;
  FakeDialer dialer;
  FakeServer server{dialer};
  SingleTopology topology{Endpoint{.host = "up", .port = 6379, .unix_path = {}}};
  config::UpstreamConfig config;
  Rng rng{1};
  CommandTable commands;
  KeyHasher hasher{1};
  L1 l1{L1Options{.bytes_max = 1 << 20, .negative_share = 0.1}};
  RecordingSink sink;
  std::unique_ptr<Pool> pool;
  std::unique_ptr<Coherence> coherence;
  Sessions told;
  std::map<std::uint64_t, ExclusiveLink*> lent;
  std::string error;

  Rig() { server.command = "*0\r\n"; }
  virtual ~Rig() {
    if (pool != nullptr) {
      while (!lent.empty()) {
        Return(lent.begin()->first, false);
      }
      pool->Shutdown();
      CHECK(pool->stats().exclusive_active.value() == 0);
      CHECK(pool->stats().exclusive_idle.value() == 0);
      CHECK(pool->stats().exclusive_waiting.value() == 0);
      CHECK(pool->stats().exclusive_oldest_wait_ns.value() == 0);
      CHECK(pool->stats().links_ready.value() == 0);
      CHECK(pool->stats().inflight.value() == 0);
      coherence->ReleaseAll();
    }
    coherence.reset();
    pool.reset();
    CHECK(scheduler.timers() == 0);
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  void Start() {
    pool = std::make_unique<Pool>(Pool::Deps{scheduler, dialer, topology, config,
                                             config::TrackingConfig::Mode::kOff, rng, commands});
    coherence = std::make_unique<Coherence>(scheduler, hasher, l1, *pool);
    pool->SetCoherence(*coherence);
    coherence->flights().SetSink(sink);
    pool->Start(false);
    Turn();
  }
  void Turn() {
    do {
      pool->Flush();
    } while (server.Pump());
    pool->Flush();
  }
  void Wait(Duration d) {
    for (const MonoTime until = scheduler.Now() + d; scheduler.Now() < until;) {
      scheduler.Advance(std::min<Duration>(50ms, until - scheduler.Now()));
      Turn();
    }
  }
  // True: lent. False: waits, or was refused (`error` says so).
  bool Borrow(std::uint64_t session, DbIndex db = 0) {
    std::string_view line;
    ExclusiveLink* const link = pool->Borrow(db, Protocol::kResp2, *this, session, line);
    error = line;
    if (link != nullptr) {
      lent[session] = link;
    }
    return link != nullptr;
  }
  // Borrows and makes a round trip, so that the link stands.
  void BorrowReady(std::uint64_t session) {
    REQUIRE(Borrow(session));
    Use(session);
  }
  void Use(std::uint64_t session) {
    CHECK(lent.at(session)
              ->Send({.bytes = "*1\r\n$5\r\nMULTI\r\n",
                      .sink = &sink,
                      .token = {session, 1},
                      .footprint = nullptr,
                      .timeout = 5s})
              .empty());
    Turn();
    server.Answer("MULTI", "+OK\r\n");
    Turn();
  }
  // Sends a command that says whose it is.
  void Block(std::uint64_t session) {
    const std::string key = std::to_string(session);
    const std::vector<std::string_view> command = {"BLPOP", key, "0"};
    std::string bytes;
    proto::AppendCommand(bytes, command);
    CHECK(lent.at(session)
              ->Send({.bytes = bytes, .sink = &sink, .token = {session, session}})
              .empty());
    Turn();
  }
  void BorrowAndBlock(std::uint64_t session, DbIndex db = 0) {
    REQUIRE(Borrow(session, db));
    Block(session);
  }
  void Return(std::uint64_t session, bool reusable = true) {
    ExclusiveLink* const link = lent.at(session);
    lent.erase(session);
    pool->Return(link, reusable);
    Turn();
  }
  Sessions TakeTold() { return std::exchange(told, {}); }
  [[nodiscard]] const UpstreamStats& stats() const { return pool->stats(); }
  [[nodiscard]] const ExclusivePool& exclusive() const { return pool->exclusive(); }

 private:
  void OnPassthrough(std::uint64_t /*session*/, std::string_view /*bytes*/,
                     bool /*push*/) override {}
  [[nodiscard]] std::size_t PassthroughBacklog(std::uint64_t /*session*/) const override {
    return 0;
  }
  void OnSubscriptionsEnded(std::uint64_t /*session*/) override {}
  void OnExclusiveLost(std::uint64_t /*session*/, std::string_view /*line*/) override {}
  void OnMayBorrow(std::uint64_t session) override { told.push_back(session); }
  void OnLinkExchanged(std::uint64_t session, ExclusiveLink& link) override {
    REQUIRE(lent.contains(session));
    lent.at(session) = &link;
  }
};

// ---- the line -----------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "who finds every link lent waits, and is served in order of arrival") {
  config.pool.max_active = 1;
  Start();
  BorrowReady(1);
  for (const std::uint64_t session : {2, 3, 4}) {
    CHECK_FALSE(Borrow(session));
    CHECK(error.empty());
  }
  CHECK(stats().exclusive_waiting.value() == 3);
  CHECK(stats().exclusive_exhausted.value() == 3);
  std::uint64_t holder = 1;
  for (const std::uint64_t next : {2, 3, 4}) {
    Return(holder);
    CHECK(TakeTold() == Sessions{next});
    CHECK(Borrow(next));
    holder = next;
  }
  CHECK(stats().exclusive_waiting.value() == 0);
  CHECK(stats().opened_demand.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "nobody overtakes: not even between the promise of a link and its taking") {
  config.pool.max_active = 1;
  Start();
  BorrowReady(1);
  CHECK_FALSE(Borrow(2));
  Return(1);
  CHECK(TakeTold() == Sessions{2});
  CHECK_FALSE(Borrow(3));
  CHECK(error.empty());
  CHECK(Borrow(2));
  Return(2);
  CHECK(TakeTold() == Sessions{3});
  CHECK(Borrow(3));
}

TEST_CASE_FIXTURE(Rig, "a waiter that leaves is forgotten, wherever it stands") {
  config.pool.max_active = 1;
  Start();
  BorrowReady(1);
  for (const std::uint64_t session : {2, 3, 4}) {
    CHECK_FALSE(Borrow(session));
  }
  pool->LeaveLine(3);  // in the middle
  CHECK(stats().exclusive_waiting.value() == 2);
  Return(1);
  CHECK(TakeTold() == Sessions{2});
  pool->LeaveLine(2);  // promised, and not taken: the next is told
  CHECK(TakeTold() == Sessions{4});
  pool->LeaveLine(4);
  CHECK(exclusive().promised() == 0);
  CHECK(Borrow(5));
  pool->LeaveLine(5);  // holds one and does not wait: nothing happens
  CHECK(lent.size() == 1);
}

TEST_CASE_FIXTURE(Rig, "a wait ends after max_wait with an error that names the setting") {
  config.pool.max_active = 1;
  config.pool.max_wait = 300ms;
  Start();
  BorrowReady(1);
  CHECK_FALSE(Borrow(2));
  Wait(200ms);
  CHECK_FALSE(Borrow(3));
  CHECK(TakeTold().empty());
  CHECK(stats().exclusive_oldest_wait_ns.value() >= std::chrono::nanoseconds(200ms).count());
  Wait(100ms);
  CHECK(TakeTold() == Sessions{2});
  CHECK_FALSE(Borrow(2));
  CHECK(error.find("upstream.pool.max_wait") != std::string::npos);
  CHECK(stats().exclusive_refused.value() == 1);
  Wait(200ms);
  CHECK(TakeTold() == Sessions{3});
  CHECK_FALSE(Borrow(3));
  CHECK(exclusive().promised() == 0);
}

TEST_CASE_FIXTURE(Rig, "a link that is lost makes room for the first in line too") {
  config.pool.max_active = 1;
  Start();
  BorrowReady(1);
  FakeConnection& connection = dialer.latest();
  CHECK_FALSE(Borrow(2));
  connection.End(Code::kEof);
  Turn();
  CHECK(told.empty());  // whoever held it has not given it back
  Return(1);
  CHECK(TakeTold() == Sessions{2});
  BorrowReady(2);
}

TEST_CASE_FIXTURE(Rig, "waiters of another database are served in the same order") {
  config.pool.max_active = 1;
  Start();
  BorrowReady(1);
  CHECK_FALSE(Borrow(2, 5));
  CHECK_FALSE(Borrow(3, 0));
  Return(1);
  CHECK(TakeTold() == Sessions{2});
  CHECK(Borrow(2, 5));
  CHECK(stats().closed_room.value() == 1);  // the idle link of database 0 made room
  CHECK(exclusive().links() == 1);
}

TEST_CASE_FIXTURE(Rig, "a raised limit lets the line in, a lowered one closes what comes back") {
  config.pool.max_active = 1;
  Start();
  BorrowReady(1);
  CHECK_FALSE(Borrow(2));
  config.pool.max_active = 2;
  Wait(100ms);
  CHECK(TakeTold() == Sessions{2});
  BorrowReady(2);
  config.pool.max_active = 1;
  Return(1);
  CHECK(exclusive().links() == 1);
  CHECK(stats().closed_surplus.value() == 1);
}

TEST_CASE_FIXTURE(Rig, "whoever waits when the pool shuts down is told") {
  config.pool.max_active = 1;
  Start();
  BorrowReady(1);
  CHECK_FALSE(Borrow(2));
  pool->Shutdown();
  CHECK(TakeTold() == Sessions{2});
  CHECK_FALSE(Borrow(2));
  CHECK(error == proto::kErrDraining);
  pool->LeaveLine(2);
}

// ---- in line for a connection
// ----------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig,
                  "a link that comes back serves who waits for a dial before who comes later") {
  Start();
  BorrowReady(1);
  server.accepts = false;
  BorrowAndBlock(2);
  CHECK(server.Asked().empty());
  ExclusiveLink* const returned = lent.at(1);
  Return(1);
  CHECK(lent.at(2) == returned);
  CHECK(server.Asked() == std::vector<std::string>{"BLPOP 2 0"});
  CHECK(exclusive().idle() == 1);  // the dial that nobody waits for any more
  const std::size_t dials = dialer.dials();
  BorrowAndBlock(3);
  CHECK(dialer.dials() == dials);
  server.accepts = true;
  Turn();
  CHECK(server.Asked() == std::vector<std::string>{"BLPOP 2 0", "BLPOP 3 0"});
  server.Answer("BLPOP 3 0", "*-1\r\n");
  CHECK(sink.heard.back() == "3: *-1\r\n");
}

TEST_CASE_FIXTURE(Rig, "connections that come to stand in another order serve clients in theirs") {
  Start();
  server.accepts = false;
  const std::size_t before = dialer.dials();
  for (const std::uint64_t session : {1, 2, 3, 4}) {
    BorrowAndBlock(session, session == 2 ? 5 : 0);
  }
  for (const std::size_t place : {3, 1, 2, 0}) {
    dialer.connection(before + place).Open();
    Turn();
  }
  CHECK(server.Asked() ==
        std::vector<std::string>{"BLPOP 1 0", "BLPOP 2 0", "BLPOP 3 0", "BLPOP 4 0"});
  CHECK(exclusive().lent() == 4);
}

TEST_CASE_FIXTURE(Rig,
                  "a dial that was given up for a link that came back serves the next client") {
  Start();
  BorrowReady(1);
  server.accepts = false;
  const std::size_t before = dialer.dials();
  BorrowAndBlock(2);
  BorrowAndBlock(3);
  Return(1);  // serves 2, whose dial is idle now
  CHECK(exclusive().idle() == 1);
  dialer.connection(before).Open();
  Turn();
  CHECK(server.Asked() == std::vector<std::string>{"BLPOP 2 0", "BLPOP 3 0"});
  CHECK(exclusive().idle() == 1);
  Return(3, false);
  Return(2, false);
  CHECK(exclusive().links() == 1);
}

TEST_CASE_FIXTURE(Rig, "a request that has only begun changes links as well") {
  Start();
  BorrowReady(1);
  server.accepts = false;
  REQUIRE(Borrow(2));
  CHECK(lent.at(2)
            ->Send({.bytes = "*2\r\n$4\r\nECHO\r\n$5\r\n",
                    .sink = &sink,
                    .token = {2, 2},
                    .unfinished = true})
            .empty());
  Return(1);
  lent.at(2)->SendRaw("hello\r\n");
  lent.at(2)->EndRest(5s);
  Turn();
  CHECK(server.Asked() == std::vector<std::string>{"ECHO hello"});
  server.Answer("ECHO hello", "$5\r\nhello\r\n");
  CHECK(sink.heard.back() == "2: $5\r\nhello\r\n");
  Return(2);
  CHECK(exclusive().idle() == 2);  // fit for the next: nothing of it is still to come
}

TEST_CASE_FIXTURE(Rig, "who leaves while its dial is under way is not served") {
  Start();
  BorrowReady(1);
  server.accepts = false;
  BorrowAndBlock(2);
  BorrowAndBlock(3);
  Return(2, false);
  Return(1);
  CHECK(server.Asked() == std::vector<std::string>{"BLPOP 3 0"});
}

TEST_CASE_FIXTURE(Rig, "a link that comes back is no use to who waits for another database") {
  Start();
  BorrowReady(1);
  server.accepts = false;
  BorrowAndBlock(2, 5);
  Return(1);
  CHECK(server.Asked().empty());
  CHECK(exclusive().idle() == 1);
}

// ---- idle links ---------------------------------------------------------------------------------

TEST_CASE_FIXTURE(Rig, "min_idle links are ready before anybody needs them") {
  config.pool.min_idle = 2;
  config.pool.max_active = 3;
  config.pool.idle_timeout = 1s;
  Start();
  Wait(2s);
  CHECK(exclusive().idle() == 2);
  const std::size_t dials = dialer.dials();
  CHECK(Borrow(1));
  CHECK(dialer.dials() == dials);
  Wait(5s);  // replaced, but never beyond the limit, nor closed for being idle
  CHECK(exclusive().idle() == 2);
  CHECK(exclusive().links() == 3);
  CHECK(Borrow(2));
  CHECK(Borrow(3));
  CHECK_FALSE(Borrow(4));
  Wait(2s);
  CHECK(exclusive().links() == 3);
  pool->LeaveLine(4);
}

TEST_CASE_FIXTURE(Rig, "what is lent of the min_idle links is replaced in the same turn") {
  config.pool.min_idle = 1;
  config.health_interval = 1h;
  Start();
  CHECK(Borrow(1));
  Turn();
  CHECK(exclusive().idle() == 1);
  server.accepts = false;
  BorrowAndBlock(2);  // goes now, not after what others send meanwhile
  Turn();
  CHECK(server.Asked() == std::vector<std::string>{"BLPOP 2 0"});
  CHECK(exclusive().idle() == 1);
}

TEST_CASE_FIXTURE(Rig, "min_idle links that an administrator has closed are made again at once") {
  config.pool.min_idle = 2;
  config.health_interval = 10s;
  Start();
  Wait(11s);
  CHECK(exclusive().idle() == 2);
  pool->Reconnect();
  Turn();
  CHECK(exclusive().idle() == 2);
  CHECK(stats().closed_reconnect.value() >= 2);
}

TEST_CASE_FIXTURE(Rig, "min_idle links are like the one that was asked for last") {
  config.pool.min_idle = 2;
  config.pool.max_idle = 2;
  config.health_interval = 1s;
  config.pool.idle_timeout = 3s;
  Start();
  Wait(2s);
  CHECK(Borrow(1, 9));
  Turn();
  CHECK(exclusive().idle() == 2);  // those of database 0 made room
  const std::size_t dials = dialer.dials();
  Wait(10s);  // they are neither closed for being idle nor made again and again
  CHECK(dialer.dials() == dials);
  server.accepts = false;
  BorrowAndBlock(2, 9);
  Turn();
  CHECK(server.Asked() == std::vector<std::string>{"BLPOP 2 0"});
}

TEST_CASE_FIXTURE(Rig, "a link that has reached max_lifetime is not lent again") {
  config.pool.max_lifetime = 10s;
  config.pool.lifetime_jitter = 0.5;
  Start();
  BorrowReady(1);
  FakeConnection& connection = dialer.latest();
  SUBCASE("it comes back too old") {
    Wait(11s);
    CHECK_FALSE(connection.closed());  // its client goes on undisturbed
    Return(1);
  }
  SUBCASE("it grows old while it is idle") {
    Return(1);
    Wait(4s);
    CHECK_FALSE(connection.closed());  // jitter takes off half at most
    Wait(7s);
  }
  CHECK(connection.closed());
  CHECK(stats().closed_lifetime.value() >= 1);
}

TEST_CASE_FIXTURE(Rig, "lifetimes are spread, so that links do not all go at once") {
  config.pool.max_lifetime = 100s;
  config.pool.lifetime_jitter = 0.5;
  config.pool.max_idle = 50;
  config.pool.idle_timeout = 1000s;
  Start();
  for (std::uint64_t session = 1; session <= 50; ++session) {
    BorrowReady(session);
  }
  while (!lent.empty()) {
    Return(lent.begin()->first);
  }
  Wait(49s);
  CHECK(exclusive().idle() == 50);
  Wait(26s);
  CHECK(exclusive().idle() > 10);
  CHECK(exclusive().idle() < 40);
  Wait(26s);
  CHECK(exclusive().idle() == 0);
}

TEST_CASE_FIXTURE(Rig, "an idle link is tested before it is lent, where that is asked for") {
  config.pool.test_on_borrow = true;
  Start();
  BorrowReady(1);
  FakeConnection& connection = dialer.latest();
  ExclusiveLink* const link = lent.at(1);
  Return(1);
  SUBCASE("it answers, and is lent") {
    CHECK_FALSE(Borrow(2));
    CHECK(error.empty());
    CHECK(exclusive().links() == 1);
    Turn();
    CHECK(TakeTold() == Sessions{2});
    CHECK(Borrow(2));
    CHECK(lent.at(2) == link);
  }
  SUBCASE("all links are to be replaced meanwhile: it is lent once more, and not kept") {
    CHECK_FALSE(Borrow(2));
    pool->Reconnect();
    Turn();
    CHECK(Borrow(2));
    CHECK(lent.at(2) == link);
    Return(2);
    CHECK(exclusive().links() == 0);
    CHECK(connection.closed());
  }
  SUBCASE("it does not, and another one is lent") {
    server.ping.clear();
    CHECK_FALSE(Borrow(2));
    Wait(Duration(config.connect_timeout) - 1ms);
    CHECK(told.empty());
    Wait(1ms);
    CHECK(TakeTold() == Sessions{2});
    CHECK(connection.closed());
    CHECK(stats().closed_test.value() == 1);
    CHECK(Borrow(2));
    CHECK(stats().opened_demand.value() == 2);
  }
  SUBCASE("it breaks, and another one is lent") {
    server.ping.clear();
    CHECK_FALSE(Borrow(2));
    Turn();
    connection.End(Code::kUnavailable);
    Turn();
    CHECK(TakeTold() == Sessions{2});
    CHECK(Borrow(2));
    CHECK(stats().opened_demand.value() == 2);
  }
  SUBCASE("the client leaves meanwhile") {
    CHECK_FALSE(Borrow(2));
    pool->LeaveLine(2);
    CHECK(exclusive().links() == 0);
    Turn();
    CHECK(told.empty());
  }
}

TEST_CASE_FIXTURE(Rig, "idle links are not sent PINGs where that is switched off") {
  config.pool.test_while_idle = false;
  Start();
  BorrowReady(1);
  FakeConnection& connection = dialer.latest();
  Return(1);
  (void)connection.TakeWritten();
  Wait(5s);
  CHECK(connection.TakeWritten().empty());
}

TEST_CASE_FIXTURE(Rig, "asked to reconnect, idle links go now and lent ones when they come back") {
  Start();
  BorrowReady(1);
  BorrowReady(2);
  FakeConnection& second = dialer.latest();
  Return(2);
  pool->Reconnect();
  Turn();
  CHECK(second.closed());
  CHECK(exclusive().links() == 1);
  Use(1);  // undisturbed
  Return(1);
  CHECK(exclusive().links() == 0);
}

// ---- as a whole ---------------------------------------------------------------------------------

// Clients come, wait, leave, are served and vanish in an order drawn by chance, against a model
// that is a queue and a number.
TEST_CASE_FIXTURE(Rig, "after a hundred thousand clients, most of them aborted, nothing is left") {
  config.pool.max_active = 5;
  config.pool.max_idle = 2;
  config.pool.max_wait = 24h;
  Start();
  std::deque<std::uint64_t> model;   // who waits, in order
  std::set<std::uint64_t> promised;  // who was told and has not asked
  Rng luck(7);
  std::uint64_t next = 1;
  const auto hear = [&] {
    for (const std::uint64_t session : TakeTold()) {
      REQUIRE(!model.empty());
      REQUIRE(session == model.front());  // in order
      model.pop_front();
      promised.insert(session);
    }
  };
  while (next <= 100'000) {
    switch (luck.Below(6)) {
      case 0:
      case 1: {  // a client comes
        const std::uint64_t session = next++;
        const bool full = !model.empty() || lent.size() + promised.size() >= 5;
        REQUIRE(Borrow(session, static_cast<DbIndex>(luck.Below(2))) == !full);
        if (full) {
          model.push_back(session);
        }
        break;
      }
      case 2:  // one that waits leaves, from anywhere
        if (!model.empty()) {
          const auto it = model.begin() + static_cast<std::ptrdiff_t>(luck.Below(model.size()));
          pool->LeaveLine(*it);
          model.erase(it);
        }
        break;
      case 3:  // one that was told asks again, or has vanished
        if (!promised.empty()) {
          const std::uint64_t session = *promised.begin();
          promised.erase(promised.begin());
          if (luck.Below(2) == 0) {
            pool->LeaveLine(session);
          } else {
            REQUIRE(Borrow(session, static_cast<DbIndex>(luck.Below(2))));
          }
        }
        break;
      default:  // a link comes back
        if (!lent.empty()) {
          const auto it = lent.begin();
          ExclusiveLink* const link = it->second;
          lent.erase(it);
          pool->Return(link, luck.Below(2) == 0);
        }
        break;
    }
    hear();
    REQUIRE(exclusive().links() <= 5);
    REQUIRE(exclusive().waiting() == model.size());
    REQUIRE(exclusive().lent() == lent.size());
    REQUIRE((model.empty() || lent.size() + promised.size() == 5));  // nobody waits beside a link
    if (next % 64 == 0) {
      Turn();
    }
  }
  while (!model.empty()) {
    pool->LeaveLine(model.front());
    model.pop_front();
  }
  hear();
  for (const std::uint64_t session : promised) {
    pool->LeaveLine(session);
  }
  while (!lent.empty()) {
    Return(lent.begin()->first, false);
  }
  CHECK(exclusive().promised() == 0);
  CHECK(exclusive().waiting() == 0);
  CHECK(exclusive().lent() == 0);
}

}  // namespace
}  // namespace nearcached
