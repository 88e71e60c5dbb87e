// What happens to the nodes of a cluster: slots move, primaries go and come, networks part.
//
// One thing at a time (`busy_`), so that what the product promises about each can be told apart;
// what begins is always brought to its end.
#include <algorithm>
#include <array>
#include <memory>
#include <numeric>

#include "tests/sim/model_cluster.h"
#include "tests/sim/model_redis.h"

namespace nearcached::sim {

using std::chrono::milliseconds;

namespace {

// A crashed primary had not yet sent its replicas what it executed last.
constexpr Duration kReplicationLagMax = milliseconds(30);

}  // namespace

// ---- who knows what -----------------------------------------------------------------------------

// `node` owns the slots from now on. Those in `at` know at once, the others by and by.
void ModelCluster::Claims(std::size_t node, const std::vector<Slot>& slots,
                          const std::vector<std::size_t>& at) {
  const MonoTime now = env_.scheduler.Now();
  const Claim claim{static_cast<std::uint16_t>(node), ++epoch_};
  for (const Slot slot : slots) {
    truth_[slot] = claim;
    if (const auto it = touched_.find(slot); it != touched_.end()) {
      it->second = now;
      Homed(slot_homes_[slot], node);
    }
  }
  told_.clear();
  settled_at_ = std::max(settled_at_, now + kGossipMax);
  const auto heard = std::make_shared<const std::vector<Slot>>(slots);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const auto learn = [this, i, heard, claim] {
      Node& pupil = nodes_[i];
      if (pupil.apart || pupil.state == State::kDown || pupil.state == State::kSilent) {
        return;  // CatchUp, when it is back
      }
      for (const Slot slot : *heard) {
        if (pupil.view[slot].epoch < claim.epoch) {
          pupil.view[slot] = claim;
        }
      }
    };
    if (std::ranges::find(at, i) != at.end()) {
      learn();
    } else {
      env_.scheduler.Post(env_.Between(Duration::zero(), kGossipMax), learn);
    }
  }
}

void ModelCluster::CatchUp(std::size_t node) {
  nodes_[node].apart = false;
  nodes_[node].view = truth_;
  Resync(node);
  env_.Note(NameOf(node), "knows the cluster again");
}

std::vector<ModelCluster::Slot> ModelCluster::SlotsOf(std::size_t node) const {
  std::vector<Slot> slots;
  for (Slot slot = 0; slot < kSlots; ++slot) {
    if (truth_[slot].owner == node) {
      slots.push_back(slot);
    }
  }
  return slots;
}

std::vector<std::size_t> ModelCluster::PrimariesAtWork() const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].state == State::kPrimary && !nodes_[i].apart && !nodes_[i].cut) {
      found.push_back(i);
    }
  }
  return found;
}

std::optional<std::size_t> ModelCluster::ReplicaOf(std::size_t node) const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].shard == nodes_[node].shard && nodes_[i].state == State::kReplica &&
        !nodes_[i].apart) {
      found.push_back(i);
    }
  }
  return found.empty() ? std::nullopt : std::optional(found[env_.rng.Below(found.size())]);
}

void ModelCluster::Disturb() {
  using Event = void (ModelCluster::*)();
  std::vector<Event> events;
  if (shape_.moves) {
    events.push_back(&ModelCluster::BeginMigration);
  }
  if (shape_.failovers || shape_.splits) {
    events.push_back(&ModelCluster::FailOver);
  }
  if (shape_.cuts) {
    events.push_back(&ModelCluster::Cut);
  }
  if (!events.empty() && !std::exchange(busy_, true)) {
    (this->*events[env_.rng.Below(events.size())])();
  }
}

// ---- slots move ---------------------------------------------------------------------------------

void ModelCluster::BeginMigration() {
  const std::vector<std::size_t> primaries = PrimariesAtWork();
  auto slot = touched_.begin();
  std::advance(slot, static_cast<std::ptrdiff_t>(env_.rng.Below(touched_.size())));
  const std::size_t from = truth_[slot->first].owner;
  const std::size_t to = primaries[env_.rng.Below(primaries.size())];
  if (from == to || nodes_[from].state != State::kPrimary) {
    busy_ = false;
    return;
  }
  env_.Note(NameOf(from), "migrates slot " + std::to_string(slot->first) + " to " + NameOf(to));
  migration_ = Migration{slot->first, from, to, {}};
  slot->second = env_.scheduler.Now();
  told_.clear();
  env_.scheduler.Post(env_.Between(Duration::zero(), Duration(milliseconds(100))),
                      [this] { MigrateSome(); });
}

void ModelCluster::MigrateSome() {
  std::vector<std::string> left;
  for (const KeyId& id : model_->store().LiveKeys(0)) {
    if (SlotOf(id.name) == migration_->slot && migration_->moved.count(id.name) == 0) {
      left.push_back(id.name);
    }
  }
  const Duration pause = env_.Between(milliseconds(1), milliseconds(80));
  if (left.empty()) {
    env_.scheduler.Post(pause, [this] { FinishMigration(); });
    return;
  }
  const std::string& key = left[env_.rng.Below(left.size())];
  env_.Note(NameOf(migration_->from), "has moved " + key);
  Migrated(key, migration_->to);
  model_->LeftNode(migration_->from, key);
  env_.scheduler.Post(pause, [this] { MigrateSome(); });
}

void ModelCluster::FinishMigration() {
  const Migration done = *std::exchange(migration_, std::nullopt);
  env_.Note(NameOf(done.to), "owns slot " + std::to_string(done.slot));
  Claims(done.to, {done.slot}, {done.to, done.from});
  // Redis looks after its blocked clients once a second.
  env_.scheduler.Post(env_.Between(Duration::zero(), Duration(milliseconds(1000))), [this, done] {
    if (truth_[done.slot].owner != done.from) {
      model_->WakeBlocked(
          done.from, [&](const std::string& key) { return SlotOf(key) == done.slot; },
          Reply::Error("MOVED " + std::to_string(done.slot) + " " +
                       NameOf(nodes_[done.from].view[done.slot].owner) + ":6379"),
          false);
    }
    busy_ = false;
  });
}

// ---- primaries go and come ----------------------------------------------------------------------

void ModelCluster::FailOver() {
  const std::vector<std::size_t> primaries = PrimariesAtWork();
  const std::size_t old = primaries[env_.rng.Below(primaries.size())];
  const auto next = ReplicaOf(old);
  if (!next) {
    busy_ = false;
    return;
  }
  if (shape_.splits && (!shape_.failovers || env_.Chance(0.4))) {
    SplitOff(old, *next);
    return;
  }
  if (env_.Chance(0.3)) {
    StepDown(old, *next);
    return;
  }
  const MonoTime now = env_.scheduler.Now();
  const Duration lag =
      env_.Chance(0.5) ? env_.Between(Duration::zero(), kReplicationLagMax) : Duration::zero();
  Isolate(old, env_.Chance(0.6) ? State::kDown : State::kSilent);
  const Duration vacancy = env_.Between(Duration::zero(), Duration(milliseconds(800)));
  if (shape_.full_coverage) {
    env_.scheduler.Post(vacancy / 2, [this] { RefuseAll(); });
  }
  env_.scheduler.Post(vacancy, [this, old, to = *next, lost_since = now - lag] {
    Promote(old, to, lost_since);
    ServeAgain();
  });
}

// A primary is held for dead, and nobody has its slots (cluster-require-full-coverage).
void ModelCluster::RefuseAll() {
  env_.Note("cluster", "is down");
  for (Node& node : nodes_) {
    node.refuses = true;
  }
}

// Somebody has them; the nodes hear of it one after the other.
void ModelCluster::ServeAgain() {
  constexpr Duration kEach = milliseconds(31);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].refuses) {
      env_.scheduler.Post(kEach * static_cast<int>(i), [this, i] {
        env_.Note(NameOf(i), "is up");
        nodes_[i].refuses = false;
        nodes_[i].well_since = env_.scheduler.Now();
      });
    }
  }
}

void ModelCluster::Isolate(std::size_t node, State state) {
  env_.Note(NameOf(node), state == State::kDown ? "crashes" : "falls silent");
  nodes_[node].state = state;
  for (SimConnection* connection : std::exchange(nodes_[node].connections, {})) {
    if (connection->product_open() && !connection->dead()) {
      if (state == State::kDown) {
        connection->Reset(env_.Chance(0.5));
      } else {
        connection->Blackhole();
      }
    }
  }
}

// `next` takes over what `old` had. What was written since `lost_since` never reached it.
void ModelCluster::Promote(std::size_t old, std::size_t next, MonoTime lost_since) {
  const std::vector<Slot> slots = SlotsOf(old);
  env_.Note(NameOf(next), "takes over from " + NameOf(old) + " as of " + FormatTime(lost_since));
  model_->store().RollBack(
      [&](const KeyId& id) { return id.db == 0 && truth_[SlotOf(id.name)].owner == old; },
      lost_since);
  nodes_[next].state = State::kPrimary;
  nodes_[next].well_since = env_.scheduler.Now();
  BeginHistory(next);
  Claims(next, slots, {next});
  ComeBack(old, env_.Between(milliseconds(200), milliseconds(2500)));
}

// The node is back, as a replica; until it has heard of that it serves nothing and believes what it
// believed before.
void ModelCluster::ComeBack(std::size_t node, Duration after) {
  env_.scheduler.Post(after, [this, node] {
    const MonoTime now = env_.scheduler.Now();
    const Duration lag = env_.Between(Duration::zero(), kGossipMax);
    env_.Note(NameOf(node), "is back");
    nodes_[node].state = State::kReplica;
    nodes_[node].apart = true;
    nodes_[node].serves_until = now;
    settled_at_ = std::max(settled_at_, now + lag);
    env_.scheduler.Post(lag, [this, node] {
      CatchUp(node);
      model_->WakeBlocked(
          node, [](const std::string&) { return true; },
          Reply::Error("UNBLOCKED force unblock from blocking operation, instance state changed "
                       "(master -> replica?)"),
          true);
      busy_ = false;
    });
  });
}

// CLUSTER FAILOVER: nothing is lost, and no connection breaks.
void ModelCluster::StepDown(std::size_t old, std::size_t next) {
  const std::vector<Slot> slots = SlotsOf(old);
  const MonoTime now = env_.scheduler.Now();
  env_.Note(NameOf(old), "steps down for " + NameOf(next));
  nodes_[old].state = State::kReplica;
  nodes_[next].state = State::kPrimary;
  nodes_[next].well_since = now;
  BeginHistory(next);
  Claims(next, slots, {old, next});
  model_->WakeBlocked(
      old, [](const std::string&) { return true; },
      Reply::Error("UNBLOCKED force unblock from blocking operation, instance state changed "
                   "(master -> replica?)"),
      true);
  env_.scheduler.Post(kGossipMax, [this] { busy_ = false; });
}

// The other nodes have lost sight of it, the product has not.
void ModelCluster::SplitOff(std::size_t old, std::size_t next) {
  const MonoTime now = env_.scheduler.Now();
  env_.Note(NameOf(old), "is cut off from the other nodes");
  nodes_[old].apart = true;
  nodes_[old].serves_until = now + kNodeTimeout;
  env_.scheduler.Post(kNodeTimeout + env_.Between(milliseconds(1), milliseconds(300)),
                      [this, old, next, now] {
                        nodes_[old].state = State::kReplica;
                        Promote(old, next, now);
                      });
}

// A primary stops, or cannot be reached from here; nobody takes over.
void ModelCluster::Cut() {
  const std::vector<std::size_t> primaries = PrimariesAtWork();
  const std::size_t node = primaries[env_.rng.Below(primaries.size())];
  const bool stops = env_.Chance(0.5);
  env_.Note(NameOf(node), stops ? "stands still" : "cannot be reached from the sidecar");
  if (stops) {
    model_->Stop(node);
  } else {
    nodes_[node].cut = true;
    for (SimConnection* connection : std::exchange(nodes_[node].connections, {})) {
      if (connection->product_open() && !connection->dead()) {
        connection->Blackhole();
      }
    }
  }
  env_.scheduler.Post(env_.Between(milliseconds(1), milliseconds(2500)), [this, node, stops] {
    env_.Note(NameOf(node), "can be reached again");
    nodes_[node].cut = false;
    nodes_[node].well_since = env_.scheduler.Now();
    if (stops) {
      model_->Resume(node);
    }
    busy_ = false;
  });
}

}  // namespace nearcached::sim
