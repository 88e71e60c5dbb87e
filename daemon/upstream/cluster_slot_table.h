// Who owns each slot, what is under way there, and when a slot may go on after it has moved.
//
// Requests of one client that concern the same key must stay in order (consistency.md R4). As long
// as a slot stays where it is, they do: they travel on one lane of one node. When it moves, what is
// under way at the old node comes back with a redirection and is sent again to the new one, while
// newer requests would go there at once and overtake it. So a slot that moves while something is
// under way is *shut*: newer requests wait until all of that has been answered, which takes about a
// round trip, and then go on in their order. A slot is also shut behind a fill that is asked again
// on a lane: what comes behind it may travel on another.
//
// Also keeps the *generation* of each slot, which is the epoch of what was filled from it: an owner
// of L1 entries is a slot (FillOwner{slot + 1, generation}), so that dropping what a moved slot has
// in L1 costs one step and leaves all other slots alone (R7).
//
// Owned by the cluster; loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemon/cache/cache_key.h"
#include "daemon/upstream/cluster_slot.h"

namespace nearcached {

using NodeIndex = std::uint16_t;
inline constexpr NodeIndex kNoNode = 0xffff;

class SlotTable {
 public:
  SlotTable() : states_(kSlots) {}

  [[nodiscard]] NodeIndex owner(Slot slot) const { return states_[slot].owner; }
  [[nodiscard]] FillOwner fill_owner(Slot slot) const {
    return {static_cast<std::uint16_t>(slot + 1), states_[slot].generation};
  }
  // New requests of the slot wait.
  [[nodiscard]] bool shut(Slot slot) const { return states_[slot].shut; }
  [[nodiscard]] std::size_t covered() const { return covered_; }

  // The slot belongs to `owner` from now on (kNoNode: to nobody). False when it did already.
  bool Move(Slot slot, NodeIndex owner);

  // What was filled from the slot so far is not backed by anything any more: the next fills are of
  // a new generation. Returns who filled the old one, to be dropped.
  FillOwner NextGeneration(Slot slot);

  // A request of the slot is on its way.
  void Enter(Slot slot) { ++states_[slot].under_way; }
  // It has been answered for good. True when the slot was shut and is now open: those who wait may
  // go on. REQUIRES: entered before.
  [[nodiscard]] bool Leave(Slot slot);
  // Newer requests of the slot wait until what is under way there has been answered.
  void Shut(Slot slot) { states_[slot].shut = states_[slot].under_way != 0; }
  [[nodiscard]] std::uint32_t under_way(Slot slot) const { return states_[slot].under_way; }

 private:
  struct State {
    NodeIndex owner = kNoNode;
    bool shut = false;
    std::uint32_t generation = 1;
    std::uint32_t under_way = 0;
  };
  std::vector<State> states_;
  std::size_t covered_ = 0;
};

}  // namespace nearcached
