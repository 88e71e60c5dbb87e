// The hash index: from a hash to the ids of the entries that may have it.
//
// A bucket is one cache line: twelve 8-bit tags, twelve 4-byte ids, a link to an overflow bucket.
// Buckets are ordered by hash (bucket = hash * n / 2^32), which makes any number of buckets
// possible, not just powers of two. So the table grows by a fifth at a time, in place, and a scan
// cursor is simply a hash: everything below it has been visited, however often the table was
// resized in between.
//
// Resizing is incremental: while growing, buckets are re-spread from the last to the first, while
// shrinking from the first to the last; `boundary_` says how far. A bucket's entries move to
// buckets that the move has already passed or is just emptying, so old and new layout share the
// same memory. Loop thread only. Knows nothing of entries but their ids.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "daemon/base/check.h"
#include "daemon/cache/entry.h"
#include "daemon/cache/prefetch.h"

namespace nearcached {

// What the index keeps of a 64-bit key hash.
inline std::uint32_t IndexHash(std::uint64_t hash) {
  return static_cast<std::uint32_t>(hash >> 32U);
}
inline std::uint8_t IndexTag(std::uint64_t hash) {
  const auto tag = static_cast<std::uint8_t>(hash);
  return tag == 0 ? std::uint8_t{1} : tag;  // 0 marks an empty slot
}
// The tag of one of several entries that share a hash. Half of it is the key's, so that all of them
// can be found together; the other half tells most of them apart.
inline std::uint8_t VariantTag(std::uint8_t key_tag, std::uint64_t variant_hash) {
  const auto tag = static_cast<std::uint8_t>((key_tag & 0x0fU) | (variant_hash & 0xf0U));
  return tag == 0 ? std::uint8_t{0x10} : tag;
}

class HashIndex {
 public:
  HashIndex();

  // The first id with this hash's tag in its bucket for which match(id) is true, or kNoEntry.
  template <typename Match>
  [[nodiscard]] EntryId Find(std::uint32_t hash, std::uint8_t tag, Match&& match) const {
    for (const Bucket* b = &Home(hash);; b = &overflow_.At(b->next)) {
      for (unsigned mask = b->Matching(tag); mask != 0; mask &= mask - 1) {
        const EntryId id = b->ids[static_cast<unsigned>(std::countr_zero(mask))];
        if (match(id)) {
          return id;
        }
      }
      if (b->next == 0) {
        return kNoEntry;
      }
    }
  }

  // The same among all ids whose tag has the same low half, VariantTag() of the tag included.
  template <typename Match>
  [[nodiscard]] EntryId FindRelated(std::uint32_t hash, std::uint8_t tag, Match&& match) const {
    for (const Bucket* b = &Home(hash);; b = &overflow_.At(b->next)) {
      for (unsigned mask = b->MatchingLowHalf(tag); mask != 0; mask &= mask - 1) {
        const EntryId id = b->ids[static_cast<unsigned>(std::countr_zero(mask))];
        if (id != kNoEntry && match(id)) {
          return id;
        }
      }
      if (b->next == 0) {
        return kNoEntry;
      }
    }
  }

  void Prefetch(std::uint32_t hash) const { PrefetchLine(&Home(hash)); }

  // A guess at what Find will return, for prefetching: right for 19 of 20 keys that are there, any
  // id (or kNoEntry) otherwise. Without branches, because one that is predicted wrongly while its
  // bucket is still on the way from memory would hold up the rest of the batch.
  [[nodiscard]] EntryId Guess(std::uint32_t hash, std::uint8_t tag) const {
    const Bucket& b = Home(hash);
    return b.ids[static_cast<unsigned>(std::countr_zero(b.Matching(tag) | (1U << (kSlots - 1))))];
  }

  // Adds an id. May allocate up to insert_bytes_max().
  void Insert(std::uint32_t hash, std::uint8_t tag, EntryId id);
  // REQUIRES for both: `id` is there under `hash`.
  void Erase(std::uint32_t hash, EntryId id);
  void Replace(std::uint32_t hash, EntryId from, EntryId to);

  [[nodiscard]] bool Contains(std::uint32_t hash, EntryId id) const { return TagOf(hash, id) != 0; }

  // Collects the ids of the bucket in which `cursor` lies and returns the smallest hash that is not
  // in that bucket, or 0 if it was the last. Erasing what was collected is safe.
  std::uint32_t Visit(std::uint32_t cursor, std::vector<EntryId>& ids) const;

  // Up to `steps` steps of resizing, if any is due; a step moves one bucket or allocates or frees
  // one block. hash_of(id) is the hash the id was inserted with; prefetch(id) brings it closer.
  template <typename HashOf, typename PrefetchEntry>
  void Resize(std::size_t steps, HashOf&& hash_of, PrefetchEntry&& prefetch) {
    for (; steps > 0 && PrepareStep(); --steps) {
      const std::uint32_t from = growing() ? boundary_ - 1 : boundary_;
      const std::uint32_t upcoming = growing() ? from - 1 : from + 1;
      if (upcoming < buckets_) {
        for (const EntryId id : At(upcoming).ids) {
          prefetch(id);  // id 0 in empty slots: prefetch must bear it
        }
      }
      Detach(from);
      boundary_ = growing() ? from : from + 1;
      for (const Loose& moved : loose_) {
        Append(At(Position(hash_of(moved.id), target_)), moved.tag, moved.id);
      }
    }
  }
  [[nodiscard]] bool resizing() const { return phase_ != Phase::kIdle; }

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t bytes() const;
  // The most that bytes() can grow by in the next Insert with its share of Resize.
  [[nodiscard]] std::uint64_t insert_bytes_max() const;

  // O(entries): for tests. Aborts if an entry cannot be found or the structure is broken.
  template <typename HashOf>
  void CheckInvariants(HashOf&& hash_of) const {
    std::vector<EntryId> ids;
    std::uint64_t found = 0;
    std::uint32_t cursor = 0;
    do {
      ids.clear();
      cursor = Visit(cursor, ids);
      for (const EntryId id : ids) {
        const std::uint32_t hash = hash_of(id);
        NC_CHECK(Contains(hash, id));
      }
      found += ids.size();
    } while (cursor != 0);
    NC_CHECK(found == size_);
    CheckBuckets();
  }

 private:
  static constexpr std::size_t kSlots = 12;
  static constexpr std::uint32_t kBlockBuckets = 64;
  static constexpr std::uint32_t kBucketsMin = 8;

  struct alignas(64) Bucket {
    std::array<std::uint8_t, kSlots> tags{};
    std::uint32_t next = 0;  // overflow bucket, 0: none
    std::array<EntryId, kSlots> ids{};

    static constexpr std::uint64_t kOnes = 0x0101010101010101ULL;

    // One bit for each slot with this tag.
    [[nodiscard]] unsigned Matching(std::uint8_t tag) const {
      std::uint64_t low = 0;
      std::uint32_t high = 0;
      std::memcpy(&low, tags.data(), sizeof low);
      std::memcpy(&high, tags.data() + sizeof low, sizeof high);
      return ZeroBytes(low ^ (kOnes * tag)) |
             (ZeroBytes((high ^ (kOnes * tag & 0xffffffffU)) | 0xffffffff00000000ULL) << 8U);
    }
    // One bit for each slot whose tag has this one's low half; perhaps also for empty slots.
    [[nodiscard]] unsigned MatchingLowHalf(std::uint8_t tag) const {
      Bucket halves;
      std::transform(tags.begin(), tags.end(), halves.tags.begin(),
                     [](std::uint8_t t) { return static_cast<std::uint8_t>(t & 0x0fU); });
      return halves.Matching(tag & 0x0fU);
    }
    // One bit for each zero byte: exact, unlike the shorter trick with a subtraction.
    [[nodiscard]] static unsigned ZeroBytes(std::uint64_t x) {
      constexpr std::uint64_t kSevens = 0x7f7f7f7f7f7f7f7fULL;
      const std::uint64_t zero = ~(((x & kSevens) + kSevens) | x | kSevens);  // 0x80 in those bytes
      return static_cast<unsigned>(((zero >> 7U) * 0x0102040810204080ULL) >> 56U);
    }
  };
  static_assert(sizeof(Bucket) == 64);

  // Buckets in blocks of 4 KiB, so that growing never copies them.
  class Blocks {
   public:
    [[nodiscard]] Bucket& At(std::uint32_t i) {
      return (*blocks_[i / kBlockBuckets])[i % kBlockBuckets];
    }
    [[nodiscard]] const Bucket& At(std::uint32_t i) const {
      return (*blocks_[i / kBlockBuckets])[i % kBlockBuckets];
    }
    [[nodiscard]] std::uint32_t capacity() const {
      return static_cast<std::uint32_t>(blocks_.size()) * kBlockBuckets;
    }
    void AddBlock() { blocks_.push_back(std::make_unique<Block>()); }
    void DropBlock() { blocks_.pop_back(); }
    [[nodiscard]] std::uint64_t bytes() const {
      return blocks_.size() * (sizeof(Block) + 2 * sizeof(void*) + kAllocatorSlack);
    }

   private:
    using Block = std::array<Bucket, kBlockBuckets>;
    static constexpr std::size_t kAllocatorSlack = 64;  // glibc, for an aligned 4 KiB
    std::vector<std::unique_ptr<Block>> blocks_;
  };

  enum class Phase : std::uint8_t { kIdle, kAllocating, kMoving, kFreeing };
  struct Loose {
    EntryId id = kNoEntry;
    std::uint8_t tag = 0;
  };

  [[nodiscard]] static std::uint32_t Position(std::uint32_t hash, std::uint32_t buckets) {
    return static_cast<std::uint32_t>((std::uint64_t{hash} * buckets) >> 32U);
  }
  [[nodiscard]] static std::uint64_t FirstHash(std::uint32_t bucket, std::uint32_t buckets) {
    return ((std::uint64_t{bucket} << 32U) + buckets - 1) / buckets;
  }
  [[nodiscard]] bool growing() const { return target_ > buckets_; }
  // Which bucket a hash belongs to now.
  [[nodiscard]] std::uint32_t Route(std::uint32_t hash) const {
    const std::uint32_t old = Position(hash, buckets_);
    if (phase_ != Phase::kMoving || growing() == (old < boundary_)) {
      return old;
    }
    return Position(hash, target_);
  }
  [[nodiscard]] Bucket& At(std::uint32_t i) { return homes_.At(i); }
  [[nodiscard]] const Bucket& At(std::uint32_t i) const { return homes_.At(i); }
  [[nodiscard]] Bucket& Home(std::uint32_t hash) { return homes_.At(Route(hash)); }
  [[nodiscard]] const Bucket& Home(std::uint32_t hash) const { return homes_.At(Route(hash)); }

  void Append(Bucket& home, std::uint8_t tag, EntryId id);
  [[nodiscard]] std::uint32_t NewOverflow();
  void FreeOverflow(std::uint32_t i);
  [[nodiscard]] bool PrepareStep();
  void StartResizeIfDue();
  void Detach(std::uint32_t bucket);
  // The tag of an id, 0 if it is not there under this hash.
  [[nodiscard]] std::uint8_t TagOf(std::uint32_t hash, EntryId id) const;
  void CheckBuckets() const;

  Blocks homes_;
  Blocks overflow_;                  // bucket 0 is a dummy
  std::uint32_t overflow_used_ = 1;  // buckets handed out at least once
  std::uint32_t overflow_free_ = 0;  // list through `next`
  std::uint64_t size_ = 0;

  Phase phase_ = Phase::kIdle;
  std::uint32_t buckets_ = kBucketsMin;
  std::uint32_t target_ = kBucketsMin;  // differs from buckets_ only while allocating and moving
  std::uint32_t boundary_ = 0;          // valid while moving
  std::vector<Loose> loose_;            // the entries of the bucket being moved
};

}  // namespace nearcached
