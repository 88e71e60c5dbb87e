// Blobs: keys and values too large for the slabs, and values kept alive by a ValueRef.
//
// A blob is counted: the entry that owns it holds one count, every ValueRef another. The heap of
// blobs is owned by its L1, but lives on until the last blob is gone, so that references may
// outlive the cache. Loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "daemon/cache/stats.h"

namespace nearcached {

class BlobHeap;

struct Blob {
  BlobHeap* heap = nullptr;
  Blob* next_dying = nullptr;
  std::uint64_t size = 0;       // of key, variant and value together
  std::uint64_t mapped = 0;     // bytes of its own mapping, 0 if it came from malloc
  std::uint32_t head_size = 0;  // of key and variant
  std::uint32_t refs = 0;
  bool cached = false;  // an entry owns it

  [[nodiscard]] const char* data() const { return reinterpret_cast<const char*>(this + 1); }
  [[nodiscard]] char* data() { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] std::string_view value() const { return {data() + head_size, size - head_size}; }
};

class BlobHeap {
 public:
  // Blobs from this size on get a mapping of their own, which is given back piece by piece: a
  // single munmap of a large value would stall the loop for milliseconds.
  static constexpr std::size_t kMapFrom = std::size_t{256} << 10U;

  // `stats` must live until Abandon.
  explicit BlobHeap(L1Stats& stats) : stats_(&stats) {}
  BlobHeap(const BlobHeap&) = delete;
  BlobHeap& operator=(const BlobHeap&) = delete;

  // What a blob with this much key, variant and value takes in memory: the size class of jemalloc
  // (four per doubling), also charged under other allocators so that decisions never depend on
  // which is used.
  [[nodiscard]] static std::uint64_t ChargeFor(std::size_t bytes);

  // Makes a blob with one count. `cached`: an entry will own that count; else it is a pin.
  [[nodiscard]] Blob* Make(std::string_view key, std::string_view variant, std::string_view value,
                           bool cached);

  static void AddRef(Blob* blob) { ++blob->refs; }
  // Drops a ValueRef's count.
  static void Unref(Blob* blob);
  // Drops the count of the entry; whoever still refers to the blob has pinned it.
  void LeaveCache(Blob* blob);

  // Gives back about `bytes` of mappings that nobody refers to any more.
  void Release(std::size_t bytes);
  [[nodiscard]] bool release_pending() const { return dying_ != nullptr; }

  // The owner goes; the heap deletes itself with its last blob (at once if there is none).
  void Abandon();

  [[nodiscard]] std::uint64_t bytes() const { return cached_bytes_ + pinned_bytes_ + dying_bytes_; }
  [[nodiscard]] std::uint64_t cached_bytes() const { return cached_bytes_; }
  [[nodiscard]] std::uint64_t pinned_bytes() const { return pinned_bytes_; }

 private:
  ~BlobHeap() = default;
  void Destroy(Blob* blob);  // may delete the heap, if it is abandoned
  void Forget(Blob* blob);   // returns its memory

  L1Stats* stats_;  // null once abandoned
  Blob* dying_ = nullptr;
  std::uint64_t blobs_ = 0;
  std::uint64_t cached_bytes_ = 0;
  std::uint64_t pinned_bytes_ = 0;
  std::uint64_t dying_bytes_ = 0;
};

}  // namespace nearcached
