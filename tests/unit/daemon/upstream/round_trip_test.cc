#include "daemon/upstream/round_trip.h"

#include <chrono>
#include <vector>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using std::chrono::microseconds;
using Times = std::vector<std::optional<Duration>>;

std::optional<Duration> Us(int us) {
  return microseconds(us);
}

TEST_CASE("one slow answer moves a round trip by an eighth") {
  RoundTrip trip;
  CHECK(!trip.value().has_value());
  trip.Note(microseconds(800));
  CHECK(trip.value() == Us(800));
  trip.Note(microseconds(1'600));
  CHECK(trip.value() == Us(900));
}

TEST_CASE("a node is left only for one that is nearer by a quarter and by 50 us") {
  CHECK(ChooseNearest(Times{Us(1'000), Us(749)}, 0) == 1);
  CHECK(ChooseNearest(Times{Us(1'000), Us(751)}, 0) == 0);
  CHECK(ChooseNearest(Times{Us(1'000), Us(751)}, 1) == 1);
  CHECK(ChooseNearest(Times{Us(100), Us(51)}, 0) == 0);
  CHECK(ChooseNearest(Times{Us(101), Us(50)}, 0) == 1);
  CHECK(ChooseNearest(Times{Us(1'000), Us(600), Us(500)}, 0) == 2);
}

TEST_CASE("a node that cannot be read is left for whoever can be, and none is taken that cannot") {
  CHECK(ChooseNearest(Times{std::nullopt, Us(9'000)}, 0) == 1);
  CHECK(ChooseNearest(Times{Us(9'000), std::nullopt}, 1) == 0);
  CHECK(ChooseNearest(Times{Us(9'000), std::nullopt}, 0) == 0);
  CHECK(ChooseNearest(Times{std::nullopt, std::nullopt}, 1) == 1);
}

}  // namespace
}  // namespace nearcached
