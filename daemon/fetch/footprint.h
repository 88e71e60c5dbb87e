// The footprint of a command that goes past L1: which keys it touches, and how.
//
// It travels with the request through the upstream link and comes back with its reply, so that the
// second act of a write (consistency.md R3) and the drop after a read past L1 (R15) happen in one
// place, before the reply is released. Owned by the link's queue while the request is unanswered.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nearcached {

struct FootprintKey {
  std::uint64_t hash = 0;  // KeyHasher(key), without the database
  std::string key;
  bool write = false;
};

struct Footprint {
  std::vector<FootprintKey> keys;
  bool write = false;        // some key may change: its keys are held until the reply (R3)
  bool wide = false;         // may touch keys that it does not name (scripts, unknown commands)
  bool flushes_all = false;  // FLUSHALL, FLUSHDB, SWAPDB: everything is dropped (R7)
};

}  // namespace nearcached
