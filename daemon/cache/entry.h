// One cached entry as it lies in memory: 32 bytes of header, then the key and the value.
//
//   inline    header [extension] key [variant] value            in one slot of the slab arena
//   outlined  header [extension] Blob* -> key [variant] value   for what does not fit a slot
//
// The extension (8 bytes) is there only for what is rare: a database other than 0, a key of 256
// bytes or more, a variant (cache_key.h). Entries are named by 4-byte ids, not pointers, so that
// the four links of the two lists every entry is on (eviction queue, timing wheel) cost 16 bytes,
// and so that compaction may move them. Loop thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "daemon/base/time.h"
#include "daemon/cache/blob.h"
#include "daemon/cache/cache_key.h"

namespace nearcached {

using EntryId = std::uint32_t;
inline constexpr EntryId kNoEntry = 0;

enum class QueueKind : std::uint8_t { kSmall = 0, kMain = 1, kNegative = 2 };
inline constexpr std::size_t kQueueKinds = 3;

struct Entry {
  static constexpr std::uint8_t kFrequencyMask = 0x03;  // hits since it was queued, at most 3
  static constexpr std::uint8_t kQueueShift = 2;
  static constexpr std::uint8_t kQueueMask = 0x0c;
  static constexpr std::uint8_t kExtended = 0x10;
  static constexpr std::uint8_t kOutlined = 0x20;
  static constexpr std::uint8_t kLive = 0x40;     // clear in a free slot
  static constexpr std::uint8_t kVariant = 0x80;  // the reply to another read than GET; extended

  std::uint32_t hash = 0;  // the upper half of the key's hash; in a free slot the next free one
  EntryId queue_prev = kNoEntry;
  EntryId queue_next = kNoEntry;
  EntryId wheel_prev = kNoEntry;
  EntryId wheel_next = kNoEntry;
  std::uint32_t deadline_low = 0;  // 48 bits of microseconds on the monotonic clock
  std::uint16_t deadline_high = 0;
  std::uint16_t cohort = 0;      // CohortTable: who filled it
  std::uint16_t value_size = 0;  // of an inline value
  std::uint8_t key_size = 0;     // of an inline key, unless extended
  std::uint8_t flags = 0;

  [[nodiscard]] bool live() const { return (flags & kLive) != 0; }
  [[nodiscard]] bool outlined() const { return (flags & kOutlined) != 0; }
  [[nodiscard]] bool extended() const { return (flags & kExtended) != 0; }
  [[nodiscard]] bool variant() const { return (flags & kVariant) != 0; }
  [[nodiscard]] unsigned frequency() const { return flags & kFrequencyMask; }
  void set_frequency(unsigned f) {
    flags = static_cast<std::uint8_t>((flags & ~kFrequencyMask) | std::min(f, 3U));
  }
  [[nodiscard]] QueueKind queue() const {
    return static_cast<QueueKind>((flags & kQueueMask) >> kQueueShift);
  }
  void set_queue(QueueKind kind) {
    flags = static_cast<std::uint8_t>((flags & ~kQueueMask) |
                                      (static_cast<unsigned>(kind) << kQueueShift));
  }
  [[nodiscard]] bool negative() const { return queue() == QueueKind::kNegative; }

  [[nodiscard]] std::uint64_t deadline_us() const {
    return (std::uint64_t{deadline_high} << 32U) | deadline_low;
  }
  void set_deadline_us(std::uint64_t us) {
    deadline_low = static_cast<std::uint32_t>(us);
    deadline_high = static_cast<std::uint16_t>(us >> 32U);
  }
  [[nodiscard]] MonoTime deadline() const {
    return MonoTime(std::chrono::microseconds(deadline_us()));
  }
};
static_assert(sizeof(Entry) == 32 && alignof(Entry) == 4);

// The rare part, between the header and the rest.
struct EntryExtension {
  std::uint32_t db = 0;
  std::uint16_t key_size = 0;
  std::uint16_t variant_size = 0;
};

// The deadline as an entry keeps it: rounded down, so that an entry can only live shorter, and cut
// at 2^48 - 1 microseconds (8.9 years of uptime).
inline std::uint64_t DeadlineMicros(MonoTime deadline) {
  const auto ns = deadline.time_since_epoch().count();
  const std::uint64_t us = ns < 0 ? 0 : static_cast<std::uint64_t>(ns) / 1000;
  return std::min(us, (std::uint64_t{1} << 48U) - 1);
}

// An outlined entry's pointer lies unaligned and is copied in and out.
inline constexpr std::size_t kBlobPointerBytes = sizeof(void*);

inline const char* PayloadOf(const Entry& e) {
  return reinterpret_cast<const char*>(&e + 1);
}
inline char* PayloadOf(Entry& e) {
  return reinterpret_cast<char*>(&e + 1);
}

inline EntryExtension ExtensionOf(const Entry& e) {
  EntryExtension x;
  if (e.extended()) {
    std::memcpy(&x, PayloadOf(e), sizeof x);
  } else {
    x.key_size = e.key_size;
  }
  return x;
}

inline const char* BodyOf(const Entry& e) {
  return PayloadOf(e) + (e.extended() ? sizeof(EntryExtension) : 0);
}

// REQUIRES: e.outlined().
inline Blob* BlobOf(const Entry& e) {
  Blob* blob = nullptr;
  std::memcpy(&blob, BodyOf(e), kBlobPointerBytes);
  return blob;
}

// Where the key begins.
inline const char* HeadOf(const Entry& e) {
  return e.outlined() ? BlobOf(e)->data() : BodyOf(e);
}

inline std::string_view KeyOf(const Entry& e) {
  return {HeadOf(e), ExtensionOf(e).key_size};
}

// Empty for GET's value.
inline std::string_view VariantOf(const Entry& e) {
  const EntryExtension x = ExtensionOf(e);
  return {HeadOf(e) + x.key_size, x.variant_size};
}

inline std::string_view ValueOf(const Entry& e) {
  if (e.outlined()) {
    return BlobOf(e)->value();
  }
  const EntryExtension x = ExtensionOf(e);
  return {BodyOf(e) + x.key_size + x.variant_size, e.value_size};
}

inline bool NeedsExtension(const CacheKey& key) {
  return key.db != 0 || key.key.size() > 0xff || !key.variant.empty();
}

// Bytes of slot an entry takes.
inline std::size_t InlineBytes(const CacheKey& key, std::size_t value_size) {
  return sizeof(Entry) + (NeedsExtension(key) ? sizeof(EntryExtension) : 0) + key.key.size() +
         key.variant.size() + value_size;
}
inline std::size_t OutlinedBytes(const CacheKey& key) {
  return sizeof(Entry) + (NeedsExtension(key) ? sizeof(EntryExtension) : 0) + kBlobPointerBytes;
}

}  // namespace nearcached
