// A FIFO of values in one growing power-of-two array: no allocation while it stays within its
// capacity, none at all while it has never been used, indexable from the front.
//
// std::deque allocates about 600 bytes when empty, which ten thousand idle clients would each pay.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "daemon/base/check.h"

namespace nearcached {

template <typename T>
class Ring {
 public:
  [[nodiscard]] bool empty() const { return head_ == tail_; }
  [[nodiscard]] std::size_t size() const { return tail_ - head_; }

  T& PushBack(T value) {
    T& slot = EmplaceBack();
    slot = std::move(value);
    return slot;
  }

  // Adds a T{} to be filled in place, which for a wide T saves its moves.
  T& EmplaceBack() {
    if (size() == capacity_) {
      Grow();
    }
    return slots_[tail_++ & (capacity_ - 1)];  // fresh from Grow or from PopFront
  }

  // REQUIRES: !empty().
  T& front() { return slots_[head_ & (capacity_ - 1)]; }
  T& back() { return slots_[(tail_ - 1) & (capacity_ - 1)]; }

  // The i-th from the front. REQUIRES: i < size().
  T& operator[](std::size_t i) { return slots_[(head_ + i) & (capacity_ - 1)]; }
  const T& operator[](std::size_t i) const { return slots_[(head_ + i) & (capacity_ - 1)]; }

  // REQUIRES: !empty(). What the value owned is released now.
  void PopFront() {
    NC_CHECK(!empty());
    // Not assigned: an empty std::string that is assigned keeps the memory of the old one.
    std::destroy_at(&front());
    std::construct_at(&front());
    ++head_;
  }

  // Gives the memory back. REQUIRES: empty().
  void Release() {
    NC_CHECK(empty());
    slots_.reset();
    capacity_ = head_ = tail_ = 0;
  }

  [[nodiscard]] std::size_t capacity_bytes() const { return capacity_ * sizeof(T); }

 private:
  void Grow() {
    const std::size_t wider = capacity_ == 0 ? 8 : capacity_ * 2;
    auto slots = std::make_unique<T[]>(wider);  // NOLINT(modernize-avoid-c-arrays)
    const std::size_t n = size();
    for (std::size_t i = 0; i < n; ++i) {
      slots[i] = std::move((*this)[i]);
    }
    slots_ = std::move(slots);
    capacity_ = wider;
    head_ = 0;
    tail_ = n;
  }

  std::unique_ptr<T[]> slots_;  // NOLINT(modernize-avoid-c-arrays)
  std::size_t capacity_ = 0;
  std::size_t head_ = 0;  // both only rise; the difference is the size
  std::size_t tail_ = 0;
};

}  // namespace nearcached
