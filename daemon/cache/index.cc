#include "daemon/cache/index.h"

#include <algorithm>

#include "daemon/base/check.h"

namespace nearcached {
namespace {

// Entries per bucket of twelve slots. At 8 one bucket in sixteen has an overflow bucket; at 10 it
// would be one in five, which saves a byte an entry and makes a batched lookup 15 ns slower.
constexpr std::uint64_t kGrowAbove = 8;
constexpr std::uint64_t kShrinkBelow = 4;
constexpr std::uint32_t kBucketsMax = 1U << 31U;

}  // namespace

HashIndex::HashIndex() {
  homes_.AddBlock();
  overflow_.AddBlock();
}

void HashIndex::Insert(std::uint32_t hash, std::uint8_t tag, EntryId id) {
  Append(Home(hash), tag, id);
  ++size_;
}

// All buckets of a chain but the last are full, so the last one takes the entry.
void HashIndex::Append(Bucket& home, std::uint8_t tag, EntryId id) {
  Bucket* b = &home;
  while (b->next != 0) {
    b = &overflow_.At(b->next);
  }
  unsigned empty = b->Matching(0);
  if (empty == 0) {
    b->next = NewOverflow();
    b = &overflow_.At(b->next);
    empty = 1;
  }
  const auto slot = static_cast<unsigned>(std::countr_zero(empty));
  b->tags[slot] = tag;
  b->ids[slot] = id;
}

// The hole is filled from the last bucket of the chain, which keeps chains as short as can be.
void HashIndex::Erase(std::uint32_t hash, EntryId id) {
  Bucket* holder = &Home(hash);
  std::size_t slot = 0;
  for (;; holder = &overflow_.At(holder->next)) {
    slot = static_cast<std::size_t>(std::find(holder->ids.begin(), holder->ids.end(), id) -
                                    holder->ids.begin());
    if (slot < kSlots) {
      break;
    }
    NC_CHECK(holder->next != 0);
  }
  Bucket* before_last = nullptr;
  Bucket* last = holder;
  while (last->next != 0) {
    before_last = last;
    last = &overflow_.At(last->next);
  }
  if (last != holder) {
    std::size_t spare = 0;
    while (last->tags[spare] == 0) {
      ++spare;
    }
    holder->tags[slot] = last->tags[spare];
    holder->ids[slot] = last->ids[spare];
    slot = spare;
  }
  last->tags[slot] = 0;
  last->ids[slot] = kNoEntry;
  if (last->Matching(0) == (1U << kSlots) - 1) {
    if (before_last != nullptr) {
      FreeOverflow(before_last->next);
      before_last->next = 0;
    } else if (last != &Home(hash)) {
      // The holder was itself the last overflow bucket: find what points at it.
      Bucket* b = &Home(hash);
      while (&overflow_.At(b->next) != last) {
        b = &overflow_.At(b->next);
      }
      FreeOverflow(b->next);
      b->next = 0;
    }
  }
  --size_;
}

void HashIndex::Replace(std::uint32_t hash, EntryId from, EntryId to) {
  for (Bucket* b = &Home(hash);; b = &overflow_.At(b->next)) {
    const auto at = std::find(b->ids.begin(), b->ids.end(), from);
    if (at != b->ids.end()) {
      *at = to;
      return;
    }
    NC_CHECK(b->next != 0);
  }
}

std::uint32_t HashIndex::NewOverflow() {
  std::uint32_t i = overflow_free_;
  if (i != 0) {
    overflow_free_ = overflow_.At(i).next;
    overflow_.At(i) = Bucket{};
    return i;
  }
  i = overflow_used_++;
  if (i >= overflow_.capacity()) {
    overflow_.AddBlock();
  }
  return i;
}

void HashIndex::FreeOverflow(std::uint32_t i) {
  overflow_.At(i) = Bucket{};
  overflow_.At(i).next = overflow_free_;
  overflow_free_ = i;
}

std::uint32_t HashIndex::Visit(std::uint32_t cursor, std::vector<EntryId>& ids) const {
  const std::uint32_t home = Route(cursor);
  for (const Bucket* b = &At(home);; b = &overflow_.At(b->next)) {
    for (std::size_t i = 0; i < kSlots; ++i) {
      if (b->tags[i] != 0) {
        ids.push_back(b->ids[i]);
      }
    }
    if (b->next == 0) {
      break;
    }
  }
  const bool old_layout =
      phase_ != Phase::kMoving || growing() == (Position(cursor, buckets_) < boundary_);
  std::uint64_t end = FirstHash(home + 1, old_layout ? buckets_ : target_);
  if (phase_ == Phase::kMoving) {
    // A bucket of the new layout may reach beyond what has been moved.
    const std::uint64_t edge = FirstHash(boundary_, buckets_);
    if (cursor < edge) {
      end = std::min(end, edge);
    }
  }
  return end > 0xffffffffU ? 0 : static_cast<std::uint32_t>(end);
}

void HashIndex::StartResizeIfDue() {
  if (size_ > buckets_ * kGrowAbove && buckets_ < kBucketsMax) {
    target_ = buckets_ + std::max(buckets_ / 5, 1U);
    phase_ = Phase::kAllocating;
  } else if (buckets_ > kBucketsMin && size_ < buckets_ * kShrinkBelow) {
    target_ = std::max(buckets_ - buckets_ / 4, kBucketsMin);
    boundary_ = 0;
    phase_ = Phase::kMoving;
  }
}

// Brings the resize to the point where one more bucket can be moved, spending the step on a block
// instead if one is due. True if a bucket is to be moved now.
bool HashIndex::PrepareStep() {
  switch (phase_) {
    case Phase::kIdle:
      StartResizeIfDue();
      return phase_ == Phase::kMoving;
    case Phase::kAllocating:
      if (homes_.capacity() < target_) {
        homes_.AddBlock();
        return false;
      }
      boundary_ = buckets_;
      phase_ = Phase::kMoving;
      return true;
    case Phase::kMoving:
      if (boundary_ != (growing() ? 0 : buckets_)) {
        return true;
      }
      buckets_ = target_;
      phase_ = Phase::kFreeing;
      return false;
    case Phase::kFreeing:
      if (homes_.capacity() >= buckets_ + 2 * kBlockBuckets) {
        homes_.DropBlock();
      } else {
        phase_ = Phase::kIdle;
      }
      return false;
  }
  return false;
}

void HashIndex::Detach(std::uint32_t bucket) {
  loose_.clear();
  Bucket copy = At(bucket);
  At(bucket) = Bucket{};
  for (;;) {
    for (std::size_t i = 0; i < kSlots; ++i) {
      if (copy.tags[i] != 0) {
        loose_.push_back({copy.ids[i], copy.tags[i]});
      }
    }
    if (copy.next == 0) {
      return;
    }
    const std::uint32_t overflow = copy.next;
    copy = overflow_.At(overflow);
    FreeOverflow(overflow);
  }
}

std::uint64_t HashIndex::bytes() const {
  return homes_.bytes() + overflow_.bytes();
}

std::uint64_t HashIndex::insert_bytes_max() const {
  constexpr std::uint64_t kBlock = kBlockBuckets * sizeof(Bucket) + 128;
  std::uint64_t most = 0;
  if (phase_ == Phase::kAllocating || size_ + 1 > buckets_ * kGrowAbove) {
    most += 2 * kBlock;
  }
  if (overflow_used_ + kSlots >= overflow_.capacity()) {
    most += kBlock;
  }
  return most;
}

std::uint8_t HashIndex::TagOf(std::uint32_t hash, EntryId id) const {
  for (const Bucket* b = &Home(hash);; b = &overflow_.At(b->next)) {
    const auto at = std::find(b->ids.begin(), b->ids.end(), id);
    if (at != b->ids.end()) {
      return b->tags[static_cast<std::size_t>(at - b->ids.begin())];
    }
    if (b->next == 0) {
      return 0;
    }
  }
}

void HashIndex::CheckBuckets() const {
  std::uint32_t overflows = 0;
  const std::uint32_t homes = std::max(buckets_, phase_ == Phase::kMoving ? target_ : 0);
  NC_CHECK(homes <= homes_.capacity());
  for (std::uint32_t i = 0; i < homes; ++i) {
    for (const Bucket* b = &At(i); b->next != 0; b = &overflow_.At(b->next)) {
      NC_CHECK(b->Matching(0) == 0);  // only the last bucket of a chain has room
      ++overflows;
      NC_CHECK(overflow_.At(b->next).Matching(0) != (1U << kSlots) - 1);
    }
  }
  for (std::uint32_t i = overflow_free_; i != 0; i = overflow_.At(i).next) {
    ++overflows;
  }
  NC_CHECK(overflows + 1 == overflow_used_);
}

}  // namespace nearcached
