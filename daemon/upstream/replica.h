// One replica that may be read from: whether it can be, and the lanes to it.
//
// It is believed about itself only, and only for as long as its connections last: a lane is used
// once the replica was found fit after the lane had connected, so that what answers on it is the
// process that was looked at and not one that has taken its place with older data.
//
// Owned by the set; loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "daemon/base/rng.h"
#include "daemon/command/command_table.h"
#include "daemon/fetch/coherence.h"
#include "daemon/upstream/control_link.h"
#include "daemon/upstream/dial_gate.h"
#include "daemon/upstream/link.h"
#include "daemon/upstream/replica_stats.h"
#include "daemon/upstream/replication_clock.h"
#include "daemon/upstream/replication_info.h"
#include "daemon/upstream/round_trip.h"
#include "daemon/upstream/second_chance.h"
#include "daemon/upstream/topology.h"

namespace nearcached {

class Replica final : private LinkObserver, private SecondChance::Observer {
 public:
  // All borrowed, and outlive the replica. `config` may change between turns (reload).
  struct Deps {
    Scheduler& scheduler;
    Dialer& dialer;
    const config::UpstreamConfig& config;
    Rng& rng;
    const CommandTable& commands;
    Coherence& coherence;  // links want one; nothing of what goes to a replica concerns it
    Upstream& primary;     // who is asked what the replica does not answer
    const ReplicationClock& clock;
    ReplicaStats& stats;
    bool clustered = false;          // it is a node of a Redis Cluster
    std::function<void()> on_doubt;  // it should be looked at soon
    std::function<void()> on_look;   // it was
  };
  Replica(const Deps& deps, Endpoint endpoint);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Asks it what it has, unless it is being asked.
  void Look();
  // It must not be read from any more, whatever it says itself, until it is looked at again.
  void Leave(std::string_view why);

  // A lane that may be used now, mostly always the same of one client; null: none yet. Opens what
  // there is to open.
  SecondChance* Lane(DbIndex db, proto::Protocol protocol, std::uint64_t client);

  void Flush();
  // Every health_interval: probes the links, and closes those nobody needs.
  void Tick();
  // Replaces every connection, each as soon as nothing is unanswered on it.
  void Reconnect();
  // Closes its links; they are made again when somebody wants to read.
  void Close(std::string_view why);

  // It may be asked for what was acknowledged until then, and its data is not too old.
  [[nodiscard]] bool readable(MonoTime now) const {
    return fit_ && now - applied_ <= Duration(deps_.config.replica_lag_max);
  }
  // What was acknowledged before this shows there. REQUIRES: it was readable once.
  [[nodiscard]] MonoTime applied() const { return applied_; }
  // It has answered, or failed to.
  [[nodiscard]] bool heard() const { return heard_; }
  [[nodiscard]] const RoundTrip& round_trip() const { return round_trip_; }
  // For people: why it cannot be read from; empty: it can.
  [[nodiscard]] std::string WhyNot(MonoTime now) const;
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  [[nodiscard]] std::size_t links_standing() const;
  // None of its links stands, or is about to, and it is not being asked.
  [[nodiscard]] bool closed() const;

 private:
  struct Seat {
    std::unique_ptr<Link> link;
    std::unique_ptr<SecondChance> lane;
  };
  using LaneKey = std::pair<DbIndex, proto::Protocol>;

  void OnLinkReady(Link& link, const Handshake& handshake) override;
  void OnLinkDown(Link& link, std::string_view why) override;
  void OnLinkPush(Link& /*link*/, std::string_view /*frame*/) override {}
  void OnLinkDirty(Link& link) override { dirty_.push_back(&link); }
  void OnReplicaSick(std::string_view error) override;

  void OnAnswer(const Result<UpstreamReply>& reply, MonoTime asked);
  [[nodiscard]] std::string Judge(const ReplicationInfo& info, MonoTime asked);
  std::vector<Seat>& SeatsOf(const LaneKey& key);
  void ForEachLink(const std::function<void(const LaneKey&, Link&)>& visit);

  const Deps deps_;
  const Endpoint endpoint_;
  SingleTopology topology_{endpoint_};
  DialGate gate_;
  ControlLink control_;
  std::map<LaneKey, std::vector<Seat>> lanes_;
  std::vector<Link*> dirty_;

  bool asking_ = false;
  bool heard_ = false;
  bool fit_ = false;
  std::string why_not_ = "it was not asked yet";
  MonoTime applied_{};
  MonoTime confirmed_ = MonoTime::min();  // the last look that found it fit began then
  RoundTrip round_trip_;
};

}  // namespace nearcached
