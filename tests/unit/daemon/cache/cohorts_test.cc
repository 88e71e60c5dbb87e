#include "daemon/cache/cohorts.h"

#include <limits>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

TEST_CASE("a cohort lives until its owner is dropped, and its number is used again when empty") {
  CohortTable table;
  const auto a = table.Join({3, 1});
  REQUIRE(a);
  CHECK(table.Join({3, 1}) == a);
  table.AddEntry(*a);
  table.Drop({3, 1});
  CHECK_FALSE(table.alive(*a));
  CHECK(table.dropped_entries() == 1);
  CHECK_FALSE(table.Join({3, 1}));
  const auto b = table.Join({3, 2});
  REQUIRE(b);
  CHECK(b != a);
  table.RemoveEntry(*a);
  CHECK(table.dropped_entries() == 0);
  CHECK(table.Join({4, 0}) == a);
  CHECK(table.alive(*a));
}

TEST_CASE("dropping an older epoch does not touch the newer one") {
  CohortTable table;
  const auto a = table.Join({0, 9});
  table.AddEntry(*a);
  table.Drop({0, 8});
  CHECK(table.alive(*a));
  table.RemoveEntry(*a);
}

TEST_CASE("dropping all cohorts leaves the links' standing") {
  CohortTable table;
  const auto a = table.Join({0, 9});
  table.AddEntry(*a);
  table.DropAll();
  CHECK_FALSE(table.alive(*a));
  CHECK_FALSE(table.Join({0, 8}));
  CHECK(table.Join({0, 9}));
  table.RemoveEntry(*a);
}

TEST_CASE("when every cohort still holds entries the next fill is refused, until one is emptied") {
  CohortTable table;
  std::optional<CohortId> first;
  for (std::uint32_t epoch = 1; epoch <= 65535; ++epoch) {
    const auto id = table.Join({0, epoch});
    REQUIRE(id);
    table.AddEntry(*id);
    first = first ? first : id;
  }
  CHECK_FALSE(table.Join({0, 65536}));
  table.RemoveEntry(*first);
  CHECK(table.Join({0, 65536}) == first);
}

TEST_CASE("a higher epoch of a link ends the one before, and a late fill of that is refused") {
  CohortTable table;
  const auto before = table.Join({2, 4});
  REQUIRE(before);
  table.AddEntry(*before);
  const auto after = table.Join({2, 6});
  REQUIRE(after);
  CHECK_FALSE(table.alive(*before));
  CHECK(table.alive(*after));
  CHECK(table.dropped_entries() == 1);
  CHECK_FALSE(table.Join({2, 4}));
  CHECK_FALSE(table.Join({2, 5}));
  table.RemoveEntry(*before);
  CHECK(table.dropped_entries() == 0);
}

TEST_CASE("dropping a link twice, or by a later epoch, counts its entries once") {
  CohortTable table;
  const auto id = table.Join({1, 3});
  REQUIRE(id);
  table.AddEntry(*id);
  table.AddEntry(*id);
  table.Drop({1, 3});
  table.Drop({1, 3});
  table.Drop({1, 7});
  table.DropAll();
  CHECK(table.dropped_entries() == 2);
  CHECK(table.entries(*id) == 2);
  CHECK_FALSE(table.Join({1, 7}));
  CHECK(table.Join({1, 8}));
}

TEST_CASE("an epoch can be dropped before anything was filled under it") {
  CohortTable table;
  table.Drop({9, 5});
  CHECK_FALSE(table.Join({9, 5}));
  CHECK(table.Join({9, 6}));
  CHECK(table.dropped_entries() == 0);
}

TEST_CASE("a link whose last epoch was dropped stays refused, it does not begin at zero again") {
  CohortTable table;
  constexpr std::uint32_t kLast = std::numeric_limits<decltype(FillOwner::epoch)>::max();
  REQUIRE(table.Join({0, kLast}));
  table.Drop({0, kLast});
  CHECK_FALSE(table.Join({0, kLast}));
  CHECK_FALSE(table.Join({0, 0}));
}

TEST_CASE("a living cohort that has lost its last entry goes on under its number") {
  CohortTable table;
  const auto id = table.Join({0, 1});
  REQUIRE(id);
  table.AddEntry(*id);
  table.RemoveEntry(*id);
  const auto other = table.Join({1, 1});
  REQUIRE(other);
  CHECK(other != id);
  CHECK(table.Join({0, 1}) == id);
  CHECK(table.alive(*id));
}

TEST_CASE("links that come and go leave no memory behind") {
  CohortTable table;
  REQUIRE(table.Join({0, 1}));
  for (std::uint32_t epoch = 2; epoch < 5000; ++epoch) {
    const auto id = table.Join({0, epoch});
    REQUIRE(id);
    table.AddEntry(*id);
    table.Drop({0, epoch});
    table.RemoveEntry(*id);
  }
  CHECK(table.size() <= 3);
  CHECK(table.bytes() < 1024);
}

}  // namespace
}  // namespace nearcached
