#include "daemon/cache/ghost.h"

#include <algorithm>
#include <bit>

#include "daemon/base/check.h"

namespace nearcached {
namespace {

// The index orders its buckets by the hash itself; the ghost wants its low and its high bits apart.
std::uint32_t Mix(std::uint32_t hash) {
  hash ^= hash >> 16U;
  hash *= 0x7feb352dU;
  return hash ^ (hash >> 15U);
}

std::uint16_t Fingerprint(std::uint32_t mixed) {
  const auto fp = static_cast<std::uint16_t>(mixed >> 16U);
  return fp == 0 ? std::uint16_t{1} : fp;
}

}  // namespace

// Linear hashing: the low bits, one bit fewer where the bucket does not exist yet.
std::uint32_t Ghost::BucketOf(std::uint32_t mixed) const {
  const std::uint32_t round = std::bit_ceil(buckets_);
  const std::uint32_t i = mixed & (round - 1);
  return i < buckets_ ? i : i & (round / 2 - 1);
}

void Ghost::Adapt(std::uint64_t capacity) {
  if (buckets_ * kFingerprints < capacity || buckets_ == 0) {
    Grow();
  } else if (buckets_ > 1 && (buckets_ - 2) * kFingerprints > capacity) {
    Shrink();
  }
}

void Ghost::Remember(std::uint32_t hash) {
  if (buckets_ == 0) {
    return;
  }
  const std::uint32_t mixed = Mix(hash);
  Bucket& b = At(BucketOf(mixed));
  std::uint16_t& place = b.fingerprints[b.next];
  size_ += place == 0 ? 1 : 0;
  place = Fingerprint(mixed);
  b.next = (b.next + 1) % kFingerprints;
}

bool Ghost::Take(std::uint32_t hash) {
  if (buckets_ == 0) {
    return false;
  }
  const std::uint32_t mixed = Mix(hash);
  Bucket& b = At(BucketOf(mixed));
  const auto at = std::find(b.fingerprints.begin(), b.fingerprints.end(), Fingerprint(mixed));
  if (at == b.fingerprints.end()) {
    return false;
  }
  *at = 0;
  --size_;
  return true;
}

void Ghost::Grow() {
  if (buckets_ % kBlockBuckets == 0) {
    blocks_.push_back(std::make_unique<Block>());
  }
  ++buckets_;
}

void Ghost::Shrink() {
  --buckets_;
  Bucket& last = At(buckets_);
  size_ -= kFingerprints - static_cast<std::size_t>(
                               std::count(last.fingerprints.begin(), last.fingerprints.end(), 0));
  last = Bucket{};
  if (buckets_ % kBlockBuckets == 0) {
    blocks_.pop_back();
  }
}

std::uint64_t Ghost::bytes() const {
  constexpr std::uint64_t kAllocatorSlack = 64;
  return blocks_.size() * (sizeof(Block) + 2 * sizeof(void*) + kAllocatorSlack);
}

void Ghost::CheckInvariants() const {
  std::uint64_t found = 0;
  for (std::uint32_t i = 0; i < buckets_; ++i) {
    const Bucket& b = (*blocks_[i / kBlockBuckets])[i % kBlockBuckets];
    found += kFingerprints -
             static_cast<std::size_t>(std::count(b.fingerprints.begin(), b.fingerprints.end(), 0));
  }
  NC_CHECK(found == size_);
}

}  // namespace nearcached
