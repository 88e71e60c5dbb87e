// The books of a client's unanswered requests: how many there are, and which keys they concern.
//
// Reads that fill L1 travel on fill links, some others on a link to a replica, everything else on
// the client's lane, so these are three accounts, and each asks the others before it lets a request
// go (ARCHITECTURE.md, "Order").
// Part of a session; loop thread only. Bounded by the session's pipeline_max.
#pragma once

#include <cstdint>

#include "daemon/session/key_filter.h"
#include "daemon/session/reply_queue.h"

namespace nearcached {

class OpenRequests {
 public:
  void Add(const PendingRequest& request) {
    Account& account = AccountOf(request);
    ++account.open;
    wide_ += request.wide ? 1 : 0;
    past_l1_ += request.past_l1 ? 1 : 0;
    in_the_way_ += InTheWay(request) ? 1 : 0;
    if (request.hashed) {
      account.keys.Add(request.hash);
    }
    for (const std::uint64_t hash : request.more_hashes) {
      account.keys.Add(hash);
    }
  }

  // REQUIRES: the same request was added, and not yet removed.
  void Remove(const PendingRequest& request) {
    Account& account = AccountOf(request);
    --account.open;
    wide_ -= request.wide ? 1 : 0;
    past_l1_ -= request.past_l1 ? 1 : 0;
    in_the_way_ -= InTheWay(request) ? 1 : 0;
    if (request.hashed) {
      account.keys.Remove(request.hash);
    }
    for (const std::uint64_t hash : request.more_hashes) {
      account.keys.Remove(hash);
    }
  }

  [[nodiscard]] bool empty() const {
    return fills_.open == 0 && forwards_.open == 0 && replica_.open == 0;
  }
  [[nodiscard]] std::size_t all() const { return fills_.open + forwards_.open + replica_.open; }
  [[nodiscard]] std::size_t fills() const { return fills_.open; }
  [[nodiscard]] std::size_t forwards() const { return forwards_.open; }
  [[nodiscard]] std::size_t at_replica() const { return replica_.open; }
  // Nothing of this client is on a fill link.
  [[nodiscard]] bool no_fills() const { return fills_.open == 0; }

  // Nothing of this client is on a lane.
  [[nodiscard]] bool no_forwards() const { return forwards_.open == 0; }

  // A GET of this key may be answered at once: nothing that is unanswered concerns the key, but for
  // GETs that L1 had no answer for. Mostly that takes one comparison.
  [[nodiscard]] bool MayHit(std::uint64_t hash) const {
    return in_the_way_ == 0 || (!MayBeForwarded(hash) && !MayAwaitYounger(hash));
  }
  // A read of this key that went past what L1 may hold, one other than GET or a GET behind such a
  // one, may be on a fill link: a GET must not show an older moment.
  [[nodiscard]] bool MayAwaitYounger(std::uint64_t hash) const {
    return past_l1_ != 0 && MayBeFilling(hash);
  }
  // A read of this key may be on a fill link: what touches the key must not overtake it.
  [[nodiscard]] bool MayBeFilling(std::uint64_t hash) const { return fills_.keys.MayContain(hash); }
  // Something unanswered on a lane may concern this key: a read of it must follow there.
  [[nodiscard]] bool MayBeForwarded(std::uint64_t hash) const {
    return forwards_.open != 0 && (wide_ != 0 || forwards_.keys.MayContain(hash));
  }

  // A read of this key may be at a replica: what touches the key must not overtake it.
  [[nodiscard]] bool MayBeAtReplica(std::uint64_t hash) const {
    return replica_.open != 0 && replica_.keys.MayContain(hash);
  }

  // Gives memory back. REQUIRES: empty().
  void Release() {
    fills_.keys.Release();
    forwards_.keys.Release();
    replica_.keys.Release();
  }

 private:
  struct Account {
    KeyFilter keys;
    std::uint32_t open = 0;
  };

  static bool IsFill(const PendingRequest& request) {
    return request.kind == PendingRequest::Kind::kFlight ||
           request.kind == PendingRequest::Kind::kMget;
  }
  static bool InTheWay(const PendingRequest& request) {
    return (!IsFill(request) && !request.at_replica) || request.past_l1;
  }
  Account& AccountOf(const PendingRequest& request) {
    return request.at_replica ? replica_ : IsFill(request) ? fills_ : forwards_;
  }

  Account fills_;
  Account forwards_;
  Account replica_;               // reads of keys that L1 does not keep
  std::uint32_t wide_ = 0;        // of the forwards, those that may touch any key
  std::uint32_t past_l1_ = 0;     // of the fills, those that L1 was not asked for
  std::uint32_t in_the_way_ = 0;  // all but the fills of GET and MGET
};

}  // namespace nearcached
