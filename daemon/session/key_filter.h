// Which keys a client has unanswered requests for: a counting filter, with false positives and no
// false negatives.
//
// Two links are used for one client: fills travel apart from everything else, so requests that
// touch the same key must be kept from overtaking each other (ARCHITECTURE.md, "Order"). A false
// positive makes a request wait or go past L1 without need; it never makes an answer wrong.
// Owned by a session; loop thread only. No memory until something is added, 1 KiB then.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "daemon/base/check.h"

namespace nearcached {

class KeyFilter {
 public:
  void Add(std::uint64_t hash) {
    if (counts_ == nullptr) {
      counts_ = std::make_unique<Counts>();
    }
    ++(*counts_)[hash % kBuckets];
    ++size_;
  }

  // REQUIRES: Add(hash) was called once more than Remove(hash).
  void Remove(std::uint64_t hash) {
    NC_CHECK(size_ > 0 && (*counts_)[hash % kBuckets] > 0);
    --(*counts_)[hash % kBuckets];
    --size_;
  }

  [[nodiscard]] bool MayContain(std::uint64_t hash) const {
    return size_ != 0 && (*counts_)[hash % kBuckets] != 0;
  }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // Gives the memory back. REQUIRES: empty().
  void Release() {
    NC_CHECK(size_ == 0);
    counts_.reset();
  }

 private:
  static constexpr std::size_t kBuckets = 256;
  using Counts = std::array<std::uint32_t, kBuckets>;
  std::unique_ptr<Counts> counts_;
  std::size_t size_ = 0;
};

}  // namespace nearcached
