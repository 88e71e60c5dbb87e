// What the L1 counts. Owned by L1; written on the loop thread, read by the metrics thread.
#pragma once

#include "daemon/base/counter.h"

namespace nearcached {

struct L1Stats {
  // Lookups: every Find ends in exactly one of these.
  Counter hits_value;
  Counter hits_negative;
  Counter misses_absent;
  Counter misses_expired;  // present, but its deadline had passed
  Counter misses_dropped;  // present, but its fill link was dropped or the cache was cleared

  // Insert: every call ends in exactly one of these.
  Counter inserts;
  Counter replaced;
  Counter rejected_too_large;
  Counter rejected_not_admitted;
  Counter rejected_no_room;
  Counter rejected_expired;

  // Removals other than by replacement: their sum is `inserts` minus `entries`.
  Counter evictions_size;
  Counter evictions_expired;
  Counter evictions_erased;  // invalidated, own writes, ErasePrefix
  Counter evictions_dropped;

  Counter variants_displaced;  // of evictions_size: a key had as many variants as it may have

  Gauge entries;  // all entries held, negative and not yet reclaimed ones included
  Gauge negative_entries;
  Gauge variants;         // entries that answer another read than GET
  Gauge dropped_entries;  // of those, the ones that a drop or Clear made unservable
  Gauge bytes;            // everything charged against bytes_max
  Gauge bytes_max;
  Gauge negative_bytes;
  Gauge pinned_bytes;    // values that left the cache but are still being sent; part of `bytes`
  Gauge overhead_bytes;  // index, ghost, timing wheel and free slots; part of `bytes`
  Gauge small_bytes;     // entries on probation
  Gauge main_bytes;      // entries that proved themselves
  Gauge ghost_entries;   // remembered hashes of what was evicted from probation
  Gauge small_share_permille;  // the target share of probation as the policy steers it
};

}  // namespace nearcached
