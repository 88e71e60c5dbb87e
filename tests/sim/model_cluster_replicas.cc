// What replicas of the model's cluster have, and what they answer to who says READONLY.
//
// A replica takes what its primary has in steps, each only when the next one is there, and answers
// as of the operation it has come to. It knows nothing of migrations: a key that has left its shard
// by then is not there, one that has come to it since is not there yet.
#include <algorithm>
#include <utility>

#include "tests/sim/model_cluster.h"
#include "tests/sim/model_commands.h"
#include "tests/sim/model_redis.h"

namespace nearcached::sim {

using std::chrono::milliseconds;

bool ModelCluster::HearsPrimary(std::size_t node) const {
  return std::ranges::any_of(nodes_, [&](const Node& other) {
    return other.shard == nodes_[node].shard && other.state == State::kPrimary && !other.apart;
  });
}

std::uint64_t ModelCluster::Applied(std::size_t node) const {
  const Node& at = nodes_[node];
  const MonoTime now = env_.scheduler.Now();
  if (HearsPrimary(node) && !at.apart && now >= at.next_step) {
    at.applied = std::exchange(at.arrived, model_->store().op());
    at.next_step = now + env_.Between(milliseconds(1), milliseconds(400));
  }
  return at.applied;
}

std::string ModelCluster::Replication(std::size_t node) const {
  const Node& at = nodes_[node];
  const std::string history = "master_replid:" + at.history + "\r\n";
  if (at.state != State::kPrimary) {
    const bool up = HearsPrimary(node) && !at.apart;
    return "role:slave\r\nmaster_link_status:" + std::string(up ? "up" : "down") + "\r\n" +
           history + "slave_repl_offset:" + std::to_string(Applied(node)) + "\r\n";
  }
  std::string text = "role:master\r\n";
  int number = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].shard == at.shard && nodes_[i].state == State::kReplica && !nodes_[i].apart &&
        !at.apart) {
      text += "slave" + std::to_string(number++) + ":ip=" + NameOf(i) +
              ",port=" + std::to_string(kPort) + ",state=online,offset=1,lag=0\r\n";
    }
  }
  return text + history + "master_repl_offset:" + std::to_string(model_->store().op()) + "\r\n";
}

// Its data goes a way of its own from now on; those of its shard who can hear it follow.
void ModelCluster::BeginHistory(std::size_t primary) {
  const std::string history = "h" + std::to_string(++histories_);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (i == primary || (nodes_[i].shard == nodes_[primary].shard && !nodes_[i].apart &&
                         nodes_[i].state == State::kReplica)) {
      nodes_[i].history = history;
    }
  }
}

// The whole of it is copied anew.
void ModelCluster::Resync(std::size_t node) {
  for (const Node& other : nodes_) {
    if (other.shard == nodes_[node].shard && other.state == State::kPrimary && !other.apart) {
      nodes_[node].history = other.history;
      nodes_[node].applied = nodes_[node].arrived = model_->store().op();
    }
  }
}

void ModelCluster::Homed(std::vector<Home>& homes, std::size_t node) {
  homes.push_back({model_->store().op(), nodes_[node].shard});
}

void ModelCluster::Migrated(const std::string& key, std::size_t to) {
  migration_->moved.insert(key);
  Homed(key_homes_[key], to);
}

// The shard that had the key after that operation.
std::size_t ModelCluster::ShardAt(const std::string& key, std::uint64_t op) const {
  Home latest = slot_homes_.at(SlotOf(key)).front();
  const auto look = [&](const std::vector<Home>& homes) {
    for (const Home& home : homes) {
      if (home.op <= op && home.op >= latest.op) {
        latest = home;
      }
    }
  };
  if (const auto own = key_homes_.find(key); own != key_homes_.end()) {
    look(own->second);
  }
  look(slot_homes_.at(SlotOf(key)));
  return latest.shard;
}

std::optional<Reply> ModelCluster::ReadAtReplica(const ModelSession& session,
                                                 const ModelCommand& command, const Args& args) {
  const Node& node = nodes_[session.node];
  const std::vector<std::string> keys = KeysOf(command, args);
  if (!shape_.replica_reads || !session.readonly || !command.readonly || session.in_multi ||
      keys.size() != 1 || node.state != State::kReplica || Refuses(node) ||
      nodes_[node.view[SlotOf(keys.front())].owner].shard != node.shard) {
    return std::nullopt;
  }
  const std::uint64_t applied = Applied(session.node);
  if (command.name == "PTTL") {
    env_.Fail("I8", NameOf(session.node) + " was asked to fill L1, and is a replica");
  }
  if (command.name != "GET" || env_.Chance(0.005)) {
    return env_.Chance(0.5) ? Reply::Error("LOADING Redis is loading the dataset in memory")
                            : Reply::Error("MASTERDOWN Link with MASTER is down");
  }
  ++replica_reads_;
  const KeyId id{0, keys.front()};
  Store& store = model_->store();
  const Version* version =
      ShardAt(id.name, applied) == node.shard ? store.Before(id, applied + 1) : nullptr;
  const MonoTime now = env_.scheduler.Now();
  if (version != nullptr && version->value.expire_at && *version->value.expire_at <= now) {
    return RenderRead({"GET"}, Value{});
  }
  return RenderRead({"GET"}, version == nullptr ? Value{} : version->value);
}

}  // namespace nearcached::sim
