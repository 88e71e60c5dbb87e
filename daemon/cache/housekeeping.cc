#include <algorithm>

#include "daemon/cache/l1.h"
#include "daemon/cache/prefetch.h"

// The work that is put off so that no call stalls the loop, and done a little in every turn:
// expiry, reclaiming what was dropped, approaching a lowered limit, resizing the index, compacting
// the slabs, unmapping large values.

namespace nearcached {
namespace {

// A removal costs about 0.4 µs when nothing of the entry is in the processor's caches; these
// numbers keep a tick with much to do at about 20 µs.
constexpr std::size_t kExpiriesPerTick = 32;
constexpr std::size_t kWheelMovesPerTick = 96;
constexpr std::size_t kSweepPerTick = 64;
constexpr std::size_t kEvictionsPerTick = 32;
constexpr std::size_t kResizeStepsPerTick = 8;
constexpr std::size_t kMovesPerCompaction = 8;
constexpr std::size_t kUnmapPerTick = std::size_t{512} << 10U;
constexpr std::size_t kReclaimAtOnce = 1024;  // entries; fewer are not worth deferring
constexpr std::uint64_t kPooledChunks = 16;   // empty chunks kept back for reuse

}  // namespace

void L1::DropOwners(std::span<const FillOwner> owners) {
  for (const FillOwner& owner : owners) {
    cohorts_.Drop(owner);
  }
  AfterDrop();
}

// What has just been dropped is reclaimed by Tick, but for a few entries, which go at once.
void L1::AfterDrop() {
  if (entries() <= kReclaimAtOnce) {
    (void)Sweep(2 * kReclaimAtOnce);
  }
  Publish();
}

void L1::ShelveOwners(std::span<const FillOwner> owners, MonoTime now) {
  NoteTime(now);
  for (const FillOwner& owner : owners) {
    cohorts_.Shelve(owner, now);
  }
  Publish();
}

void L1::Unshelve(std::span<const FillOwner> owners) {
  if (cohorts_.shelf_empty()) {
    return;
  }
  for (const FillOwner& owner : owners) {
    cohorts_.Unshelve(owner.link);
  }
  AfterDrop();
}

void L1::ClearShelf() {
  if (cohorts_.shelf_empty()) {
    return;
  }
  cohorts_.ClearShelf();
  AfterDrop();
}

void L1::Clear() {
  cohorts_.DropAll();
  AfterDrop();
}

void L1::SetBytesMax(std::uint64_t bytes_max) {
  bytes_max_ = bytes_max;
  Publish();
}

bool L1::Tick(MonoTime now) {
  NoteTime(now);
  bool more = wheel_.Advance(DeadlineMicros(latest_now_), kExpiriesPerTick, kWheelMovesPerTick,
                             [this](EntryId id) { Remove(id, Removal::kExpired); });
  more = Sweep(kSweepPerTick) || more;
  ResizeIndex(kResizeStepsPerTick);
  more = Shrink() || more;
  CompactSome();
  if (blobs_->release_pending()) {
    blobs_->Release(kUnmapPerTick);
  }
  if (arena_.pool_bytes() > kPooledChunks * arena_.chunk_bytes()) {
    more = arena_.TrimPool(4) || more;
  }
  Publish();
  return more || index_.resizing() || arena_.compacting() || blobs_->release_pending();
}

// Comes closer to a limit that was lowered. True if there is more to do.
bool L1::Shrink() {
  for (std::size_t i = 0; bytes_used() > bytes_max_ && i < kEvictionsPerTick; ++i) {
    if (arena_.TrimPool(1)) {
      continue;
    }
    if (blobs_->release_pending()) {
      blobs_->Release(kUnmapPerTick);
    } else if (!EvictOne()) {
      return false;
    }
    CompactSome();
  }
  return bytes_used() > bytes_max_;
}

// Removes what was dropped, a stretch of the index at a time. True if there is more.
bool L1::Sweep(std::size_t visits) {
  for (std::size_t done = 0; cohorts_.dropped_entries() > 0 && done < visits;) {
    visited_.clear();
    sweep_cursor_ = index_.Visit(sweep_cursor_, visited_);
    for (const EntryId id : visited_) {
      PrefetchLine(&arena_.At(id));
    }
    for (const EntryId id : visited_) {
      if (cohorts_.dropped(arena_.At(id).cohort)) {
        Remove(id, Removal::kDropped);
      }
    }
    done += 1 + visited_.size();
  }
  return cohorts_.dropped_entries() > 0;
}

void L1::Relocated(EntryId from, EntryId to) {
  const Entry& e = arena_.At(to);
  index_.Replace(e.hash, from, to);
  Queue(e.queue()).Relocated(to);
  wheel_.Relocated(from, to);
}

void L1::CompactSome() {
  (void)arena_.Compact(kMovesPerCompaction,
                       [this](EntryId from, EntryId to) { Relocated(from, to); });
}

void L1::ResizeIndex(std::size_t steps) {
  index_.Resize(
      steps, [this](EntryId id) { return arena_.At(id).hash; },
      [this](EntryId id) { PrefetchLine(arena_.Near(id)); });
}

}  // namespace nearcached
