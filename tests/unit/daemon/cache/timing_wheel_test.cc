#include "daemon/cache/timing_wheel.h"

#include <map>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"
#include "daemon/cache/slab.h"

namespace nearcached {
namespace {

constexpr std::uint64_t kMilli = 1000;
constexpr std::uint64_t kGranule = 4096;

struct WheelFixture {
  ~WheelFixture() { CHECK(wheel.CheckInvariants() == arena.live_slots()); }
  EntryId Add(std::uint64_t deadline_us) {
    const EntryId id = arena.Allocate(arena.ClassFor(40));
    arena.At(id).set_deadline_us(deadline_us);
    wheel.Add(id);
    return id;
  }
  void Remove(EntryId id) {
    wheel.Remove(id);
    arena.Free(id);
  }
  // All that expires at `now`, with an unbounded budget.
  std::vector<EntryId> Advance(std::uint64_t now_us, std::size_t budget = 1'000'000) {
    std::vector<EntryId> expired;
    more = wheel.Advance(now_us, budget, budget, [&](EntryId id) {
      CHECK(arena.At(id).deadline_us() <= now_us);
      expired.push_back(id);
      Remove(id);
    });
    return expired;
  }

  SlabArena arena{4096, 1'000'000};
  TimingWheel wheel{arena};
  bool more = false;
};

TEST_CASE("an entry expires within a granule after its deadline and never before") {
  for (const std::uint64_t deadline :
       {1UL, kGranule, kGranule + 1, 10 * kMilli, 300 * kMilli, 17'000 * kMilli, 3'600'000 * kMilli,
        90'000'000 * kMilli, 40UL * 86'400'000 * kMilli, (1UL << 48U) - 2}) {
    CAPTURE(deadline);
    WheelFixture f;
    const EntryId id = f.Add(deadline);
    CHECK(f.Advance(deadline - 1).empty());
    CHECK(f.Advance(deadline + kGranule) == std::vector<EntryId>{id});
  }
}

TEST_CASE("the wheel agrees with a sorted map under a random script") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    WheelFixture f;
    Rng rng(seed);
    std::multimap<std::uint64_t, EntryId> model;
    std::uint64_t now = rng.Below(1'000'000'000);
    f.Advance(now);
    for (int step = 0; step < 2000; ++step) {
      const std::uint64_t dice = rng.Below(10);
      if (dice < 6) {
        const std::uint64_t deadline = now + 1 + (rng.Next() >> (20 + rng.Below(40)));
        model.emplace(deadline, f.Add(deadline));
      } else if (dice < 7 && !model.empty()) {
        const auto it = std::next(model.begin(), static_cast<long>(rng.Below(model.size())));
        f.Remove(it->second);
        model.erase(it);
      } else {
        now += rng.Next() >> (24 + rng.Below(40));
        const std::size_t budget = dice < 9 ? 1'000'000 : 1 + rng.Below(5);
        for (const EntryId id : f.Advance(now, budget)) {
          const auto it = std::find_if(model.begin(), model.end(),
                                       [id](const auto& e) { return e.second == id; });
          REQUIRE(it != model.end());
          REQUIRE(it->first <= now);
          model.erase(it);
        }
        if (!f.more && !model.empty()) {
          REQUIRE(model.begin()->first + kGranule > now);
        }
      }
      REQUIRE(f.wheel.CheckInvariants() == model.size());
    }
  }
}

TEST_CASE("a crowd with one deadline is expired in bounded steps") {
  WheelFixture f;
  for (int i = 0; i < 5000; ++i) {
    f.Add(20'000'000 + static_cast<std::uint64_t>(i));
  }
  std::size_t expired = 0;
  int turns = 0;
  do {
    const std::size_t now = f.Advance(30'000'000, 64).size();
    REQUIRE(now <= 64);
    expired += now;
    ++turns;
  } while (f.more);
  CHECK(expired == 5000);
  CHECK(turns >= 5000 / 64);
}

TEST_CASE("an entry that compaction moved still expires") {
  WheelFixture f;
  const EntryId one = f.Add(50'000);
  const EntryId two = f.Add(50'000);
  for (const EntryId from : {one, two}) {  // once in the middle of its list, once at the head
    const EntryId to = f.arena.Allocate(f.arena.ClassFor(40));
    f.arena.At(to) = f.arena.At(from);
    f.wheel.Relocated(from, to);
    f.arena.Free(from);
  }
  CHECK(f.Advance(60'000).size() == 2);
}

}  // namespace
}  // namespace nearcached
