#include "daemon/upstream/replica_set.h"

#include <algorithm>
#include <utility>

#include "proto/wire_errors.h"

namespace nearcached {
ReplicaSet::ReplicaSet(const Deps& deps)
    : deps_(deps),
      policy_(deps.config.read_from == "replica"   ? Policy::kReplica
              : deps.config.read_from == "nearest" ? Policy::kNearest
                                                   : Policy::kPreferReplica) {}

ReplicaSet::~ReplicaSet() = default;

void ReplicaSet::Start() {
  started_ = deps_.scheduler.Now();
  if (deps_.config.topology == config::TopologyKind::kReplicated) {
    Meet(deps_.config.nodes);
  }
  OnTick();
}

void ReplicaSet::Flush() {
  for (const Member& member : members_) {
    member.replica->Flush();
  }
}

void ReplicaSet::Reconnect() {
  for (const Member& member : members_) {
    member.replica->Reconnect();
  }
}

void ReplicaSet::Stop() {
  tick_.reset();
  primary_.reset();
  for (const Member& member : members_) {
    member.replica->Close("shutting down");
  }
  members_.clear();
  nearest_ = nullptr;
  Count(0, 0, 0);
}

// ---- who there is -------------------------------------------------------------------------------

void ReplicaSet::OnTick() {
  last_tick_ = deps_.scheduler.Now();
  tick_ = deps_.scheduler.After(deps_.config.health_interval, [this] { OnTick(); });
  const bool known = deps_.topology.has_primary();
  if (!known || primary_ == nullptr || primary_->endpoint() != deps_.topology.Primary()) {
    primary_.reset();  // here, because it is not in the middle of a callback
    asking_primary_ = false;
    primary_round_trip_ = {};
  }
  Forget();
  for (const Member& member : members_) {
    member.replica->Tick();
  }
  if (known) {
    LookAtPrimary();
  } else {
    LookAtReplicas();
  }
}

// Those nobody names any more, which were closed when that was noticed. Here, because nothing of
// theirs is in the middle of a callback: the tick is nobody's.
void ReplicaSet::Forget() {
  std::erase_if(members_, [this](const Member& member) {
    const bool gone = !member.listed && member.replica->closed();
    nearest_ = gone && nearest_ == member.replica.get() ? nullptr : nearest_;
    return gone;
  });
}

void ReplicaSet::LookSoon() {
  const Duration since = deps_.scheduler.Now() - last_tick_;
  tick_ = deps_.scheduler.After(since >= kDoubtGap ? Duration::zero() : kDoubtGap - since,
                                [this] { OnTick(); });
}

void ReplicaSet::LookAtPrimary() {
  if (std::exchange(asking_primary_, true)) {
    return;
  }
  if (primary_ == nullptr) {
    const config::UpstreamConfig& config = deps_.config;
    primary_ = std::make_unique<ControlLink>(
        deps_.scheduler, deps_.dialer, deps_.stats.control,
        ControlLink::Terms{.endpoint = deps_.topology.Primary(),
                           .username = config.username,
                           .password = config.password,
                           .timeout = std::min(config.connect_timeout, config.command_timeout)});
  }
  const MonoTime asked = deps_.scheduler.Now();
  primary_->Ask({"INFO", "replication"}, [this, asked](const Result<UpstreamReply>& reply) {
    OnPrimaryAnswer(reply, asked);
  });
}

void ReplicaSet::OnPrimaryAnswer(const Result<UpstreamReply>& reply, MonoTime asked) {
  asking_primary_ = false;
  primary_heard_ = true;
  const auto info = reply.ok() ? ParseReplicationInfo(reply.value()) : reply.error();
  if (info.ok() && info.value().primary) {
    primary_round_trip_.Note(deps_.scheduler.Now() - asked);
    clock_.NotePrimary(info.value().history, info.value().offset, asked);
    if (deps_.config.topology != config::TopologyKind::kReplicated) {
      Meet(info.value().replicas);
    }
  }
  LookAtReplicas();
}

void ReplicaSet::Meet(const std::vector<config::HostPort>& nodes) {
  for (Member& member : members_) {
    member.listed = false;
  }
  for (const config::HostPort& node : nodes) {
    const Endpoint endpoint = EndpointOf(node, deps_.config);
    const auto found = std::ranges::find_if(
        members_, [&](const Member& member) { return member.replica->endpoint() == endpoint; });
    if (found != members_.end()) {
      found->listed = true;
    } else if (members_.size() < kReplicasMax) {
      auto replica = std::make_unique<Replica>(
          Replica::Deps{deps_.scheduler, deps_.dialer, deps_.config, deps_.rng, deps_.commands,
                        deps_.coherence, deps_.primary, clock_, deps_.stats, deps_.clustered,
                        [this] { LookSoon(); }, [this] { OnLook(); }},
          endpoint);
      members_.push_back({.replica = std::move(replica)});
    }
  }
}

// After the primary was looked at, so that a replica which keeps up is known to.
void ReplicaSet::LookAtReplicas() {
  for (const Member& member : members_) {
    if (!member.listed) {
      member.replica->Leave("the primary does not name it as a replica in step");
      member.replica->Close("it is no replica any more");
    } else if (IsPrimary(*member.replica)) {
      member.replica->Leave("it is the primary");
      member.replica->Close("it is the primary");
    } else {
      member.replica->Look();
    }
  }
  OnLook();
}

bool ReplicaSet::Settled() const {
  if (deps_.scheduler.Now() - started_ >= Duration(deps_.config.connect_timeout)) {
    return true;
  }
  return primary_heard_ && std::ranges::all_of(members_, [&](const Member& member) {
           return !member.listed || member.replica->heard() || IsPrimary(*member.replica);
         });
}

void ReplicaSet::OnLook() {
  const MonoTime now = deps_.scheduler.Now();
  std::int64_t readable = 0;
  std::int64_t known = 0;
  for (const Member& member : members_) {
    known += member.listed ? 1 : 0;
    readable += member.replica->readable(now) ? 1 : 0;
  }
  Count(known, readable, readable == 0 && Settled() ? 1 : 0);
  if (policy_ == Policy::kNearest) {
    ChooseNearestNode();
  }
}

void ReplicaSet::Count(std::int64_t known, std::int64_t readable, std::int64_t missing) {
  deps_.stats.known.Add(known - std::exchange(known_, known));
  deps_.stats.readable.Add(readable - std::exchange(readable_, readable));
  deps_.stats.missing.Add(missing - std::exchange(missing_, missing));
}

// The primary has place 0.
void ReplicaSet::ChooseNearestNode() {
  const MonoTime now = deps_.scheduler.Now();
  std::vector<std::optional<Duration>> round_trips = {primary_round_trip_.value()};
  std::size_t current = 0;
  for (const Member& member : members_) {
    const Replica& replica = *member.replica;
    current = &replica == nearest_ ? round_trips.size() : current;
    round_trips.push_back(replica.readable(now) ? replica.round_trip().value() : std::nullopt);
  }
  const std::size_t chosen = ChooseNearest(round_trips, current);
  nearest_ = chosen == 0 ? nullptr : members_[chosen - 1].replica.get();
}

// ---- where a read goes --------------------------------------------------------------------------

SecondChance* ReplicaSet::LaneOf(Replica& replica, const Ask& ask, Misses& misses) const {
  if (!replica.readable(deps_.scheduler.Now())) {
    return nullptr;
  }
  if (replica.applied() <= ask.since) {
    misses.behind = true;
    return nullptr;
  }
  SecondChance* const lane = replica.Lane(ask.db, ask.protocol, ask.client / members_.size());
  misses.no_lane = misses.no_lane || lane == nullptr;
  return lane;
}

ReadRoutes::Route ReplicaSet::RouteRead(const Ask& ask) {
  Misses misses;
  if (policy_ == Policy::kNearest) {
    SecondChance* const lane = nearest_ == nullptr ? nullptr : LaneOf(*nearest_, ask, misses);
    if (lane != nullptr) {
      return {.link = lane, .lane = lane->number()};
    }
  } else {
    for (std::size_t i = 0; i < members_.size(); ++i) {
      Replica& replica = *members_[(ask.client + i) % members_.size()].replica;
      if (SecondChance* const lane = LaneOf(replica, ask, misses)) {
        return {.link = lane, .lane = lane->number()};
      }
    }
  }
  if (misses.behind) {
    deps_.stats.recent_write.Add();
    return {};
  }
  if (policy_ == Policy::kNearest && !misses.no_lane) {
    deps_.stats.nearer.Add();
    return {};
  }
  if (policy_ != Policy::kReplica || misses.no_lane || !Settled()) {
    deps_.stats.none.Add();
    return {};
  }
  deps_.stats.refused.Add();
  refusal_ = "upstream.read_from is replica, and no replica can be read";
  for (const Report& report : Reports()) {
    refusal_ += "; " + report.node + ": " + proto::Printable(report.why_not);
  }
  refusal_ = proto::OwnError(refusal_);
  return {.refusal = refusal_};
}

std::vector<ReplicaSet::Report> ReplicaSet::Reports() const {
  const MonoTime now = deps_.scheduler.Now();
  std::vector<Report> reports;
  for (const Member& member : members_) {
    const Replica& replica = *member.replica;
    if (member.listed && !IsPrimary(replica)) {
      reports.push_back(
          {.node = replica.endpoint().ToString(),
           .primary = primary_ == nullptr ? std::string() : primary_->endpoint().ToString(),
           .why_not = replica.WhyNot(now),
           .older_than_now = replica.readable(now) ? now - replica.applied() : Duration::zero(),
           .round_trip = replica.round_trip().value().value_or(Duration::zero()),
           .links = replica.links_standing(),
           .nearest = &replica == nearest_});
    }
  }
  return reports;
}

}  // namespace nearcached
