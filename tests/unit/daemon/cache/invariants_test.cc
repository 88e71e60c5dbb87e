// The checks that all other tests of the cache lean on can fail: each kind of damage ends the
// process. It is done in a child, which is expected to abort.
#include <csignal>
#include <cstdio>
#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "daemon/cache/entry.h"
#include "tests/unit/daemon/cache/l1_fixture.h"

namespace nearcached {
namespace {

bool Aborts(const std::function<void()>& what) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // doctest's handler would report the abort as a failed test.
    static_cast<void>(std::signal(SIGABRT, SIG_DFL));
    static_cast<void>(std::freopen("/dev/null", "w", stderr));
    what();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

struct Store : L1Fixture {
  Store() {
    for (int i = 0; i < 50; ++i) {
      Put("key:" + std::to_string(i), "value");
      PutNil("nil:" + std::to_string(i));
    }
    Put("large", std::string(100'000, 'x'));
  }
  // The entry of an inline key: its header lies in front of the key.
  Entry& At(std::string_view key) {
    const auto hit = l1.Find(Key(key), now);
    REQUIRE(hit);
    const char* header = hit->value.data() - key.size() - sizeof(Entry);
    return *reinterpret_cast<Entry*>(const_cast<char*>(header));
  }
  L1Stats& stats() { return const_cast<L1Stats&>(l1.stats()); }
};

TEST_CASE_FIXTURE(Store, "a store that is whole passes") {
  CHECK_FALSE(Aborts([&] { l1.CheckInvariants(); }));
}

TEST_CASE_FIXTURE(Store, "a damaged entry is noticed, whatever is wrong with it") {
  struct Damage {
    std::string what;
    std::function<void(Entry&)> do_it;
  };
  const Damage damages[] = {
      {"hash", [](Entry& e) { e.hash = ~e.hash; }},
      {"queue link back", [](Entry& e) { e.queue_prev ^= 1U; }},
      {"end of its queue", [](Entry& e) { e.queue_next = kNoEntry; }},
      {"wheel link",
       [](Entry& e) {
         e.wheel_next = kNoEntry;
         e.wheel_prev = kNoEntry;
       }},
      {"queue it is on", [](Entry& e) { e.set_queue(QueueKind::kNegative); }},
      {"not live", [](Entry& e) { e.flags &= static_cast<std::uint8_t>(~Entry::kLive); }},
      {"cohort", [](Entry& e) { e.cohort = 0; }},
  };
  for (const Damage& damage : damages) {
    CAPTURE(damage.what);
    CHECK(Aborts([&] {
      damage.do_it(At("key:25"));
      l1.CheckInvariants();
    }));
  }
}

TEST_CASE_FIXTURE(Store, "a gauge or counter that does not match is noticed") {
  const std::pair<std::string, Gauge L1Stats::*> gauges[] = {
      {"entries", &L1Stats::entries},
      {"negative_entries", &L1Stats::negative_entries},
      {"bytes", &L1Stats::bytes},
      {"bytes_max", &L1Stats::bytes_max},
      {"negative_bytes", &L1Stats::negative_bytes},
      {"pinned_bytes", &L1Stats::pinned_bytes},
      {"dropped_entries", &L1Stats::dropped_entries},
  };
  for (const auto& [name, gauge] : gauges) {
    CAPTURE(name);
    const auto member = gauge;
    CHECK(Aborts([&] {
      (stats().*member).Add(1);
      l1.CheckInvariants();
    }));
  }
  const std::pair<std::string, Counter L1Stats::*> counters[] = {
      {"inserts", &L1Stats::inserts},
      {"evictions_size", &L1Stats::evictions_size},
      {"evictions_expired", &L1Stats::evictions_expired},
      {"evictions_erased", &L1Stats::evictions_erased},
      {"evictions_dropped", &L1Stats::evictions_dropped},
  };
  for (const auto& [name, counter] : counters) {
    CAPTURE(name);
    const auto member = counter;
    CHECK(Aborts([&] {
      (stats().*member).Add();
      l1.CheckInvariants();
    }));
  }
}

}  // namespace
}  // namespace nearcached
