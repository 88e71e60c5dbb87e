#include <algorithm>

#include "daemon/cache/l1.h"
#include "daemon/cache/prefetch.h"

// What stays and what goes: adaptive S3-FIFO, by bytes.
//
// A new value joins the small queue (probation). At its back it moves to the main queue if it was
// hit often enough, else it is evicted and its hash remembered by the ghost; a value whose hash the
// ghost remembers joins the main queue at once. At the back of the main queue each hit since the
// last time round buys another round (Yang et al., "FIFO queues are all you need for cache
// eviction", SOSP 2023). A hit changes two bits and moves nothing. How large probation is and how
// many hits it asks for is steered by shadow caches (share_tuner.h).
//
// Negative entries have a queue and a share of their own (R11): they are evicted first while they
// are above it, and an insert of one that would go above it evicts only its own kind.
//
// Size: what counts is how many reads are hits, so a large entry must earn its place more often. To
// leave probation, one above twice the mean needs a hit more, one below half of it a hit less; in
// the main queue, one above twice the mean gets a single round for any number of hits. A value so
// large that it would flush half of probation is let in only if it has been asked for before.
//
// Every loop here is bounded: an entry gets at most one further round per visit, an eviction looks
// at no more than kLooks entries, and an insert may evict a number in proportion to its own size.

namespace nearcached {
namespace {

constexpr std::size_t kLooks = 128;  // entries one eviction may pass over
constexpr std::size_t kEvictionsPerInsert = 64;
constexpr std::size_t kBytesPerEviction = 64;  // and one more for each so many bytes to be stored
constexpr std::size_t kPatience = 16;          // evictions before a larger slot is taken
constexpr std::size_t kLargerClasses = 3;      // by how many classes: at most about a fifth larger
constexpr std::uint64_t kFlushing = 2;         // above this part of probation, and
constexpr std::uint64_t kLargeOfMean = 8;      // above so many times the mean: not admitted at once
constexpr std::uint64_t kUnequal = 2;       // large: so many times the mean; small: that part of it
constexpr std::uint64_t kTuneEvery = 1024;  // evictions

}  // namespace

bool L1::Fits(const Shape& shape) const {
  const std::uint64_t slab = arena_.HasRoom(shape.slab_class) ? 0 : arena_.NewChunkBytes();
  return bytes_used() + slab + shape.blob_bytes + index_.insert_bytes_max() <= bytes_max_;
}

bool L1::AboveMean(std::uint64_t charge, std::uint64_t times) const {
  const EntryQueue& small = Queue(QueueKind::kSmall);
  const EntryQueue& main = Queue(QueueKind::kMain);
  return charge * (small.size() + main.size()) > times * (small.bytes() + main.bytes());
}

bool L1::Admit(const Shape& shape, const Standing& standing) const {
  if (standing.queue == QueueKind::kNegative) {
    return shape.charge <= negative_bytes_max();
  }
  const std::uint64_t bytes = Queue(QueueKind::kSmall).bytes() + Queue(QueueKind::kMain).bytes();
  const double probation = tuner_.setting().small_share * static_cast<double>(bytes);
  const bool large = shape.charge > static_cast<std::uint64_t>(probation) / kFlushing &&
                     AboveMean(shape.charge, kLargeOfMean);
  return standing.proven || !large || Fits(shape);
}

// Evicts negative entries until one more fits into their share.
bool L1::MakeNegativeRoom(const Shape& shape) {
  for (std::size_t i = 0; negative_bytes() + shape.charge > negative_bytes_max(); ++i) {
    if (i == kEvictionsPerInsert) {
      return false;
    }
    EvictFrom(QueueKind::kNegative);
  }
  return true;
}

// When no slot of the right size comes free, a slightly larger one will do.
void L1::TakeLargerSlot(Shape& shape) const {
  const std::size_t last = std::min(shape.slab_class + kLargerClasses, arena_.classes() - 1);
  for (std::size_t cls = shape.slab_class + 1; cls <= last; ++cls) {
    if (arena_.HasRoom(cls)) {
      shape.slab_class = cls;
      shape.charge = arena_.ClassSlotBytes(cls) + shape.blob_bytes;
      return;
    }
  }
}

bool L1::MakeRoom(Shape& shape, bool negative) {
  if (negative && !MakeNegativeRoom(shape)) {
    return false;
  }
  const std::size_t evictions = kEvictionsPerInsert + shape.charge / kBytesPerEviction;
  for (std::size_t i = 0; !Fits(shape); ++i) {
    // Memory that was freed but is still resident comes first.
    if (blobs_->release_pending()) {
      blobs_->Release(shape.charge);
      continue;
    }
    if (bytes_used() + shape.blob_bytes + index_.insert_bytes_max() > bytes_max_ &&
        arena_.TrimPool(1)) {
      continue;
    }
    if (i == kPatience) {
      TakeLargerSlot(shape);
    }
    if (i >= evictions || !EvictOne()) {
      return false;
    }
    CompactSome();
  }
  return true;
}

// False if there is nothing to evict.
bool L1::EvictOne() {
  if (entries() == 0) {
    return false;
  }
  if (evictions_++ % kTuneEvery == 0) {
    tuner_.SetPopulation(entries());
  }
  const std::uint64_t small = Queue(QueueKind::kSmall).bytes();
  const std::uint64_t main = Queue(QueueKind::kMain).bytes();
  if (negative_bytes() > negative_bytes_max() || small + main == 0) {
    EvictFrom(QueueKind::kNegative);
  } else if (main == 0 || static_cast<double>(small) >=
                              tuner_.setting().small_share * static_cast<double>(small + main)) {
    EvictFrom(QueueKind::kSmall);
  } else {
    EvictFrom(QueueKind::kMain);
  }
  return true;
}

// Removes one entry from the back of a queue, passing over those that deserve another chance. When
// all that were looked at did, the next one goes whatever it deserves. May find the queue emptied
// by promotions; then the main queue pays.
void L1::EvictFrom(QueueKind kind) {
  for (std::size_t looks = 0;; ++looks) {
    const EntryId id = Queue(kind).back();
    if (id == kNoEntry) {
      kind = QueueKind::kMain;
      continue;
    }
    const Entry& e = arena_.At(id);
    if (e.queue_prev != kNoEntry) {
      PrefetchLine(&arena_.At(e.queue_prev));
    }
    if (!Servable(e, latest_now_)) {
      Remove(id, cohorts_.alive(e.cohort) ? Removal::kExpired : Removal::kDropped);
      return;
    }
    if (looks < kLooks && SecondChance(id, kind)) {
      continue;
    }
    if (kind == QueueKind::kSmall) {
      ghost_.Adapt(Queue(QueueKind::kSmall).size() + Queue(QueueKind::kMain).size());
      ghost_.Remember(HistoryHash(e));
    }
    Remove(id, Removal::kForSize);
    return;
  }
}

// Moves an entry on if its hits have earned that.
bool L1::SecondChance(EntryId id, QueueKind kind) {
  Entry& e = arena_.At(id);
  const std::uint64_t charge = ChargeOf(id);
  unsigned needed = 1;
  unsigned left = 0;
  if (kind == QueueKind::kSmall) {
    needed = tuner_.setting().promote_at;
    if (AboveMean(charge, kUnequal)) {
      ++needed;
    } else if (needed > 1 && !AboveMean(charge * kUnequal, 1)) {
      --needed;
    }
  } else if (e.frequency() > 0 && !AboveMean(charge, kUnequal)) {
    left = e.frequency() - 1;
  }
  if (e.frequency() < needed) {
    return false;
  }
  e.set_frequency(kind == QueueKind::kMain ? left : 0);
  Queue(kind).Remove(id, charge);
  Queue(kind == QueueKind::kSmall ? QueueKind::kMain : kind).PushFront(id, charge);
  return true;
}

}  // namespace nearcached
