// Coherence: the one place that keeps L1 honest (shared contract G1-G7, rules R1-R3, R7, R15).
//
// It owns the flight table and the holds, and is told of everything that can make a cached value
// old: writes that go through this sidecar (twice), replies read past L1, invalidation pushes,
// flushes, lost links. Session and upstream code never touch L1's contents by themselves.
//
// Owned by the worker; loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "daemon/base/counter.h"
#include "daemon/base/hash.h"
#include "daemon/base/scheduler.h"
#include "daemon/cache/l1.h"
#include "daemon/fetch/flight_table.h"
#include "daemon/fetch/footprint.h"

namespace nearcached {

struct CoherenceStats {
  Counter pushes;               // invalidation messages
  Counter pushed_keys;          // keys named in them
  Counter entries_invalidated;  // entries dropped by a push
  Counter entries_event;        // entries dropped because a message on a channel named their key
  Counter entries_admin;        // entries dropped by NEARCACHE INVALIDATE
  Counter own_writes;           // writes through this sidecar that touched cacheable keys
  Counter own_entries_dropped;  // entries dropped by own writes and by reads past L1
  Counter flushes_push;         // everything dropped: the server flushed
  Counter flushes_command;      // everything dropped: FLUSHALL, FLUSHDB, SWAPDB through here
  Counter flushes_tracking;     // everything dropped: tracking was lost or its mode changed
  Counter flushes_primary;      // everything dropped: another node became the primary
  Counter flushes_admin;        // everything dropped: NEARCACHE FLUSH or DISABLE
  Counter flushes_event;        // everything dropped: a message said so, or some may be missed
  Gauge holds;                  // keys held because a write of them is unanswered
  Gauge stale_at_most_ns;       // the bound of staleness (G3) in the present mode
};

enum class FlushReason : std::uint8_t {
  kPush,
  kCommand,
  kTrackingLost,
  kPrimaryChanged,
  kAdmin,
  kEvent,
};

// How the journey of a command past L1 ended.
enum class Outcome : std::uint8_t {
  kAnswered,  // its reply is here and about to be released
  kLost,      // its link is known closed; it may or may not have been executed
};

class Coherence {
 public:
  Coherence(Scheduler& scheduler, const KeyHasher& hasher, L1& l1, FillChannel& channel)
      : scheduler_(scheduler), hasher_(hasher), l1_(l1), flights_(scheduler, l1, channel) {}

  FlightTable& flights() { return flights_; }
  [[nodiscard]] const FlightTable& flights() const { return flights_; }

  // R3, first act, when a command that may write is about to be sent: drop, poison, detach, hold.
  void BeginWrite(const Footprint& footprint);

  // Second act of a write, and the drop after a read past L1 (R15). REQUIRES: called before the
  // reply is released. Every footprint that was begun comes here exactly once.
  void Finish(std::unique_ptr<Footprint> footprint, Outcome outcome);

  // How much longer a lost write stays held, since it may still be executed (R3): `keys` is zero
  // while the server tracks, and would tell us, and the command timeout where it does not. `flush`
  // is the command timeout: that SWAPDB was executed is announced by no server.
  void SetHoldAfterLoss(Duration keys, Duration flush) {
    hold_after_loss_ = keys;
    hold_after_lost_flush_ = flush;
  }

  // What the bound of staleness is at the moment, for the metric.
  void NoteStaleAtMost(Duration bound) { stats_.stale_at_most_ns.Set(bound.count()); }

  // True while a write of a key with this hash is unanswered: it may be read, but not filled.
  [[nodiscard]] bool Held(std::uint64_t hash) const {
    return flush_holds_ != 0 || (!holds_.empty() && holds_.contains(hash));
  }

  // An invalidation push. The keys name no database: they are dropped in all (R7).
  void OnInvalidate(std::span<const std::string_view> keys);
  // Calls `heard` whenever a push names `key`. One at a time; an empty key ends it.
  void Watch(std::string key, std::function<void()> heard) {
    watched_ = std::move(key);
    heard_ = std::move(heard);
  }
  // The same for keys that a message on an invalidation channel names, and all keys that begin with
  // a prefix. A prefix looks at every entry: whoever can be told many bounds how often.
  void OnEventKeys(std::span<const std::string_view> keys);
  void OnEventPrefix(std::string_view prefix);
  // NEARCACHE INVALIDATE; returns how many entries that were.
  std::size_t Invalidate(std::span<const std::string_view> keys);
  // Everything is dropped, and every flight poisoned.
  void Flush(FlushReason reason);
  // A fill link lost its connection: what it filled, as the owners that it stood for (in a cluster,
  // the slots of its node), is dropped (R6). `away`: the server closed it, or fell silent; then it
  // is set aside where stale values may be served in an outage.
  void OnFillersLost(std::span<const FillOwner> owners, bool away);
  // The server is there again: nothing that was set aside may be served any more. Of a cluster's
  // node: nothing that these owners' links filled.
  void OnUpstreamBack() { l1_.ClearShelf(); }
  void OnFillersBack(std::span<const FillOwner> owners) { l1_.Unshelve(owners); }
  // Nothing is set aside.
  [[nodiscard]] bool shelf_empty() const { return l1_.shelf_empty(); }
  // The longest stale_if_error of any rule; zero: nothing is ever set aside.
  void SetStaleMax(Duration stale_max) { stale_max_ = stale_max; }
  // Slots of a cluster belong to another node now: what the old one filled is dropped (R7), set
  // aside or not, and nobody joins a read that is on its way to it (R2).
  void OnSlotsMoved(std::span<const FillOwner> owners);

  // Drops the entries whose key begins with `prefix`; returns how many. Administration only: it
  // looks at every entry. Flights are poisoned whatever their key.
  std::size_t FlushPrefix(std::string_view prefix);

  // Shutdown: nothing will be served any more, so nothing needs to be held.
  void ReleaseAll();

  // Bounded housekeeping, once a turn.
  void Tick(MonoTime now);

  [[nodiscard]] const CoherenceStats& stats() const { return stats_; }
  [[nodiscard]] bool idle() const {
    return holds_.empty() && flush_holds_ == 0 && flights_.open() == 0;
  }

 private:
  void DropKeys(const Footprint& footprint);
  std::size_t DropNamed(std::span<const std::string_view> keys);
  void Release(const Footprint& footprint);

  struct LateRelease {
    MonoTime at;
    std::unique_ptr<Footprint> footprint;
  };

  Scheduler& scheduler_;
  const KeyHasher& hasher_;
  L1& l1_;
  FlightTable flights_;
  std::unordered_map<std::uint64_t, std::uint32_t> holds_;  // by hash: a collision only holds more
  std::uint32_t flush_holds_ = 0;                           // flushing commands unanswered
  Duration hold_after_loss_{};
  Duration hold_after_lost_flush_{};
  Duration stale_max_{};
  std::string watched_;  // empty: nothing is
  std::function<void()> heard_;
  MonoTime shelf_until_{};                 // what was set aside is of no use any more
  std::deque<LateRelease> late_releases_;  // in order of `at`
  CoherenceStats stats_;
};

}  // namespace nearcached
