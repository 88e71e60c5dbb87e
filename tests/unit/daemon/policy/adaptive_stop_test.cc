#include "daemon/policy/adaptive_stop.h"

#include <chrono>
#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class Stops {
 public:
  Rng rng{1};
  std::string told;
  MonoTime now{1000s};
  AdaptiveStop adaptive{rng, [this](std::int32_t rule, bool stopped) {
                          told += (stopped ? "stop " : "resume ") + std::to_string(rule) + " ";
                        }};

  Stops() { adaptive.Configure("rules", 100, 2); }

  void Die(std::int32_t rule, int n) {
    for (int i = 0; i < n; ++i) {
      adaptive.NoteDiedUnread(rule);
    }
  }
  std::string Judge() {
    told.clear();
    adaptive.Judge(now);
    return told;
  }
  // Until the stop is over, and the trial has begun.
  Duration Rest(std::int32_t rule) {
    const Duration left = adaptive.StoppedFor(rule, now);
    now += left;
    CHECK(Judge().empty());
    return left;
  }
};

TEST_CASE_FIXTURE(Stops, "a rule whose entries die unread is stopped, once enough have") {
  Die(0, 99);
  CHECK(Judge().empty());
  Die(0, 1);
  CHECK(Judge() == "stop 0 ");
  CHECK(adaptive.Stopped(0, now));
  CHECK_FALSE(adaptive.Stopped(1, now));
  CHECK_FALSE(adaptive.Stopped(-1, now));
  CHECK(adaptive.StoppedFor(0, now) >= AdaptiveStop::kShortest * 3 / 4);
  CHECK(adaptive.StoppedFor(0, now) <= AdaptiveStop::kShortest * 5 / 4);
  CHECK(adaptive.stats().stopped.value() == 1);
  CHECK(adaptive.stats().stops.value() == 1);
}

TEST_CASE_FIXTURE(Stops, "a rule that is read often enough goes on, however much of it dies") {
  for (int i = 0; i < 50; ++i) {
    Die(0, 100);
    adaptive.NoteHits(0, 10);
    CHECK(Judge().empty());
  }
  Die(0, 100);  // what it brought before does not count for ever
  adaptive.NoteHits(0, 9);
  CHECK(Judge() == "stop 0 ");
}

TEST_CASE_FIXTURE(Stops, "the defaults are judged only where all are") {
  Die(-1, 1000);
  CHECK(Judge().empty());
  adaptive.Configure("all", 100, 2);
  Die(-1, 100);
  CHECK(Judge() == "stop -1 ");
}

TEST_CASE_FIXTURE(Stops, "switched off it remembers nothing and samples nothing") {
  adaptive.Configure("off", 100, 2);
  Die(0, 1000);
  CHECK(Judge().empty());
  for (int i = 0; i < 1000; ++i) {
    CHECK_FALSE(adaptive.Samples());
  }
  adaptive.Configure("rules", 100, 2);
  CHECK(Judge().empty());
}

TEST_CASE_FIXTURE(Stops, "one hit of many is looked at") {
  int sampled = 0;
  for (std::uint32_t i = 0; i < AdaptiveStop::kSampleEvery * 10; ++i) {
    sampled += adaptive.Samples() ? 1 : 0;
  }
  CHECK(sampled == 10);
}

TEST_CASE_FIXTURE(Stops, "a trial that fails means a longer stop, up to a longest") {
  Die(0, 100);
  CHECK(Judge() == "stop 0 ");
  Duration length = AdaptiveStop::kShortest;
  for (int i = 0; i < 8; ++i) {
    const Duration rested = Rest(0);
    CHECK(rested >= length * 3 / 4);
    CHECK(rested <= length * 5 / 4);
    CHECK(adaptive.stats().stopped.value() == 0);
    Die(0, 100);
    adaptive.NoteHits(0, 29);  // would do for a rule that was never stopped
    CHECK(Judge() == "stop 0 ");
    length = std::min(length * 2, AdaptiveStop::kLongest);
  }
}

TEST_CASE_FIXTURE(Stops, "a trial that pays ends at once, and the next stop is a short one") {
  Die(0, 100);
  (void)Judge();
  (void)Rest(0);
  Die(0, 20);
  adaptive.NoteHits(0, 30);
  CHECK(Judge() == "resume 0 ");
  CHECK(adaptive.stats().resumptions.value() == 1);
  Die(0, 100);
  adaptive.NoteHits(0, 10);
  CHECK(Judge().empty());
  Die(0, 100);
  CHECK(Judge() == "stop 0 ");
  CHECK(adaptive.StoppedFor(0, now) <= AdaptiveStop::kShortest * 5 / 4);
}

TEST_CASE_FIXTURE(Stops, "what dies while a rule is stopped does not count against its trial") {
  Die(0, 100);
  (void)Judge();
  Die(0, 5000);
  (void)Rest(0);
  Die(0, 99);
  CHECK(Judge().empty());
}

}  // namespace
}  // namespace nearcached
