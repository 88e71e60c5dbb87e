#include "daemon/cache/timing_wheel.h"

#include <bit>

#include "daemon/base/check.h"

// An entry lies on the level at which its due time first differs from the wheel's time, in the slot
// that its own digit there names. So a slot of level L begins when all lower digits of the time are
// zero; its entries are then spread over the lower levels or, if their time has come, expire.
// Because Advance may stop in the middle of a slot, a slot whose beginning has passed is simply
// still due, and time stands still until it is empty.

namespace nearcached {

std::size_t TimingWheel::LevelOf(std::uint64_t granule) const {
  const std::uint64_t differing = (granule ^ time_) | 1U;
  return static_cast<std::size_t>(std::bit_width(differing) - 1) / kSlotBits;
}

void TimingWheel::Add(EntryId id) {
  Entry& e = arena_.At(id);
  const std::uint64_t granule = DueGranule(e);
  const std::size_t level = LevelOf(granule);
  const std::size_t slot = SlotOf(granule, level);
  EntryId& head = heads_[level][slot];
  e.wheel_prev = kNoEntry;
  e.wheel_next = head;
  if (head != kNoEntry) {
    arena_.At(head).wheel_prev = id;
  }
  head = id;
  occupied_[level] |= std::uint64_t{1} << slot;
}

std::size_t TimingWheel::LevelHeadedBy(EntryId id, std::uint64_t granule) const {
  for (std::size_t level = 0; level < kLevels; ++level) {
    if (heads_[level][SlotOf(granule, level)] == id) {
      return level;
    }
  }
  NC_CHECK(false);
  return 0;
}

void TimingWheel::Remove(EntryId id) {
  const Entry& e = arena_.At(id);
  if (e.wheel_next != kNoEntry) {
    arena_.At(e.wheel_next).wheel_prev = e.wheel_prev;
  }
  if (e.wheel_prev != kNoEntry) {
    arena_.At(e.wheel_prev).wheel_next = e.wheel_next;
    return;
  }
  const std::uint64_t granule = DueGranule(e);
  const std::size_t level = LevelHeadedBy(id, granule);
  const std::size_t slot = SlotOf(granule, level);
  heads_[level][slot] = e.wheel_next;
  if (e.wheel_next == kNoEntry) {
    occupied_[level] &= ~(std::uint64_t{1} << slot);
  }
}

void TimingWheel::Relocated(EntryId from, EntryId to) {
  const Entry& e = arena_.At(to);
  if (e.wheel_next != kNoEntry) {
    arena_.At(e.wheel_next).wheel_prev = to;
  }
  if (e.wheel_prev != kNoEntry) {
    arena_.At(e.wheel_prev).wheel_next = to;
    return;
  }
  const std::uint64_t granule = DueGranule(e);
  const std::size_t level = LevelHeadedBy(from, granule);
  heads_[level][SlotOf(granule, level)] = to;
}

EntryId* TimingWheel::DueSlot(std::uint64_t now_us) {
  const std::uint64_t now = now_us >> kGranuleBits;
  // First what has begun and was left half done: on a higher level, at or before the time's digit.
  for (std::size_t level = kLevels - 1; level > 0; --level) {
    const std::uint64_t begun = occupied_[level] & ((std::uint64_t{2} << SlotOf(time_, level)) - 1);
    if (begun != 0) {
      return &heads_[level][static_cast<std::size_t>(std::countr_zero(begun))];
    }
  }
  for (std::size_t level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) {
      continue;
    }
    // Lower levels lie within the current slot of the higher ones, so the first slot of the lowest
    // occupied level is the earliest of all.
    const auto slot = static_cast<std::size_t>(std::countr_zero(occupied_[level]));
    const std::size_t shift = kSlotBits * level;
    const std::uint64_t begin =
        ((time_ >> (shift + kSlotBits)) << (shift + kSlotBits)) | (std::uint64_t{slot} << shift);
    if (begin > now) {
      return nullptr;
    }
    time_ = std::max(time_, begin);
    return &heads_[level][slot];
  }
  time_ = std::max(time_, now);
  return nullptr;
}

std::uint64_t TimingWheel::CheckInvariants() const {
  std::uint64_t found = 0;
  for (std::size_t level = 0; level < kLevels; ++level) {
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      const EntryId head = heads_[level][slot];
      NC_CHECK((head != kNoEntry) == ((occupied_[level] >> slot & 1U) != 0));
      EntryId prev = kNoEntry;
      for (EntryId id = head; id != kNoEntry; id = arena_.At(id).wheel_next) {
        const Entry& e = arena_.At(id);
        NC_CHECK(e.live() && e.wheel_prev == prev && SlotOf(DueGranule(e), level) == slot);
        prev = id;
        ++found;
      }
    }
  }
  return found;
}

}  // namespace nearcached
