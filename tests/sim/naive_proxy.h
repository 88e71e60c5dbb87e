// A small, slow, correct caching proxy, and the same proxy with one planted bug.
//
// It proves the checker: without a bug every calm world must pass, with one it must fail soon and
// for the right reason. Each client has an upstream connection of its own, its lane; plain GETs in
// database 0 go to a shared, tracked fill connection and are cached and coalesced. Only for worlds
// without faults: it has no timeouts.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "tests/sim/product.h"

namespace nearcached::sim {

enum class PlantedBug : std::uint8_t {
  kNone,
  kStaleAfterOwnWrite,  // own writes do not drop the entry
  kLostWaiter,          // an invalidation during a fetch forgets who waits for it
  kReordered,           // hits are written before the replies that are due earlier
  kSeesLaterSet,        // commands after a missed GET are sent before the GET is answered
  kIgnoresTtl,          // entries live for the configured time, whatever the key's TTL
  kJoinsOldFlight,      // readers after an own write join a fetch from before it
  kCrossesDatabases,    // one cache for all databases
  kWrongNil,            // RESP3 null to RESP2 clients
  kIgnoresPushes,       // invalidations of single keys are not heard
  kIgnoresFlushes,      // null pushes are not heard
  kSharesIncr,          // identical INCRs of two clients share one execution
  kSendsTwice,          // writes are now and then sent a second time
  kCachesUnderWatch,    // WATCH does not bypass the cache
  kDropsAtHalfClose,    // a client that finishes sending loses its outstanding replies
  kFetchesTwice,        // no coalescing
  kNeverIdle,           // a drain does not finish
  kSharesUsers,         // clients that have logged in read what was cached for others
};

// Null past the last one.
[[nodiscard]] std::string_view NameOf(PlantedBug bug);
inline constexpr int kPlantedBugs = 18;

[[nodiscard]] std::unique_ptr<Product> MakeNaiveProxy(PlantedBug bug, const ProductSetup& setup,
                                                      Scheduler& scheduler, Dialer& dialer);

}  // namespace nearcached::sim
