// Steers S3-FIFO: how large probation is, and how often an entry must be hit there to be kept.
//
// No fixed setting is good everywhere: a large probation wins on bursts of correlated re-reads, a
// small one on scans and skewed reads. So five shadow caches of at most 256 fingerprints each run
// the same policy with different settings on a hash sample of the keys (miniature simulation:
// Waldspurger et al., "Cache modeling and optimization using miniature simulations", USENIX ATC
// 2017), and the real cache follows the one that misses least. Loop thread only. Owned by L1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nearcached {

// S3-FIFO on fingerprints alone, counted in objects. All memory is allocated in the constructor.
class ShadowCache {
 public:
  ShadowCache(std::size_t capacity, double small_share, unsigned promote_at);
  // True on a hit. A miss inserts.
  bool Access(std::uint32_t fingerprint);
  // What one of this capacity takes in memory.
  [[nodiscard]] static std::size_t BytesFor(std::size_t capacity);

 private:
  enum class Where : std::uint8_t { kNowhere, kSmall, kMain, kGhost };
  struct Slot {
    std::uint32_t fingerprint = 0;
    Where where = Where::kNowhere;  // kNowhere: an empty slot
    std::uint8_t frequency = 0;
  };
  // A queue of fingerprints in a ring of fixed capacity.
  struct Ring {
    std::vector<std::uint32_t> items;
    std::size_t begin = 0;
    std::size_t size = 0;
    void Push(std::uint32_t v) { items[(begin + size++) % items.size()] = v; }
    std::uint32_t Pop();
  };

  [[nodiscard]] std::size_t Locate(std::uint32_t fingerprint) const;
  void EraseAt(std::size_t hole);
  void EvictOne();
  void EvictSmall();
  void EvictMain();
  void RememberGhost(std::uint32_t fingerprint);

  const std::size_t capacity_;
  const std::size_t small_capacity_;
  const unsigned promote_at_;
  std::vector<Slot> table_;  // open addressing, a power of two, at most half full
  Ring small_;
  Ring main_;
  Ring ghost_;
};

class ShareTuner {
 public:
  struct Setting {
    double small_share = 0;   // of the bytes of probation and main together
    unsigned promote_at = 0;  // hits on probation that move an entry to main
  };
  static constexpr std::size_t kCandidates = 5;

  // A shadow cache holds at most this many objects, and never more than the real one.
  explicit ShareTuner(std::size_t shadow_capacity_max);

  // How many entries the real cache holds: sets the sampling rate. The first call makes the shadow
  // caches, so a cache that never evicts pays nothing; they start anew if the number has become
  // much smaller than theirs, or theirs could follow a growth.
  void SetPopulation(std::uint64_t entries);

  // Every hit on, and every fill of, a real value.
  void Observe(std::uint64_t key_hash) {
    if (static_cast<std::uint32_t>(key_hash) < sample_below_) {
      ObserveSampled(static_cast<std::uint32_t>(key_hash >> 32U));
    }
  }

  [[nodiscard]] Setting setting() const;
  // What it takes at most, from the start: its memory must not come as a surprise to a full cache.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  void ObserveSampled(std::uint32_t fingerprint);
  void Judge();

  static constexpr std::size_t kDefault = 1;  // the S3-FIFO of the paper

  const std::size_t shadow_capacity_max_;
  const std::size_t bytes_;
  std::size_t shadow_capacity_ = 0;  // 0: no shadows yet
  std::uint64_t sample_below_ = 0;   // of 2^32
  std::size_t seen_ = 0;             // sampled accesses in this window
  std::size_t chosen_ = kDefault;
  std::vector<ShadowCache> shadows_;
  std::array<std::uint32_t, kCandidates> misses_{};  // in this window
  std::array<double, kCandidates> score_{};          // misses, older windows fading
};

}  // namespace nearcached
