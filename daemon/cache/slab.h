// The memory of entries: chunks cut into slots of one size each, named by 4-byte ids.
//
// Why not malloc: an id (chunk number, slot number) resolves through a table small enough for the
// CPU's caches, so lookups save a miss and entries save 8-byte pointers; slots waste 2 to 3 % where
// malloc's 16-byte steps and headers waste 8 to 16 bytes; and what is charged is exactly what is
// resident, under any allocator. The price is the old illness of slabs, memory stuck in the wrong
// size class when sizes shift. Compact cures it: a class with more free slots than a chunk and a
// quarter moves the entries of one of its emptiest chunks elsewhere, a few per call, and gives the
// chunk up for any class to use.
//
// Loop thread only. Owned by L1, which is told of every move.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemon/base/check.h"
#include "daemon/cache/entry.h"

namespace nearcached {

class SlabArena {
 public:
  // `chunk_bytes` is a power of two from 4 KiB to 64 KiB. `bytes_expected` decides how
  // fine the size classes are, and how much address space is reserved for the chunk table, so that
  // it need not be copied while it grows.
  SlabArena(std::uint32_t chunk_bytes, std::uint64_t bytes_expected);
  ~SlabArena();
  SlabArena(const SlabArena&) = delete;
  SlabArena& operator=(const SlabArena&) = delete;

  // Valid until the entry is freed or moved. REQUIRES: `id` came from Allocate and is live.
  [[nodiscard]] Entry& At(EntryId id) { return *Resolve(id); }
  [[nodiscard]] const Entry& At(EntryId id) const { return *Resolve(id); }

  // The address at which an entry would be, for prefetching only: any id will do, stale ones and
  // kNoEntry too, as long as it once was one.
  [[nodiscard]] std::uintptr_t Near(EntryId id) const {
    const Chunk& c = chunks_[id >> kSlotBits];
    return reinterpret_cast<std::uintptr_t>(c.base) + std::size_t{id & kSlotMask} * c.slot_bytes;
  }

  // The largest entry a slot can hold; larger ones are outlined.
  [[nodiscard]] std::uint32_t slot_bytes_max() const { return slot_bytes_max_; }
  // The smallest class whose slots hold `bytes`. REQUIRES: bytes <= slot_bytes_max().
  [[nodiscard]] std::size_t ClassFor(std::size_t bytes) const { return class_of_[(bytes + 3) / 4]; }
  [[nodiscard]] std::uint32_t SlotBytes(EntryId id) const {
    return chunks_[id >> kSlotBits].slot_bytes;
  }
  [[nodiscard]] std::uint32_t ClassSlotBytes(std::size_t cls) const {
    return classes_[cls].slot_bytes;
  }

  // Whether Allocate(cls) needs no memory beyond bytes().
  [[nodiscard]] bool HasRoom(std::size_t cls) const {
    return classes_[cls].partial.head != 0 || pool_head_ != 0;
  }
  [[nodiscard]] std::uint32_t chunk_bytes() const { return chunk_bytes_; }
  // How much bytes() grows by a new chunk.
  [[nodiscard]] std::uint64_t NewChunkBytes() const { return chunk_bytes_ + sizeof(Chunk); }
  [[nodiscard]] std::size_t classes() const { return classes_.size(); }

  // A slot with a default header, or kNoEntry when ids have run out (2^21 chunks).
  [[nodiscard]] EntryId Allocate(std::size_t cls);
  void Free(EntryId id);

  // Moves at most `moves` entries out of a chunk being emptied and calls relocate(from, to) for
  // each, after the bytes were copied and before the old slot is reused. Returns true if it did
  // anything, that is, if another call may be worth while.
  template <typename Relocate>
  bool Compact(std::size_t moves, Relocate&& relocate) {
    if (victim_ == 0 && !ChooseVictim()) {
      return false;
    }
    constexpr std::size_t kVisitsPerMove = 8;
    for (std::size_t visits = moves * kVisitsPerMove; visits > 0 && moves > 0; --visits) {
      if (victim_slot_ >= chunks_[victim_].touched) {
        NC_CHECK(chunks_[victim_].live == 0);
        break;
      }
      const EntryId from = IdOf(victim_, victim_slot_);
      if (At(from).live()) {
        Class& cls = classes_[chunks_[victim_].cls];
        if (cls.partial.head == 0) {
          AbandonVictim();
          return true;
        }
        relocate(from, MoveOut(from));
        --moves;
      }
      ++victim_slot_;
    }
    if (chunks_[victim_].live == 0) {
      RetireVictim();
    }
    return true;
  }
  [[nodiscard]] bool compacting() const { return victim_ != 0; }

  // Empty chunks kept for reuse by any class; they count in bytes().
  [[nodiscard]] std::uint64_t pool_bytes() const {
    return std::uint64_t{pool_chunks_} * chunk_bytes_;
  }
  // Gives up to `chunks` of them back to the system. True if there was one.
  bool TrimPool(std::size_t chunks);

  // Everything resident: chunks (pooled ones too) and the tables.
  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] std::uint64_t live_bytes() const { return live_bytes_; }  // slots in use
  [[nodiscard]] std::uint64_t live_slots() const { return live_slots_; }

  // O(slots): for tests. Aborts if counts or lists do not match what lies in the chunks.
  void CheckInvariants() const;

 private:
  using ChunkNo = std::uint32_t;  // 0: none
  static constexpr unsigned kSlotBits = 11;
  static constexpr std::uint32_t kSlotMask = (1U << kSlotBits) - 1;
  static constexpr std::uint32_t kChunksMax = 1U << (32 - kSlotBits);
  static constexpr std::uint32_t kSlotBytesMin = 40;  // 64 KiB / 40 < 2^11

  enum class ChunkState : std::uint8_t { kUnmapped, kPooled, kFull, kPartial, kVictim };
  struct Chunk {
    char* base = nullptr;
    std::uint32_t slot_bytes = 0;
    ChunkNo prev = 0;  // on the class's list of partly filled chunks
    ChunkNo next = 0;  // there, in the pool, or among the unmapped numbers
    std::uint16_t slots = 0;
    std::uint16_t touched = 0;  // slots handed out at least once; those beyond are untouched memory
    std::uint16_t live = 0;
    std::uint16_t free_head = 0;  // 1 + number of the first freed slot
    std::uint8_t cls = 0;
    ChunkState state = ChunkState::kUnmapped;
  };
  struct ChunkList {
    ChunkNo head = 0;
    ChunkNo tail = 0;
  };
  struct Class {
    std::uint32_t slot_bytes = 0;
    std::uint32_t free_slots = 0;  // in listed chunks
    std::uint32_t partial_chunks = 0;
    ChunkList partial;
  };

  [[nodiscard]] Entry* Resolve(EntryId id) const {
    const Chunk& c = chunks_[id >> kSlotBits];
    return reinterpret_cast<Entry*>(c.base + std::size_t{id & kSlotMask} * c.slot_bytes);
  }
  [[nodiscard]] static EntryId IdOf(ChunkNo chunk, std::uint32_t slot) {
    return (chunk << kSlotBits) | slot;
  }
  void BuildClasses(bool fine);
  [[nodiscard]] ChunkNo AcquireChunk(std::size_t cls);
  [[nodiscard]] ChunkNo MapChunk();
  void PoolChunk(ChunkNo no);
  void Link(ChunkNo no, bool front);
  void Unlink(ChunkNo no);
  [[nodiscard]] bool WantsCompaction(std::size_t cls) const;
  [[nodiscard]] bool ChooseVictim();
  [[nodiscard]] EntryId MoveOut(EntryId from);
  void AbandonVictim();
  void RetireVictim();
  [[nodiscard]] std::uint32_t CheckChunk(ChunkNo no) const;

  // Constant after construction.
  const std::uint32_t chunk_bytes_;
  const std::uint32_t slot_bytes_max_;
  std::vector<std::uint8_t> class_of_;  // by size in units of 4 bytes
  std::vector<Class> classes_;          // constant length

  std::vector<Chunk> chunks_;  // by number; 0 is a dummy, so that id 0 names nothing
  ChunkNo pool_head_ = 0;
  ChunkNo unmapped_head_ = 0;  // numbers to reuse
  std::uint32_t pool_chunks_ = 0;
  std::uint32_t mapped_chunks_ = 0;
  std::uint64_t live_bytes_ = 0;
  std::uint64_t live_slots_ = 0;

  // Compaction.
  ChunkNo victim_ = 0;
  std::uint32_t victim_slot_ = 0;    // valid while victim_ != 0
  std::size_t candidate_class_ = 0;  // the class that last had much to spare
};

}  // namespace nearcached
