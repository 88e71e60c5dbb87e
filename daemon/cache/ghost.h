// The ghost: which keys were evicted from probation not long ago (S3-FIFO, SOSP 2023).
//
// 16-bit fingerprints in cache-line buckets of 30, each a ring that forgets its oldest: 2.1 bytes a
// remembered key, no lists. A fingerprint collides once in about 2,000 lookups, which merely lets a
// newcomer skip probation. Buckets are addressed by linear hashing and added one at a time, so
// growing never moves anything: a key in the half bucket that changed its address is forgotten.
// Loop thread only. Owned by L1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace nearcached {

class Ghost {
 public:
  // Adds or gives up one bucket if that brings the memory closer to `capacity` keys.
  void Adapt(std::uint64_t capacity);
  // Remembers a key's index hash; without effect before the first Adapt.
  void Remember(std::uint32_t hash);
  // Whether it is remembered; if so, forgets it.
  bool Take(std::uint32_t hash);

  // Keys remembered (fingerprints held).
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t bytes() const;

  // O(buckets): for tests.
  void CheckInvariants() const;

 private:
  static constexpr std::uint32_t kFingerprints = 30;
  static constexpr std::uint32_t kBlockBuckets = 64;

  struct alignas(64) Bucket {
    std::array<std::uint16_t, kFingerprints> fingerprints{};  // 0: none
    std::uint32_t next = 0;                                   // the place of the oldest
  };
  static_assert(sizeof(Bucket) == 64);
  using Block = std::array<Bucket, kBlockBuckets>;

  [[nodiscard]] Bucket& At(std::uint32_t i) {
    return (*blocks_[i / kBlockBuckets])[i % kBlockBuckets];
  }
  [[nodiscard]] std::uint32_t BucketOf(std::uint32_t mixed) const;
  void Grow();
  void Shrink();

  std::vector<std::unique_ptr<Block>> blocks_;
  std::uint32_t buckets_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace nearcached
