// Keeps the slot map fresh: asks one node after the other until one gives a map, at the start, from
// time to time, and soon after somebody has reason to think that the map is old.
//
// CLUSTER SLOTS is asked first: it is the table by which the node itself redirects, and every
// version knows it. A server that has it no more is asked for CLUSTER SHARDS.
// Owned by the cluster; loop thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "daemon/base/rng.h"
#include "daemon/base/scheduler.h"
#include "daemon/upstream/backoff.h"
#include "daemon/upstream/cluster_map.h"
#include "daemon/upstream/cluster_stats.h"
#include "daemon/upstream/control_link.h"

namespace nearcached {

class ClusterRefresh {
 public:
  // However many redirections come, the map is not asked for more often than this.
  static constexpr Duration kDebounce = std::chrono::milliseconds(100);

  struct Deps {
    Scheduler& scheduler;
    Dialer& dialer;
    const config::UpstreamConfig& config;  // may change between turns (reload)
    Rng& rng;
    ClusterStats& stats;
  };
  // Called from the loop. `on_failed` gets the reason, for people: no node gave a map.
  using OnMap = std::function<void(const ClusterMap&)>;
  using OnFailed = std::function<void(std::string_view why)>;
  ClusterRefresh(const Deps& deps, OnMap on_map, OnFailed on_failed);

  // Asks for the first map.
  void Start() { Request(std::nullopt); }
  // The map may be old. `prefer` likely knows better: it is asked first.
  void Request(const std::optional<Endpoint>& prefer);
  // Nothing is asked any more.
  void Stop();

 private:
  void Schedule(Duration delay);
  void BeginRound();
  void AskNext();
  void Ask(bool shards);
  void OnReply(const Result<UpstreamReply>& reply, bool shards);
  void NextCandidate(std::string_view why);
  void EndRound();

  const Deps deps_;
  OnMap on_map_;
  OnFailed on_failed_;
  Backoff backoff_;

  bool stopped_ = false;
  bool asking_ = false;
  bool again_ = false;  // asked for while a round was under way
  std::optional<Endpoint> prefer_;
  std::vector<Endpoint> known_;       // the primaries of the last map
  std::vector<Endpoint> candidates_;  // still to be asked in this round; the next one last
  std::size_t turn_ = 0;              // whose turn it is to be asked first
  std::string why_;                   // the last refusal of this round
  MonoTime last_round_{};
  std::unique_ptr<ControlLink> link_;
  std::unique_ptr<Timer> timer_;  // the next round, or the next step of this one
  MonoTime due_ = MonoTime::max();
};

}  // namespace nearcached
