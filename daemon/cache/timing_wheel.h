// A hierarchical timing wheel over entry ids: finds what has expired without scanning.
//
// Varghese and Lauck, "Hashed and hierarchical timing wheels", SOSP 1987. Six levels of 64 slots; a
// slot of the lowest level is 4.1 ms wide, and together they span the 48 bits of microseconds that
// an entry's deadline has. Reads check the deadline themselves, exactly; the wheel only gives
// memory back, so it may lag: Advance does a bounded amount of work and goes on the next time.
// Loop thread only. Owned by L1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "daemon/cache/entry.h"
#include "daemon/cache/prefetch.h"
#include "daemon/cache/slab.h"

namespace nearcached {

class TimingWheel {
 public:
  explicit TimingWheel(SlabArena& arena) : arena_(arena) {}

  // REQUIRES: the entry's deadline is set, after the time of the latest Advance.
  void Add(EntryId id);
  void Remove(EntryId id);
  // Makes what pointed at `from` point at its new place `to`.
  void Relocated(EntryId from, EntryId to);

  // Calls expire(id), which must Remove it, for at most `expiries` entries whose deadline is not
  // after `now_us`, and moves at most `moves` others to a lower level. True if work is left over.
  template <typename Expire>
  bool Advance(std::uint64_t now_us, std::size_t expiries, std::size_t moves, Expire&& expire) {
    for (;;) {
      EntryId* head = DueSlot(now_us);
      if (head == nullptr) {
        return false;
      }
      while (*head != kNoEntry) {
        if (expiries == 0 || moves == 0) {
          return true;
        }
        const EntryId id = *head;
        const Entry& e = arena_.At(id);
        if (e.wheel_next != kNoEntry) {
          PrefetchLine(&arena_.At(e.wheel_next));
        }
        if (e.deadline_us() <= now_us) {
          expire(id);
          --expiries;
        } else {
          Remove(id);
          Add(id);
          --moves;
        }
      }
    }
  }

  // O(entries): for tests. Returns how many entries are on the wheel; aborts if one is misplaced.
  [[nodiscard]] std::uint64_t CheckInvariants() const;

 private:
  static constexpr unsigned kGranuleBits = 12;  // 4,096 µs
  static constexpr unsigned kSlotBits = 6;
  static constexpr std::size_t kSlots = std::size_t{1} << kSlotBits;
  static constexpr std::size_t kLevels = 6;

  // The granule in which an entry is due: rounded up, so that it has expired when its slot is.
  [[nodiscard]] static std::uint64_t DueGranule(const Entry& e) {
    constexpr std::uint64_t kLast = (std::uint64_t{1} << (kSlotBits * kLevels)) - 1;
    return std::min((e.deadline_us() + (1U << kGranuleBits) - 1) >> kGranuleBits, kLast);
  }
  [[nodiscard]] static std::size_t SlotOf(std::uint64_t granule, std::size_t level) {
    return (granule >> (kSlotBits * level)) & (kSlots - 1);
  }
  // The level at which `granule` first differs from the current time.
  [[nodiscard]] std::size_t LevelOf(std::uint64_t granule) const;
  // The earliest slot that has begun and is not empty, or null; moves the time on to it.
  [[nodiscard]] EntryId* DueSlot(std::uint64_t now_us);
  // The level at whose head the entry is. REQUIRES: it is at the head of its list.
  [[nodiscard]] std::size_t LevelHeadedBy(EntryId id, std::uint64_t granule) const;

  SlabArena& arena_;
  std::uint64_t time_ = 0;                         // in granules; never beyond the latest `now_us`
  std::array<std::uint64_t, kLevels> occupied_{};  // a bit for each slot that has entries
  std::array<std::array<EntryId, kSlots>, kLevels> heads_{};
};

}  // namespace nearcached
