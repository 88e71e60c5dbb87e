// The replicas of the primary, and which of them answers a read (upstream.read_from).
//
// Who they are: the other nodes of a configured list, or else those that the primary names as in
// step. Nobody is believed on another's word: each is asked itself what it has, every
// health_interval and at once after a doubt, and compared with the primary by replication id and
// offset (replication_clock.h). So it is known up to what time a replica has everything, and
//   - a key that was written through this sidecar is read from the primary until the replica has
//     the write (RecentWrites says when that was);
//   - data that may be older than replica_lag_max is not read;
//   - a replica of something else, or of a primary that was replaced, is not read.
// What is not known at once: a replica whose data is replaced by an administrator, and that keeps
// its connections, for up to one health_interval.
//
// One per primary, where read_from is not "primary"; loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "daemon/upstream/replica.h"
#include "daemon/upstream/replicas.h"
#include "daemon/upstream/topology.h"

namespace nearcached {

class ReplicaSet final : public Replicas {
 public:
  static constexpr std::size_t kReplicasMax = 64;

  // All borrowed, and outlive the set. `config` may change between turns (reload).
  struct Deps {
    Scheduler& scheduler;
    Dialer& dialer;
    Topology& topology;
    const config::UpstreamConfig& config;
    Rng& rng;
    const CommandTable& commands;
    Coherence& coherence;
    Upstream& primary;    // or the cluster that it belongs to
    ReplicaStats& stats;  // of all sets together
    bool clustered = false;
  };
  // REQUIRES: read_from is not "primary".
  explicit ReplicaSet(const Deps& deps);
  ~ReplicaSet() override;
  ReplicaSet(const ReplicaSet&) = delete;
  ReplicaSet& operator=(const ReplicaSet&) = delete;

  // Replicas
  void Start() override;
  void OnPrimaryChanged() override { LookSoon(); }
  void Flush() override;
  void Reconnect() override;
  void Stop() override;
  Route RouteRead(const Ask& ask) override;
  [[nodiscard]] std::vector<Report> Reports() const override;
  [[nodiscard]] Duration primary_round_trip() const override {
    return primary_round_trip_.value().value_or(Duration::zero());
  }

 private:
  enum class Policy : std::uint8_t { kPreferReplica, kReplica, kNearest };
  // Why a read did not find a lane, of all replicas that it tried.
  struct Misses {
    bool behind = false;   // one may not have what was written
    bool no_lane = false;  // one has, and its lane does not stand yet
  };

  void OnTick();
  void LookSoon();
  void LookAtPrimary();
  void OnPrimaryAnswer(const Result<UpstreamReply>& reply, MonoTime asked);
  void LookAtReplicas();
  void OnLook();
  void Count(std::int64_t known, std::int64_t readable, std::int64_t missing);
  void Forget();
  void Meet(const std::vector<config::HostPort>& nodes);
  void ChooseNearestNode();
  [[nodiscard]] bool Settled() const;
  [[nodiscard]] bool IsPrimary(const Replica& replica) const {
    return primary_ != nullptr && primary_->endpoint() == replica.endpoint();
  }
  SecondChance* LaneOf(Replica& replica, const Ask& ask, Misses& misses) const;

  const Deps deps_;
  const Policy policy_;
  ReplicationClock clock_;
  std::unique_ptr<ControlLink> primary_;  // null: none is known
  bool asking_primary_ = false;
  bool primary_heard_ = false;
  RoundTrip primary_round_trip_;
  struct Member {
    std::unique_ptr<Replica> replica;
    bool listed = true;  // false: nobody names it any more, and it goes with the next tick
  };
  std::vector<Member> members_;
  // What the gauges hold of ours.
  std::int64_t known_ = 0;
  std::int64_t readable_ = 0;
  std::int64_t missing_ = 0;
  Replica* nearest_ = nullptr;
  std::string refusal_;  // the last one returned
  MonoTime started_{};
  MonoTime last_tick_{};
  std::unique_ptr<Timer> tick_;
};

}  // namespace nearcached
