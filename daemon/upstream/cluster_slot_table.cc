#include "daemon/upstream/cluster_slot_table.h"

#include "daemon/base/check.h"

namespace nearcached {

bool SlotTable::Move(Slot slot, NodeIndex owner) {
  State& state = states_[slot];
  if (state.owner == owner) {
    return false;
  }
  covered_ += state.owner == kNoNode ? 1 : 0;
  covered_ -= owner == kNoNode ? 1 : 0;
  state.owner = owner;
  state.shut = state.under_way != 0;
  return true;
}

FillOwner SlotTable::NextGeneration(Slot slot) {
  const FillOwner old = fill_owner(slot);
  ++states_[slot].generation;
  return old;
}

bool SlotTable::Leave(Slot slot) {
  State& state = states_[slot];
  NC_CHECK(state.under_way > 0);
  --state.under_way;
  if (!state.shut || state.under_way != 0) {
    return false;
  }
  state.shut = false;
  return true;
}

}  // namespace nearcached
