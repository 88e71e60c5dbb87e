// Worlds with a cluster: what kind of one, what the product promises about it, what happens to it.
#include <algorithm>
#include <array>

#include "tests/sim/world.h"

namespace nearcached::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::unique_ptr<ModelCluster> World::DrawCluster() {
  if (!profile_.cluster) {
    return nullptr;
  }
  ModelCluster::Shape shape;
  shape.shards = env_.Between(2, 3);
  shape.replicas = env_.Between(1, 2);
  // Every fourth world is calm, and in every fourth nothing but slots moves: there errors are bugs.
  const std::uint64_t kind = env_.rng.Below(4);
  shape.moves = kind == 1 || (kind == 3 && env_.Chance(0.7));
  shape.failovers = kind >= 2;
  shape.splits = kind == 3 && env_.Chance(0.4);
  shape.cuts = kind == 3 && env_.Chance(0.5);
  shape.shards_only = env_.Chance(0.2);
  shape.unnamed = env_.Chance(0.2);
  shape.full_coverage = shape.failovers && setup_.max_hold > Duration::zero();
  if (profile_.replicas) {
    shape.replica_reads = true;
    setup_.events = false;  // as with one primary, see DrawGroup
    setup_.read_from = env_.Chance(0.3) ? "nearest" : "prefer_replica";
  }
  if (shape.failovers) {
    server_.slow = env_.Chance(0.5) ? 0.01 : 0;
    server_.slow_max = milliseconds(env_.Between(1, 300));
    env_.scheduler.SetTurnCostMax(env_.Between(milliseconds(1), milliseconds(20)));
  }
  setup_.map_interval = shape.splits ? milliseconds(env_.Between(300, 1000))
                                     : milliseconds(env_.Chance(0.5) ? 1000 : 60'000);
  const Duration heed_max =
      setup_.request_timeout + seconds(1) + env_.scheduler.turn_cost_max() * 8;
  auto cluster = std::make_unique<ModelCluster>(env_, shape, heed_max);
  setup_.hosts = cluster->Hosts();
  setup_.cluster = true;
  return cluster;
}

// ARCHITECTURE.md 4, "Known limits", says what a cluster cannot promise.
void World::PromiseOfCluster(Promises& promises) const {
  const ModelCluster::Shape& shape = cluster_->shape();
  const bool breaks = shape.failovers || shape.splits || shape.cuts;
  promises.no_faults = !shape.moves && !breaks;
  promises.only_moves = shape.moves && !breaks;
  promises.order_by_key = true;
  promises.slots_move = shape.moves;
  // Nobody pushes that a key has come into being where its slot went; nor what happens on the other
  // side of a split, until some node that knows is asked for the map.
  promises.absence_max = setup_.l1_ttl / 2 + setup_.request_timeout;
  if (shape.splits) {
    promises.unpushed_max += ModelCluster::kNodeTimeout + ModelCluster::kGossipMax +
                             setup_.map_interval * 3 + setup_.connect_timeout * 2;
  }
}

void World::ScheduleClusterEvents() {
  env_.scheduler.Post(env_.Between(milliseconds(200), milliseconds(1200)), [this] {
    if (env_.scheduler.Now() >= traffic_end_ || draining_) {
      return;
    }
    if (cluster_->shape().failovers && env_.Chance(0.2)) {
      InjectLinkFault();
    } else {
      cluster_->Disturb();
    }
    ScheduleClusterEvents();
  });
}

void World::InjectLinkFault() {
  std::vector<SimConnection*> open;
  for (SimConnection* connection : network_.upstreams()) {
    if (connection->product_open() && !connection->dead()) {
      open.push_back(connection);
    }
  }
  if (open.empty()) {
    return;
  }
  SimConnection& victim = *open[env_.rng.Below(open.size())];
  env_.Note(victim.name(), "breaks");
  if (env_.Chance(0.3)) {
    victim.Blackhole();
  } else {
    victim.Reset(env_.Chance(0.5));
  }
}

void World::StartProbes() {
  for (std::size_t tag = 0; tag < ModelCluster::kTags; ++tag) {
    const std::string name = std::to_string(tag);
    SimConnection& connection = network_.AddClientConnection("probe" + name, PathFaults{});
    probes_.push_back(std::make_unique<Probe>(env_, connection, "p{" + name + "}"));
    Introduce(connection);
    probes_.back()->Start();
  }
  probes_since_ = env_.scheduler.Now();
}

// Recovery: where nothing is in the way any more, service is back within a bound. It is the time to
// notice that an owner is gone (a request that times out), to find a node that knows better (each
// that is asked in vain costs a connect_timeout), to connect there, and to ask.
void World::CheckService() {
  const Duration bound = setup_.request_timeout * 2 + setup_.connect_timeout * 2 +
                         setup_.reconnect_delay_max + seconds(1) +
                         env_.scheduler.turn_cost_max() * 16;
  const MonoTime now = env_.scheduler.Now();
  for (std::size_t tag = 0; tag < probes_.size() && !draining_; ++tag) {
    const auto since = cluster_->ServedSince(tag);
    const MonoTime served = std::max(probes_[tag]->served_at(), probes_since_);
    if (since && now - std::max(*since, served) > bound) {
      env_.Fail("I8", "no service for slot of {" + std::to_string(tag) + "} since " +
                          FormatTime(served) + ", though nothing is in its way since " +
                          FormatTime(*since) + "; last error: " + probes_[tag]->last_error());
    }
  }
}

}  // namespace nearcached::sim
