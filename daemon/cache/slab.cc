#include "daemon/cache/slab.h"

#include <algorithm>
#include <new>
#include <sys/mman.h>

// Free slots are poisoned behind their header under AddressSanitizer, so that a stale view into the
// arena is found as it would be with malloc.
#if defined(__SANITIZE_ADDRESS__)
#define NC_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NC_ASAN 1
#endif
#endif
#ifdef NC_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace nearcached {
namespace {

void Poison([[maybe_unused]] void* at, [[maybe_unused]] std::size_t size) {
#ifdef NC_ASAN
  ASAN_POISON_MEMORY_REGION(at, size);
#endif
}

void Unpoison([[maybe_unused]] void* at, [[maybe_unused]] std::size_t size) {
#ifdef NC_ASAN
  ASAN_UNPOISON_MEMORY_REGION(at, size);
#endif
}

}  // namespace

SlabArena::SlabArena(std::uint32_t chunk_bytes, std::uint64_t bytes_expected)
    : chunk_bytes_(chunk_bytes), slot_bytes_max_(chunk_bytes / 16) {
  NC_CHECK(chunk_bytes >= 4096 && chunk_bytes <= 65536 && (chunk_bytes & (chunk_bytes - 1)) == 0);
  BuildClasses(bytes_expected / chunk_bytes >= 512);
  chunks_.reserve(std::min<std::uint64_t>(kChunksMax, bytes_expected / chunk_bytes + 2));
  chunks_.emplace_back();
}

SlabArena::~SlabArena() {
  for (Chunk& c : chunks_) {
    if (c.base != nullptr) {
      Unpoison(c.base, chunk_bytes_);
      munmap(c.base, chunk_bytes_);
    }
  }
}

// Slot sizes rise in steps of 4 bytes at first and of a sixteenth later, and each is widened to the
// largest size of which a chunk holds equally many. With few chunks to share, in larger steps: a
// partly filled chunk per class would cost more than the finer fit saves.
void SlabArena::BuildClasses(bool fine) {
  const std::uint32_t step_min = fine ? 4 : 16;
  const std::uint32_t steps_per_doubling = fine ? 16 : 4;
  class_of_.assign(slot_bytes_max_ / 4 + 1, 0);
  std::uint32_t covered = 0;  // sizes up to here have a class
  while (covered < slot_bytes_max_) {
    const std::uint32_t step = std::max(step_min, covered / steps_per_doubling / 4 * 4);
    const std::uint32_t wanted = std::min(slot_bytes_max_, std::max(kSlotBytesMin, covered + step));
    const std::uint32_t widened = chunk_bytes_ / (chunk_bytes_ / wanted) / 4 * 4;
    Class cls;
    cls.slot_bytes = std::min(slot_bytes_max_, widened);
    for (std::uint32_t units = covered / 4 + (covered == 0 ? 0 : 1); units <= cls.slot_bytes / 4;
         ++units) {
      class_of_[units] = static_cast<std::uint8_t>(classes_.size());
    }
    covered = cls.slot_bytes;
    classes_.push_back(cls);
  }
  NC_CHECK(classes_.size() < 256);
}

EntryId SlabArena::Allocate(std::size_t cls) {
  ChunkNo no = classes_[cls].partial.head;
  if (no == 0) {
    no = AcquireChunk(cls);
    if (no == 0) {
      return kNoEntry;
    }
  }
  Chunk& c = chunks_[no];
  std::uint32_t slot = 0;
  if (c.free_head != 0) {
    slot = c.free_head - 1U;
    c.free_head = static_cast<std::uint16_t>(At(IdOf(no, slot)).hash);
  } else {
    slot = c.touched++;
  }
  ++c.live;
  --classes_[cls].free_slots;
  ++live_slots_;
  live_bytes_ += c.slot_bytes;
  if (c.live == c.slots) {
    Unlink(no);
    c.state = ChunkState::kFull;
  }
  const EntryId id = IdOf(no, slot);
  Entry* entry = Resolve(id);
  Unpoison(entry, c.slot_bytes);
  new (entry) Entry{};
  entry->flags = Entry::kLive;
  return id;
}

void SlabArena::Free(EntryId id) {
  const ChunkNo no = id >> kSlotBits;
  Chunk& c = chunks_[no];
  Entry& entry = At(id);
  NC_CHECK(entry.live());
  entry.flags = 0;
  entry.hash = c.free_head;
  c.free_head = static_cast<std::uint16_t>((id & kSlotMask) + 1);
  Poison(&entry + 1, c.slot_bytes - sizeof(Entry));
  --c.live;
  --live_slots_;
  live_bytes_ -= c.slot_bytes;
  if (c.state == ChunkState::kVictim) {
    return;  // Compact retires it when it is empty
  }
  Class& cls = classes_[c.cls];
  ++cls.free_slots;
  if (c.state == ChunkState::kFull) {
    c.state = ChunkState::kPartial;
    Link(no, true);
  }
  if (c.live == 0) {
    Unlink(no);
    cls.free_slots -= c.slots;
    PoolChunk(no);
  } else if (WantsCompaction(c.cls)) {
    candidate_class_ = c.cls;
  }
}

SlabArena::ChunkNo SlabArena::AcquireChunk(std::size_t cls) {
  ChunkNo no = pool_head_;
  if (no != 0) {
    pool_head_ = chunks_[no].next;
    --pool_chunks_;
  } else {
    no = MapChunk();
    if (no == 0) {
      return 0;
    }
  }
  Chunk& c = chunks_[no];
  c.slot_bytes = classes_[cls].slot_bytes;
  c.slots = static_cast<std::uint16_t>(chunk_bytes_ / c.slot_bytes);
  c.touched = 0;
  c.live = 0;
  c.free_head = 0;
  c.cls = static_cast<std::uint8_t>(cls);
  c.state = ChunkState::kPartial;
  classes_[cls].free_slots += c.slots;
  Link(no, true);
  return no;
}

SlabArena::ChunkNo SlabArena::MapChunk() {
  ChunkNo no = unmapped_head_;
  if (no == 0) {
    if (chunks_.size() == kChunksMax) {
      return 0;
    }
    no = static_cast<ChunkNo>(chunks_.size());
    chunks_.emplace_back();
  } else {
    unmapped_head_ = chunks_[no].next;
  }
  void* base =
      mmap(nullptr, chunk_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  NC_CHECK(base != MAP_FAILED);
  chunks_[no].base = static_cast<char*>(base);
  ++mapped_chunks_;
  return no;
}

void SlabArena::PoolChunk(ChunkNo no) {
  Chunk& c = chunks_[no];
  Unpoison(c.base, chunk_bytes_);
  c.state = ChunkState::kPooled;
  c.prev = 0;
  c.next = pool_head_;
  pool_head_ = no;
  ++pool_chunks_;
}

bool SlabArena::TrimPool(std::size_t chunks) {
  if (pool_head_ == 0) {
    return false;
  }
  for (; chunks > 0 && pool_head_ != 0; --chunks) {
    const ChunkNo no = pool_head_;
    Chunk& c = chunks_[no];
    pool_head_ = c.next;
    --pool_chunks_;
    NC_CHECK(munmap(c.base, chunk_bytes_) == 0);
    --mapped_chunks_;
    c = Chunk{};
    c.next = unmapped_head_;
    unmapped_head_ = no;
  }
  return true;
}

void SlabArena::Link(ChunkNo no, bool front) {
  Chunk& c = chunks_[no];
  Class& cls = classes_[c.cls];
  ChunkList& list = cls.partial;
  c.prev = front ? 0 : list.tail;
  c.next = front ? list.head : 0;
  (c.prev == 0 ? list.head : chunks_[c.prev].next) = no;
  (c.next == 0 ? list.tail : chunks_[c.next].prev) = no;
  ++cls.partial_chunks;
}

void SlabArena::Unlink(ChunkNo no) {
  Chunk& c = chunks_[no];
  Class& cls = classes_[c.cls];
  (c.prev == 0 ? cls.partial.head : chunks_[c.prev].next) = c.next;
  (c.next == 0 ? cls.partial.tail : chunks_[c.next].prev) = c.prev;
  c.prev = 0;
  c.next = 0;
  --cls.partial_chunks;
}

bool SlabArena::WantsCompaction(std::size_t cls) const {
  const Class& k = classes_[cls];
  const std::uint32_t per_chunk = chunk_bytes_ / k.slot_bytes;
  return k.partial_chunks >= 2 && k.free_slots >= per_chunk + per_chunk / 4;
}

// The emptiest of a few chunks from the old end of the list: those have lost entries the longest.
bool SlabArena::ChooseVictim() {
  if (!WantsCompaction(candidate_class_)) {
    candidate_class_ = (candidate_class_ + 1) % classes_.size();  // look at another next time
    return false;
  }
  constexpr int kChunksSeen = 8;
  ChunkNo best = 0;
  ChunkNo no = classes_[candidate_class_].partial.tail;
  for (int i = 0; i < kChunksSeen && no != 0; ++i, no = chunks_[no].prev) {
    if (best == 0 || chunks_[no].live < chunks_[best].live) {
      best = no;
    }
  }
  Chunk& c = chunks_[best];
  Unlink(best);
  classes_[c.cls].free_slots -= static_cast<std::uint32_t>(c.slots - c.live);
  c.state = ChunkState::kVictim;
  victim_ = best;
  victim_slot_ = 0;
  return true;
}

EntryId SlabArena::MoveOut(EntryId from) {
  const std::uint32_t slot_bytes = SlotBytes(from);
  const EntryId to = Allocate(chunks_[victim_].cls);
  std::memcpy(static_cast<void*>(Resolve(to)), static_cast<const void*>(Resolve(from)), slot_bytes);
  Free(from);
  return to;
}

void SlabArena::AbandonVictim() {
  Chunk& c = chunks_[victim_];
  c.state = ChunkState::kPartial;
  classes_[c.cls].free_slots += static_cast<std::uint32_t>(c.slots - c.live);
  Link(victim_, true);
  victim_ = 0;
}

void SlabArena::RetireVictim() {
  PoolChunk(victim_);
  victim_ = 0;
}

std::uint64_t SlabArena::bytes() const {
  return std::uint64_t{mapped_chunks_} * chunk_bytes_ + chunks_.size() * sizeof(Chunk) +
         classes_.size() * sizeof(Class) + class_of_.size();
}

std::uint32_t SlabArena::CheckChunk(ChunkNo no) const {
  const Chunk& c = chunks_[no];
  std::uint32_t found = 0;
  for (std::uint32_t slot = 0; slot < c.touched; ++slot) {
    found += At(IdOf(no, slot)).live() ? 1 : 0;
  }
  NC_CHECK(found == c.live);
  NC_CHECK((c.state == ChunkState::kFull) == (c.live == c.slots && no != victim_));
  NC_CHECK((c.state == ChunkState::kVictim) == (no == victim_));
  return found;
}

void SlabArena::CheckInvariants() const {
  std::uint64_t live = 0;
  std::uint64_t live_bytes = 0;
  std::uint32_t mapped = 0;
  std::uint32_t pooled = 0;
  std::vector<Class> listed(classes_.size());
  for (ChunkNo no = 1; no < chunks_.size(); ++no) {
    const Chunk& c = chunks_[no];
    mapped += c.base != nullptr ? 1 : 0;
    pooled += c.state == ChunkState::kPooled ? 1 : 0;
    if (c.state == ChunkState::kUnmapped || c.state == ChunkState::kPooled) {
      continue;
    }
    const std::uint32_t found = CheckChunk(no);
    live += found;
    live_bytes += std::uint64_t{found} * c.slot_bytes;
    if (c.state == ChunkState::kPartial) {
      listed[c.cls].free_slots += static_cast<std::uint32_t>(c.slots - c.live);
      ++listed[c.cls].partial_chunks;
    }
  }
  NC_CHECK(live == live_slots_ && live_bytes == live_bytes_);
  NC_CHECK(mapped == mapped_chunks_ && pooled == pool_chunks_);
  NC_CHECK(std::equal(listed.begin(), listed.end(), classes_.begin(),
                      [](const Class& a, const Class& b) {
                        return a.free_slots == b.free_slots && a.partial_chunks == b.partial_chunks;
                      }));
}

}  // namespace nearcached
