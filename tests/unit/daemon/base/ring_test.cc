#include "daemon/base/ring.h"

#include <deque>
#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

namespace nearcached {
namespace {

TEST_CASE("a ring that was never used owns no memory") {
  const Ring<std::string> ring;
  CHECK(ring.empty());
  CHECK(ring.capacity_bytes() == 0);
}

TEST_CASE("a ring does what a deque does, whatever is asked of it") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Ring<std::string> ring;
    std::deque<std::string> model;
    for (int step = 0; step < 3'000; ++step) {
      // Runs of pushes and runs of pops, so that it grows while it is wrapped around.
      const bool push = model.empty() || rng.Below(100) < (step / 100 % 2 == 0 ? 70U : 35U);
      if (push) {
        model.push_back("value " + std::to_string(step));
        REQUIRE(ring.PushBack(model.back()) == model.back());
      } else {
        ring.PopFront();
        model.pop_front();
      }
      REQUIRE(ring.size() == model.size());
      REQUIRE(ring.empty() == model.empty());
      if (!model.empty()) {
        REQUIRE(ring.front() == model.front());
        REQUIRE(ring.back() == model.back());
        const std::size_t i = rng.Below(model.size());
        REQUIRE(ring[i] == model[i]);
      }
    }
  }
}

TEST_CASE("what a popped value owned is released at once, not when its place is used again") {
  Ring<std::shared_ptr<int>> ring;
  const auto value = std::make_shared<int>(1);
  ring.PushBack(value);
  CHECK(value.use_count() == 2);
  ring.PopFront();
  CHECK(value.use_count() == 1);
}

// Like std::string, which keeps its memory when an empty one is assigned to it.
struct Hoarder {
  std::shared_ptr<int> value;
  Hoarder() = default;
  Hoarder(Hoarder&&) = default;
  Hoarder& operator=(Hoarder&& from) noexcept {
    value = from.value != nullptr ? std::move(from.value) : std::move(value);
    return *this;
  }
  ~Hoarder() = default;
};

TEST_CASE("a popped value lets go even of what assigning an empty value would have kept") {
  Ring<Hoarder> ring;
  Hoarder hoarder;
  const auto value = std::make_shared<int>(1);
  hoarder.value = value;
  ring.PushBack(std::move(hoarder));
  ring.PopFront();
  CHECK(value.use_count() == 1);
}

TEST_CASE("a ring within its capacity allocates nothing more, and gives all of it back when told") {
  Ring<int> ring;
  ring.PushBack(0);
  const std::size_t first = ring.capacity_bytes();
  for (int i = 0; i < 1000; ++i) {
    ring.PushBack(i);
    ring.PopFront();
  }
  CHECK(ring.capacity_bytes() == first);
  ring.PopFront();
  ring.Release();
  CHECK(ring.capacity_bytes() == 0);
  ring.PushBack(7);
  CHECK(ring.front() == 7);
}

TEST_CASE("a moved-from ring is taken apart without touching what it held") {
  Ring<std::unique_ptr<int>> ring;
  ring.PushBack(std::make_unique<int>(5));
  const Ring<std::unique_ptr<int>> taken = std::exchange(ring, {});
  CHECK(ring.empty());
  REQUIRE(taken.size() == 1);
  CHECK(*taken[0] == 5);
}

}  // namespace
}  // namespace nearcached
