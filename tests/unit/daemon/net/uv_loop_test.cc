#include "daemon/net/uv_loop.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/net/fd_stream.h"
#include "tests/unit/daemon/net/net_fixture.h"

namespace nearcached {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST_CASE("a timer is never early, however its delay falls between milliseconds") {
  UvLoop loop;
  int pending = 0;
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < 200; ++i) {
    const Duration delay = microseconds(37 * i);
    const MonoTime armed = loop.Now();
    ++pending;
    timers.push_back(loop.After(delay, [&loop, &pending, armed, delay] {
      CHECK(loop.Now() - armed >= delay);
      --pending;
    }));
  }
  loop.Run();
  CHECK(pending == 0);
}

TEST_CASE("a timer armed inside a turn counts from that turn, and a delay below zero is zero") {
  UvLoop loop;
  std::string order;
  std::unique_ptr<Timer> inner;
  const auto outer = loop.After(milliseconds(-5), [&] {
    order += "outer ";
    const MonoTime armed = loop.Now();
    inner = loop.After(milliseconds(3), [&loop, &order, armed] {
      CHECK(loop.Now() - armed >= milliseconds(3));
      order += "inner";
    });
  });
  loop.Run();
  CHECK(order == "outer inner");
}

TEST_CASE("after a stall, what has come in meanwhile is seen before the timers that it made late") {
  UvLoop loop;
  const SocketPair pair = UnixPair();
  std::string order;
  UvHandle<uv_poll_t> socket;  // readiness alone: what a stream would read
  REQUIRE(socket.Open(&order, [&](uv_poll_t* h) {
    return uv_poll_init(loop.raw(), h, pair.ours.get());
  }) == 0);
  REQUIRE(uv_poll_start(socket.get(), UV_READABLE, [](uv_poll_t* h, int, int) {
            *static_cast<std::string*>(h->data) += "reply ";
            uv_poll_stop(h);
          }) == 0);
  const auto deadline = loop.After(milliseconds(5), [&] { order += "timeout"; });
  loop.Post([&] {
    REQUIRE(write(pair.theirs.get(), "x", 1) == 1);
    std::this_thread::sleep_for(milliseconds(60));  // the stall itself
  });
  RunUntil(loop, [&] { return order.find("timeout") != std::string::npos; });
  CHECK(order == "reply timeout");
  socket.Close();
}

TEST_CASE("a cancelled timer neither runs nor keeps the loop running") {
  UvLoop loop;
  int runs = 0;
  auto soon = loop.After(milliseconds(1), [&] { ++runs; });
  auto never = loop.After(std::chrono::hours(24), [&] { runs += 100; });
  const auto canceller = loop.After(milliseconds(2), [&] { never.reset(); });
  soon.reset();
  loop.Run();  // must return, and not in a day
  CHECK(runs == 0);
  CHECK(never == nullptr);
}

TEST_CASE("a timer that is armed by a hook, last in the turn, still runs") {
  UvLoop loop;
  int runs = 0;
  std::unique_ptr<Timer> late;
  const auto hook = loop.AtTurnEnd([&] {
    if (late == nullptr) {
      late = loop.After(milliseconds(1), [&] { ++runs; });
    }
  });
  const auto first = loop.After(Duration::zero(), [] {});
  loop.Run();
  CHECK(runs == 1);
}

TEST_CASE("the longest delay does not overflow") {
  UvLoop loop;
  int runs = 0;
  const auto never = loop.After(Duration::max(), [&] { ++runs; });
  const auto stop = loop.After(milliseconds(1), [&] { loop.Stop(); });
  loop.Run();
  CHECK(runs == 0);
}

TEST_CASE("time stands still within a turn and moves between turns") {
  UvLoop loop;
  MonoTime first;
  std::unique_ptr<Timer> second;
  const auto timer = loop.After(Duration::zero(), [&] {
    first = loop.Now();
    const auto spin_until = std::chrono::steady_clock::now() + microseconds(200);
    while (std::chrono::steady_clock::now() < spin_until) {
    }
    CHECK(loop.Now() == first);
    second = loop.After(Duration::zero(), [&] { CHECK(loop.Now() >= first + microseconds(200)); });
  });
  loop.Run();
}

TEST_CASE("hooks run at the end of each turn, in order, before the next event is seen") {
  UvLoop loop;
  SocketPair pair = UnixPair();
  std::string log;
  RecordingHandler handler;
  handler.on_bytes = [&] { log += "bytes "; };
  const auto stream = FdStream::Adopt(loop, pair.ours.Release(), handler, "peer");
  std::size_t noted = 0;
  const auto first = loop.AtTurnEnd([&] {
    if (log.size() > noted) {
      log += "first ";
    }
  });
  const auto second = loop.AtTurnEnd([&] {
    if (log.size() > noted) {
      log += "second ";
      noted = log.size();
      // The loop must not need another event to get here a second time.
      if (log == "bytes first second ") {
        WriteAvailable(pair.theirs, "y");
      }
    }
  });
  WriteAvailable(pair.theirs, "x");
  RunUntil(loop, [&] { return handler.reads == 2; });
  CHECK(log == "bytes first second bytes first second ");
}

TEST_CASE("what a timer leaves to the turn's end is done before the loop sleeps") {
  UvLoop loop;
  bool is_dirty = false;
  Duration waited{};
  MonoTime marked;
  const auto hook = loop.AtTurnEnd([&] {
    if (is_dirty) {
      is_dirty = false;
      waited = loop.Now() - marked;
    }
  });
  const auto timer = loop.After(milliseconds(1), [&] {
    is_dirty = true;
    marked = loop.Now();
  });
  const auto far = loop.After(milliseconds(50), [&] { CHECK_FALSE(is_dirty); });
  loop.Run();
  CHECK(waited == Duration::zero());  // the same turn
}

TEST_CASE("a hook may destroy itself, destroy another and add one, all inside its call") {
  UvLoop loop;
  std::string log;
  std::unique_ptr<Timer> self;
  std::unique_ptr<Timer> victim;
  std::unique_ptr<Timer> added;
  self = loop.AtTurnEnd([&] {
    self.reset();
    victim.reset();
    added = loop.AtTurnEnd([&] { log += "added "; });
    log += "self ";
  });
  victim = loop.AtTurnEnd([&] { log += "victim "; });
  const auto last = loop.AtTurnEnd([&] { log += "last "; });
  RunTurns(loop, 1);
  CHECK(log.substr(0, 10) == "self last ");
  CHECK(log.find("victim") == std::string::npos);
  CHECK(log.find("last added ") != std::string::npos);
}

TEST_CASE("posted tasks run on the loop thread, in order, whichever thread posts") {
  UvLoop loop;
  std::vector<int> ran;
  std::thread::id ran_on;
  loop.Post([&] { ran.push_back(-1); });  // before Run is fine too
  std::thread poster([&] {
    for (int i = 0; i < 1000; ++i) {
      loop.Post([&ran, &ran_on, i] {
        ran.push_back(i);
        ran_on = std::this_thread::get_id();
      });
    }
  });
  RunUntil(loop, [&] { return ran.size() == 1001; });
  poster.join();
  CHECK(ran_on == std::this_thread::get_id());
  for (int i = 0; i < 1001; ++i) {
    REQUIRE(ran[static_cast<std::size_t>(i)] == i - 1);
  }
}

TEST_CASE("a task posted from a posted task waits for a later turn") {
  UvLoop loop;
  std::string log;
  const auto hook = loop.AtTurnEnd([&] { log += "|"; });
  loop.Post([&] {
    log += "a";
    loop.Post([&] { log += "b"; });
  });
  RunUntil(loop, [&] { return log.find('b') != std::string::npos; });
  CHECK(log.find("ab") == std::string::npos);
}

TEST_CASE("a loop that was stopped and never run ends as any other") {
  UvLoop loop;
  const auto timer = loop.After(milliseconds(1), [] {});
  loop.Stop();
}

TEST_CASE("Run returns at once when nothing can happen, and may be called again") {
  UvLoop loop;
  loop.Run();
  int runs = 0;
  const auto timer = loop.After(Duration::zero(), [&] { ++runs; });
  loop.Run();
  CHECK(runs == 1);
}

TEST_CASE("busy time is measured and an idle loop still beats") {
  UvLoop loop;
  const std::int64_t born = loop.stats().heartbeat_ns.value();
  const auto busy = loop.After(Duration::zero(), [] {
    const auto until = std::chrono::steady_clock::now() + milliseconds(3);
    while (std::chrono::steady_clock::now() < until) {
    }
  });
  loop.Run();
  CHECK(loop.stats().turns.value() >= 1);
  CHECK(loop.stats().turn_busy.sum_seconds() >= 0.003);
  const std::int64_t worked = loop.stats().heartbeat_ns.value();
  CHECK(worked >= born + 3'000'000);
  SocketPair pair = UnixPair();
  RecordingHandler handler;
  const auto idle = FdStream::Adopt(loop, pair.ours.Release(), handler, "peer");
  RunUntil(loop, [&] { return loop.stats().heartbeat_ns.value() > worked + 900'000'000; });
  CHECK(handler.reads == 0);
}

}  // namespace
}  // namespace nearcached
