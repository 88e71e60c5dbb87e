// When each key was last written through this sidecar, as far as anybody was told.
//
// A replica may be asked for a key only once it is known to have what was acknowledged before
// (read_routes.h), whichever client wrote it: an application writes over one connection and reads
// over the next. Keys share places in a table of fixed size, so a time may be too late, which costs
// a read of the primary, and is never too early.
//
// One per worker; loop thread only.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemon/base/time.h"

namespace nearcached {

// The keys that a request may have changed once it is answered.
struct WrittenKeys {
  std::vector<std::uint64_t> hashes;  // by KeyHasher
  bool all = false;                   // whichever they are: a script, FLUSHALL, an unknown command
};

class RecentWrites {
 public:
  // 128 KiB. A thousand keys written within the time a replica takes to catch up, which is mostly
  // that between two looks at it, hide one other in sixteen.
  static constexpr std::size_t kPlaces = 16'384;

  RecentWrites() { times_.fill(MonoTime::min()); }

  // A request that may have written these keys was just answered, with whatever reply.
  void Note(const WrittenKeys& keys, MonoTime now) {
    if (keys.all) {
      all_ = now;
    }
    for (const std::uint64_t hash : keys.hashes) {
      times_[hash % kPlaces] = now;
    }
  }

  // The key was not written after this. MonoTime::min(): it was not written at all.
  [[nodiscard]] MonoTime LastOf(std::uint64_t hash) const {
    return std::max(all_, times_[hash % kPlaces]);
  }

 private:
  std::array<MonoTime, kPlaces> times_;
  MonoTime all_ = MonoTime::min();
};

}  // namespace nearcached
