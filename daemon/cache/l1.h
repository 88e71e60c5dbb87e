// The L1: the in-memory store of one worker. Keys and encoded replies in, views out.
//
// Owned by the worker; loop thread only. Reads no clock (callers pass `now`, which must not go
// back), opens nothing, logs nothing. Bounded by bytes, with everything counted: entries, index,
// eviction ghosts, timing wheel, free slots, pinned values. No operation does unbounded work except
// where its comment says so. README.md in this folder explains the design and gives its figures.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/base/time.h"
#include "daemon/cache/blob.h"
#include "daemon/cache/cache_key.h"
#include "daemon/cache/cohorts.h"
#include "daemon/cache/entry_queue.h"
#include "daemon/cache/ghost.h"
#include "daemon/cache/index.h"
#include "daemon/cache/share_tuner.h"
#include "daemon/cache/slab.h"
#include "daemon/cache/stats.h"
#include "daemon/cache/timing_wheel.h"
#include "daemon/cache/value_ref.h"

namespace nearcached {

struct L1Options {
  std::uint64_t bytes_max = 0;  // 256 KiB and above is sensible; below, most inserts find no room
  double negative_share = 0.1;  // of bytes_max, the most that negative entries may take (R11)
  std::uint32_t variants_max = 128;  // entries of one key beside GET's; at least 1
};

struct L1Hit {
  std::string_view value;    // valid until the next non-const call on the L1
  bool negative = false;     // the key does not exist; value is what was given then
  MonoTime deadline;         // the entry is never served at or after this time
  std::uint32_t handle = 0;  // for Pin; valid as long as `value`
};

// Told of entries that nobody has read from the time they were stored to the time they expired or
// were invalidated. (Not of those that gave way to others: they had no time.)
class UnreadObserver {
 public:
  // Must not call the store. `key` is gone when it returns.
  virtual void OnDiedUnread(std::string_view key) = 0;

 protected:
  ~UnreadObserver() = default;
};

class L1 {
 public:
  enum class InsertResult : std::uint8_t {
    kStored,       // new
    kReplaced,     // the key was there; it now has this value, deadline and owner
    kTooLarge,     // key or variant above 64 KiB, or all of it above a quarter of bytes_max
    kNotAdmitted,  // large and not seen before, so not worth what it would push out
    kNoRoom,       // the work allowed to one insert did not free enough
    kExpired,      // the deadline is not after `now`, or the owner has been dropped
  };

  explicit L1(const L1Options& options);
  ~L1();
  L1(const L1&) = delete;
  L1& operator=(const L1&) = delete;

  // Software prefetch for a batch of pipelined reads: call Prefetch for every key of the batch,
  // then PrefetchEntry for every key, then Find. Hints only; no effect on any state.
  void Prefetch(std::uint64_t hash) const;
  void PrefetchEntry(std::uint64_t hash) const;

  // Looks a key up and counts the outcome. Never returns an entry at or after its deadline, of a
  // dropped owner, or from before a Clear.
  [[nodiscard]] std::optional<L1Hit> Find(const CacheKey& key, MonoTime now);

  // What FindHit would find, without leaving a trace: nothing is counted, and the entry is none the
  // hotter for it.
  [[nodiscard]] std::optional<L1Hit> Peek(const CacheKey& key, MonoTime now) const;

  // Find in two halves, for a caller who will know only after a failed lookup whether the key could
  // have been here at all. FindHit and FindVariantHit count hits and nothing else; CountMiss,
  // called where one of them has just failed, counts why. FindHit is for GET, FindVariantHit for
  // other reads: REQUIRES an empty variant, and one that is not empty.
  [[nodiscard]] std::optional<L1Hit> FindHit(const CacheKey& key, MonoTime now);
  [[nodiscard]] std::optional<L1Hit> FindVariantHit(const CacheKey& key, MonoTime now);
  void CountMiss(const CacheKey& key, MonoTime now);

  // Keeps the bytes of a hit alive beyond the next call. Large values (stored outside the slabs)
  // are shared without copying; small ones are copied, which is cheaper than counting.
  // REQUIRES: `hit` came from the latest Find and no non-const call was made since.
  [[nodiscard]] ValueRef Pin(const L1Hit& hit);

  // Stores a value (an encoded reply). Any result but kStored and kReplaced leaves no entry of
  // that key and variant behind, so a refused fill can never leave an older value in place. A key
  // that has as many variants as it may have loses the one of them that was hit least.
  InsertResult Insert(const CacheKey& key, std::string_view value, bool negative, MonoTime deadline,
                      MonoTime now, FillOwner owner);

  // Removes one entry. True if it was there and, at the latest time the store has been told, could
  // still have been served.
  bool Erase(const CacheKey& key);

  // Removes all that is held under a key, in every database and variant: what an invalidation push
  // means (R7). Returns how many entries.
  std::size_t EraseInAllDatabases(std::string_view key, std::uint64_t hash);

  // Makes everything that `owner` filled unservable at once, in constant time; later inserts under
  // this owner are refused. Memory comes back through Tick. An epoch, once dropped, stays dropped:
  // a link that reconnects must come back with a higher epoch.
  void DropOwner(FillOwner owner) { DropOwners({&owner, 1}); }
  // The same for many, in one step for each.
  void DropOwners(std::span<const FillOwner> owners);

  // As DropOwners, but their entries stay where they are, for FindShelved, until they expire, are
  // erased or evicted, or taken off the shelf. Of a link, the latest epoch's alone are shelved.
  void ShelveOwners(std::span<const FillOwner> owners, MonoTime now);
  // Drops what is shelved of the owners' links, whatever its epoch, in one step for each.
  void Unshelve(std::span<const FillOwner> owners);
  // Drops all that is shelved, in one step for each link.
  void ClearShelf();
  [[nodiscard]] bool shelf_empty() const { return cohorts_.shelf_empty(); }
  // Looks up a value whose owner was shelved less than `age_max` ago. Counts nothing; never an
  // entry at or after its deadline, nor "no such key". CountMiss, and a Find that fails, remove
  // what is shelved: ask before.
  [[nodiscard]] std::optional<L1Hit> FindShelved(const CacheKey& key, MonoTime now,
                                                 Duration age_max) const;

  // Makes everything unservable at once, in constant time; memory comes back through Tick. Owners
  // keep their standing: a fill that arrives later under a living owner is stored.
  void Clear();

  // Removes the keys that start with `prefix`, of one database or (nullopt) of all. For operators:
  // visits every entry, so it stalls the loop by about 100 ms per million entries; the step form
  // does not.
  std::size_t ErasePrefix(std::optional<DbIndex> db, std::string_view prefix);

  // The same in bounded steps: visits at most about `visits` entries and moves `cursor` on. Start
  // with cursor 0; done when it is 0 again. Every entry that was there at the start and still is
  // gets visited, whatever happens between the steps.
  std::size_t ErasePrefixStep(std::optional<DbIndex> db, std::string_view prefix,
                              std::uint64_t& cursor, std::size_t visits);

  // From now on told of entries that died without having been read. Null: nobody is.
  void SetUnreadObserver(UnreadObserver* observer) { unread_observer_ = observer; }

  // Changes the limit. A smaller one takes effect step by step through Tick and Insert.
  void SetBytesMax(std::uint64_t bytes_max);
  // The same; a key above a smaller limit comes below it as its variants end.
  void SetVariantsMax(std::uint32_t variants_max) { variants_max_ = variants_max; }

  // Housekeeping, called once a loop turn: at most 32 expiries, then bounded shares of shrinking,
  // reclaiming, index resizing and releasing. False when nothing more is due, true when another
  // turn soon would find work (the caller may then shorten its sleep).
  bool Tick(MonoTime now);

  [[nodiscard]] const L1Stats& stats() const { return stats_; }
  // Everything charged against bytes_max, pinned values included. Never above it after an Insert;
  // a Pin, or a SetBytesMax below it, may leave it above until Tick has caught up.
  [[nodiscard]] std::uint64_t bytes_used() const;
  [[nodiscard]] std::uint64_t bytes_max() const { return bytes_max_; }
  // All entries held: those dropped or expired and not yet reclaimed count too.
  [[nodiscard]] std::uint64_t entries() const { return index_.size(); }
  [[nodiscard]] std::uint64_t negative_entries() const {
    return Queue(QueueKind::kNegative).size();
  }
  [[nodiscard]] std::uint64_t negative_bytes() const { return Queue(QueueKind::kNegative).bytes(); }

  // Walks everything and aborts if I5 (accounted bytes and gauges equal reality) or any structural
  // invariant is broken. O(entries): for tests and the simulator.
  void CheckInvariants() const;

 private:
  // What an entry will take.
  struct Shape {
    bool outlined = false;
    std::size_t slab_class = 0;
    std::uint64_t blob_bytes = 0;  // charge of the blob, 0 if inline
    std::uint64_t charge = 0;      // all of it
  };
  // What is to be stored.
  struct Fill {
    const CacheKey& key;
    std::string_view value;
    std::uint64_t deadline_us = 0;
    FillOwner owner;
  };
  // What a new value inherits from the one it replaces.
  struct Standing {
    bool replaces = false;
    bool proven = false;  // its key was here with a value, or is remembered by the ghost
    QueueKind queue = QueueKind::kSmall;
    unsigned frequency = 0;
  };
  enum class Removal : std::uint8_t { kForSize, kExpired, kErased, kDropped, kReplaced };
  struct BlobHeapAbandon {
    void operator()(BlobHeap* heap) const { heap->Abandon(); }
  };

  [[nodiscard]] EntryQueue& Queue(QueueKind kind) {
    return queues_[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] const EntryQueue& Queue(QueueKind kind) const {
    return queues_[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] EntryId Locate(const CacheKey& key) const {
    return key.variant.empty() ? LocateValue(key) : LocateVariant(key);
  }
  [[nodiscard]] EntryId LocateValue(const CacheKey& key) const;
  [[nodiscard]] L1Hit Hit(EntryId id, std::uint64_t hash);

  // Variants (variants.cc).
  [[nodiscard]] static std::uint64_t VariantHash(std::string_view variant);
  [[nodiscard]] static std::uint64_t HistoryHash(const CacheKey& key);
  [[nodiscard]] static std::uint32_t HistoryHash(const Entry& entry);
  [[nodiscard]] static std::uint8_t TagOf(const CacheKey& key);
  [[nodiscard]] EntryId LocateVariant(const CacheKey& key) const;
  [[nodiscard]] EntryId LocateAny(std::string_view key, std::uint64_t hash) const;
  void MakeVariantRoom(const CacheKey& key);

  [[nodiscard]] bool Servable(const Entry& entry, MonoTime now) const;
  [[nodiscard]] std::uint64_t ChargeOf(EntryId id) const;
  [[nodiscard]] Shape ShapeOf(const CacheKey& key, std::size_t value_size) const;
  [[nodiscard]] std::uint64_t negative_bytes_max() const;
  void NoteTime(MonoTime now);

  // Insert, step by step.
  [[nodiscard]] Standing TakeStanding(const CacheKey& key, bool negative);
  [[nodiscard]] InsertResult Store(const Fill& fill, Standing standing);
  [[nodiscard]] EntryId Place(const CacheKey& key, std::string_view value, const Shape& shape);

  // Admission and eviction (eviction.cc).
  [[nodiscard]] bool Fits(const Shape& shape) const;
  [[nodiscard]] bool AboveMean(std::uint64_t charge, std::uint64_t times) const;
  [[nodiscard]] bool Admit(const Shape& shape, const Standing& standing) const;
  [[nodiscard]] bool MakeRoom(Shape& shape, bool negative);
  [[nodiscard]] bool MakeNegativeRoom(const Shape& shape);
  void TakeLargerSlot(Shape& shape) const;
  [[nodiscard]] bool EvictOne();
  void EvictFrom(QueueKind kind);
  [[nodiscard]] bool SecondChance(EntryId id, QueueKind kind);

  // Housekeeping.
  void AfterDrop();
  void Remove(EntryId id, Removal why);
  void TellUnread(const Entry& entry) const;
  void Relocated(EntryId from, EntryId to);
  void CompactSome();
  void ResizeIndex(std::size_t steps);
  [[nodiscard]] bool Sweep(std::size_t visits);
  [[nodiscard]] bool Shrink();
  void Publish();

  // CheckInvariants, step by step.
  struct Tally {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t blob_bytes = 0;
    std::uint64_t dropped = 0;
    std::uint64_t variants = 0;
  };
  [[nodiscard]] Tally TallyOf(const EntryQueue& queue) const;
  void CheckStats() const;

  L1Stats stats_;
  UnreadObserver* unread_observer_ = nullptr;
  std::uint64_t bytes_max_;
  const double negative_share_;
  std::uint32_t variants_max_;
  std::uint64_t variants_ = 0;  // entries that are variants
  MonoTime latest_now_;
  std::uint32_t sweep_cursor_ = 0;  // where in the index reclaiming goes on
  std::uint64_t evictions_ = 0;     // since the start; paces the tuner
  std::vector<EntryId> visited_;    // scratch of Sweep and ErasePrefixStep

  std::unique_ptr<BlobHeap, BlobHeapAbandon> blobs_;
  SlabArena arena_;
  HashIndex index_;
  std::array<EntryQueue, kQueueKinds> queues_;  // by QueueKind
  TimingWheel wheel_;
  Ghost ghost_;
  ShareTuner tuner_;
  CohortTable cohorts_;
};

}  // namespace nearcached
