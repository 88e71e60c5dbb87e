#include "daemon/upstream/cluster_slot_table.h"

#include <doctest/doctest.h>

namespace nearcached {
namespace {

TEST_CASE("a slot that moves while nothing is under way stays open") {
  SlotTable table;
  CHECK(table.Move(5, 1));
  CHECK(table.covered() == 1);
  CHECK_FALSE(table.Move(5, 1));
  CHECK(table.Move(5, 2));
  CHECK_FALSE(table.shut(5));
  CHECK(table.Move(5, kNoNode));
  CHECK(table.covered() == 0);
}

TEST_CASE("a slot that moves under requests is shut until the last of them is answered") {
  SlotTable table;
  table.Move(5, 1);
  table.Enter(5);
  table.Enter(5);
  CHECK(table.Move(5, 2));
  CHECK(table.shut(5));
  CHECK_FALSE(table.shut(6));
  CHECK_FALSE(table.Leave(5));
  CHECK(table.Move(5, 3));  // on it goes
  CHECK(table.shut(5));
  CHECK(table.Leave(5));  // whoever waits goes on
  CHECK_FALSE(table.shut(5));
  table.Enter(5);
  CHECK_FALSE(table.Leave(5));
}

TEST_CASE("every slot is a filler of its own, with an epoch that rises") {
  SlotTable table;
  CHECK(table.fill_owner(0).link == 1);  // 0 means entries that end by their TTL alone
  CHECK(table.fill_owner(16'383).link == 16'384);
  const FillOwner before = table.fill_owner(7);
  CHECK(table.NextGeneration(7) == before);
  CHECK(table.fill_owner(7).epoch == before.epoch + 1);
  CHECK(table.fill_owner(8).epoch == before.epoch);
}

}  // namespace
}  // namespace nearcached
