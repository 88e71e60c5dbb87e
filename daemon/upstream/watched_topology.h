// A primary that may change: found by asking nodes what they are (ROLE), and never believed on
// somebody else's word. See primary_choice.cc for who is right when several are.
//
// Who may be the primary is either a fixed list of nodes (a primary and its replicas) or what
// sentinels name. Each such node has a small connection of its own on which it is asked every
// `upstream.health_interval`, and at once when a link has doubts. Bounds, with I = health_interval
// and M = health_misses (1 s and 3 by default):
//   - a primary that says it is a replica: found after at most I and the way there and back, or as
//     soon as a link reports READONLY or its loss;
//   - a primary whose process is gone: M refused attempts, 0.1 s apart, after the first link is
//   lost;
//   - a primary that falls silent: (M + 1) × I;
//   - with sentinels, whichever is first of these and +switch-master from a majority of them.
//
// Owned by the worker; loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/upstream_url.h"
#include "daemon/upstream/control_link.h"
#include "daemon/upstream/primary_choice.h"
#include "daemon/upstream/sentinel_watch.h"
#include "daemon/upstream/topology.h"

namespace nearcached {

class WatchedTopology final : public Topology {
 public:
  // REQUIRES: the topology of the configuration is kReplicated or kSentinel.
  explicit WatchedTopology(const TopologyContext& context);
  ~WatchedTopology() override;
  WatchedTopology(const WatchedTopology&) = delete;
  WatchedTopology& operator=(const WatchedTopology&) = delete;

  [[nodiscard]] Endpoint Primary() const override;
  [[nodiscard]] bool has_primary() const override { return incumbent_ != nullptr; }
  [[nodiscard]] bool changes() const override { return true; }
  void Start(TopologyObserver& observer) override;
  void Stop() override;
  void Suspect(std::string_view why) override;

 private:
  struct Node;

  void OnTick();
  void ArmTick(Duration delay);
  void TakeVotes();
  Node& MakeNode(const config::HostPort& address);
  void Probe(Node& node);
  void OnRole(Node& node, const Result<UpstreamReply>& reply);
  void Decide();
  std::vector<NodeView> View(std::uint32_t sentinels);
  void Follow(Node* node);
  void LogRound(std::size_t primaries);
  [[nodiscard]] bool Settled() const;
  [[nodiscard]] bool Uneasy() const;

  const TopologyContext context_;
  TopologyObserver* observer_ = nullptr;  // null: not watching
  std::vector<std::unique_ptr<Node>> nodes_;
  std::unique_ptr<SentinelWatch> sentinels_;  // null: a fixed list
  Node* incumbent_ = nullptr;                 // of nodes_: the primary we follow
  config::HostPort last_;                     // where it is or was
  bool decided_ = false;                      // something was found out since the start
  bool found_ = false;                        // a primary, once at least
  bool split_ = false;
  std::uint64_t epoch_ = 0;  // the newest configuration that was followed
  std::string why_;          // what cast doubt on the incumbent last; for the log
  MonoTime started_{};
  MonoTime last_tick_{};
  std::uint32_t quick_left_ = 0;  // rounds at a quicker pace that are left
  std::unique_ptr<Timer> tick_;
};

}  // namespace nearcached
