#include "daemon/upstream/replication_clock.h"

#include <chrono>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

MonoTime At(int seconds) {
  return MonoTime(std::chrono::seconds(seconds));
}

TEST_CASE("a replica has what was acknowledged before the latest look that it has caught up with") {
  ReplicationClock clock;
  clock.NotePrimary("h", 100, At(1));
  clock.NotePrimary("h", 200, At(2));
  clock.NotePrimary("h", 300, At(3));
  CHECK(!clock.AppliedThrough("h", 99).has_value());
  CHECK(clock.AppliedThrough("h", 100) == At(1));
  CHECK(clock.AppliedThrough("h", 299) == At(2));
  CHECK(clock.AppliedThrough("h", 300) == At(3));
  CHECK(clock.AppliedThrough("h", 1'000) == At(3));  // it is no older than it was asked for
}

TEST_CASE("a primary that writes nothing keeps its replicas young") {
  ReplicationClock clock;
  clock.NotePrimary("h", 100, At(1));
  clock.NotePrimary("h", 100, At(9));
  CHECK(clock.AppliedThrough("h", 100) == At(9));
}

TEST_CASE("offsets of another history say nothing") {
  ReplicationClock clock;
  CHECK(!clock.knows("h"));
  CHECK(!clock.AppliedThrough("h", 100).has_value());
  clock.NotePrimary("h", 100, At(1));
  CHECK(clock.knows("h"));
  CHECK(!clock.AppliedThrough("other", 100).has_value());
  clock.NotePrimary("other", 50, At(2));
  CHECK(!clock.AppliedThrough("h", 1'000).has_value());
  CHECK(clock.AppliedThrough("other", 50) == At(2));
}

TEST_CASE("a history that goes back is another one, whatever it is called") {
  ReplicationClock clock;
  clock.NotePrimary("h", 100, At(1));
  clock.NotePrimary("h", 10, At(2));
  CHECK(clock.AppliedThrough("h", 10) == At(2));
  CHECK(clock.AppliedThrough("h", 100) == At(2));
}

TEST_CASE("only so many looks are remembered") {
  ReplicationClock clock;
  const int looks = static_cast<int>(ReplicationClock::kLooksMax);
  for (int i = 0; i <= looks; ++i) {
    clock.NotePrimary("h", i, At(i));
  }
  CHECK(!clock.AppliedThrough("h", 0).has_value());
  CHECK(clock.AppliedThrough("h", 1) == At(1));
  CHECK(clock.AppliedThrough("h", looks) == At(looks));
}

}  // namespace
}  // namespace nearcached
