#include "daemon/net/timer_queue.h"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

namespace nearcached {
namespace {

MonoTime At(std::int64_t ns) {
  return MonoTime(Duration(ns));
}

TEST_CASE("timers run in order of their due time, equals in the order they were added") {
  TimerQueue queue;
  std::string order;
  const auto c = queue.Add(At(20), [&] { order += 'c'; });
  const auto a = queue.Add(At(10), [&] { order += 'a'; });
  const auto b = queue.Add(At(10), [&] { order += 'b'; });
  CHECK(queue.next_due() == At(10));
  queue.RunDue(At(9));
  CHECK(order.empty());
  queue.RunDue(At(20));
  CHECK(order == "abc");
  CHECK_FALSE(queue.next_due().has_value());
}

TEST_CASE("a destroyed timer does not run") {
  TimerQueue queue;
  int runs = 0;
  auto timer = queue.Add(At(1), [&] { ++runs; });
  timer.reset();
  queue.RunDue(At(5));
  CHECK(runs == 0);
}

TEST_CASE("a timer may be destroyed inside its own call") {
  TimerQueue queue;
  std::unique_ptr<Timer> timer;
  auto witness = std::make_shared<int>(0);  // captured: freed too early, the sanitizer sees it
  timer = queue.Add(At(1), [&timer, witness] {
    timer.reset();
    ++*witness;
  });
  queue.RunDue(At(1));
  CHECK(*witness == 1);
  CHECK(timer == nullptr);
}

TEST_CASE("a task may destroy another timer that is due in the same batch") {
  TimerQueue queue;
  int runs = 0;
  std::unique_ptr<Timer> second;
  const auto first = queue.Add(At(1), [&] { second.reset(); });
  second = queue.Add(At(1), [&] { ++runs; });
  const auto third = queue.Add(At(2), [&] { runs += 10; });
  queue.RunDue(At(2));
  CHECK(runs == 10);
}

TEST_CASE("a task that re-arms itself with no delay runs once per batch") {
  TimerQueue queue;
  int runs = 0;
  std::unique_ptr<Timer> timer;
  std::function<void()> again = [&] {
    ++runs;
    timer = queue.Add(At(7), again);
  };
  timer = queue.Add(At(7), again);
  queue.RunDue(At(7));
  CHECK(runs == 1);
  queue.RunDue(At(7));
  CHECK(runs == 2);
  timer.reset();
}

TEST_CASE("a random script of adds, cancels and runs agrees with a sorted map") {
  Rng rng(20261122);
  TimerQueue queue;
  std::vector<int> ran;
  std::map<std::pair<std::int64_t, int>, bool> model;  // (due, id); ids rise like sequence numbers
  std::map<int, std::pair<std::unique_ptr<Timer>, std::int64_t>> held;
  std::int64_t now = 0;
  for (int id = 0; id < 20000; ++id) {
    const std::uint64_t what = rng.Below(10);
    if (what < 6) {
      const std::int64_t due = now + static_cast<std::int64_t>(rng.Below(50));
      held[id] = {queue.Add(At(due), [&ran, id] { ran.push_back(id); }), due};
      model[{due, id}] = true;
    } else if (what < 8 && !held.empty()) {
      auto it = held.lower_bound(static_cast<int>(rng.Below(static_cast<std::uint64_t>(id))));
      if (it != held.end()) {
        model.erase({it->second.second, it->first});
        held.erase(it);
      }
    } else {
      now += static_cast<std::int64_t>(rng.Below(20));
      std::vector<int> expected;
      while (!model.empty() && model.begin()->first.first <= now) {
        expected.push_back(model.begin()->first.second);
        model.erase(model.begin());
      }
      ran.clear();
      queue.RunDue(At(now));
      REQUIRE(ran == expected);
    }
  }
}

}  // namespace
}  // namespace nearcached
