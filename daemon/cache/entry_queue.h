// A first-in first-out queue of entries, linked through their ids: joined at the front, left at the
// back or, when an entry is erased, anywhere. Loop thread only. Owned by L1.
#pragma once

#include <cstdint>

#include "daemon/cache/entry.h"
#include "daemon/cache/slab.h"

namespace nearcached {

class EntryQueue {
 public:
  EntryQueue(SlabArena& arena, QueueKind kind) : arena_(arena), kind_(kind) {}

  // `charge` is what the entry counts for; the caller gives the same number to both.
  void PushFront(EntryId id, std::uint64_t charge) {
    Entry& e = arena_.At(id);
    e.set_queue(kind_);
    e.queue_prev = kNoEntry;
    e.queue_next = head_;
    (head_ == kNoEntry ? tail_ : arena_.At(head_).queue_prev) = id;
    head_ = id;
    ++size_;
    bytes_ += charge;
  }

  void Remove(EntryId id, std::uint64_t charge) {
    const Entry& e = arena_.At(id);
    (e.queue_prev == kNoEntry ? head_ : arena_.At(e.queue_prev).queue_next) = e.queue_next;
    (e.queue_next == kNoEntry ? tail_ : arena_.At(e.queue_next).queue_prev) = e.queue_prev;
    --size_;
    bytes_ -= charge;
  }

  // Makes a moved entry's neighbours point at its new place.
  void Relocated(EntryId to) {
    const Entry& e = arena_.At(to);
    (e.queue_prev == kNoEntry ? head_ : arena_.At(e.queue_prev).queue_next) = to;
    (e.queue_next == kNoEntry ? tail_ : arena_.At(e.queue_next).queue_prev) = to;
  }

  [[nodiscard]] EntryId front() const { return head_; }
  [[nodiscard]] EntryId back() const { return tail_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  SlabArena& arena_;
  const QueueKind kind_;
  EntryId head_ = kNoEntry;
  EntryId tail_ = kNoEntry;
  std::uint64_t size_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace nearcached
