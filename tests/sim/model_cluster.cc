// How nodes of a cluster answer; what happens to them is in model_cluster_events.cc.
#include "tests/sim/model_cluster.h"

#include <algorithm>

#include "tests/sim/model_commands.h"
#include "tests/sim/model_redis.h"

namespace nearcached::sim {

namespace {

// CRC16/XMODEM, bit by bit; not the product's table, whose mistakes it would share.
std::uint16_t Crc16(std::string_view text) {
  std::uint16_t crc = 0;
  for (const char c : text) {
    crc = static_cast<std::uint16_t>(crc ^ (static_cast<unsigned char>(c) << 8U));
    for (int bit = 0; bit < 8; ++bit) {
      const bool top = (crc & 0x8000U) != 0;
      crc = static_cast<std::uint16_t>(crc << 1U);
      crc = top ? static_cast<std::uint16_t>(crc ^ 0x1021U) : crc;
    }
  }
  return crc;
}

Reply Number(std::size_t n) {
  return Reply::Integer(static_cast<std::int64_t>(n));
}

}  // namespace

ModelCluster::ModelCluster(Env& env, const Shape& shape, Duration heed_max)
    : env_(env),
      shape_(shape),
      heed_max_(heed_max),
      nodes_(shape.shards * (1 + shape.replicas)),
      truth_(kSlots) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i].shard = i % shape.shards;
    nodes_[i].state = i < shape.shards ? State::kPrimary : State::kReplica;
  }
  // Cut where the slots of the tags are, so that each primary owns one of them at least.
  std::vector<Slot> tags;
  for (std::size_t tag = 0; tag < kTags; ++tag) {
    tags.push_back(SlotOf("{" + std::to_string(tag) + "}"));
    touched_[tags.back()] = MonoTime{};
  }
  std::sort(tags.begin(), tags.end());
  std::uint16_t owner = 0;
  for (Slot slot = 0; slot < kSlots; ++slot) {
    if (owner + 1U < shape.shards && slot == tags[owner + 1U]) {
      ++owner;
    }
    truth_[slot] = {owner, epoch_};
  }
  for (const auto& [slot, changed] : touched_) {
    slot_homes_[slot] = {{0, nodes_[truth_[slot].owner].shard}};
  }
  for (std::size_t i = 0; i < shape.shards; ++i) {
    BeginHistory(i);
  }
  for (Node& node : nodes_) {
    node.view = truth_;
  }
}

ModelCluster::Slot ModelCluster::SlotOf(std::string_view key) {
  const std::size_t open = key.find('{');
  const std::size_t close = open == std::string_view::npos ? open : key.find('}', open + 1);
  if (close != std::string_view::npos && close != open + 1) {
    key = key.substr(open + 1, close - open - 1);
  }
  return Crc16(key) % kSlots;
}

std::vector<std::string> ModelCluster::Hosts() const {
  std::vector<std::string> hosts;  // some of them: the rest is found out
  for (std::size_t i = 0; i < nodes_.size(); i += 2) {
    hosts.push_back(NameOf(i) + ":" + std::to_string(kPort));
  }
  return hosts;
}

std::optional<std::size_t> ModelCluster::NodeOf(const Endpoint& endpoint) const {
  return static_cast<std::size_t>(endpoint.host.back() - '0');
}

DialOutcome ModelCluster::Dialled(const Endpoint& endpoint) const {
  const Node& node = nodes_[*NodeOf(endpoint)];
  return node.state == State::kDown                 ? DialOutcome::kRefused
         : node.state == State::kSilent || node.cut ? DialOutcome::kHangs
                                                    : DialOutcome::kAccepted;
}

void ModelCluster::Accepted(SimConnection& connection, const Endpoint& endpoint) {
  nodes_[*NodeOf(endpoint)].connections.push_back(&connection);
}

Reply ModelCluster::Role(std::size_t node) const {
  if (nodes_[node].state != State::kReplica) {
    return Reply::Array({Reply::Bulk("master"), Reply::Integer(1), Reply::Array({})});
  }
  return Reply::Array({Reply::Bulk("slave"), Reply::Bulk(NameOf(nodes_[node].shard)),
                       Reply::Integer(kPort), Reply::Bulk("connected"), Reply::Integer(1)});
}

// ---- who serves what ----------------------------------------------------------------------------

bool ModelCluster::Live(const std::string& key) const {
  return model_->store().Find({0, key}) != nullptr;
}

std::size_t ModelCluster::HomeOf(const std::string& key) const {
  const Slot slot = SlotOf(key);
  if (migration_ && migration_->slot == slot) {
    return migration_->moved.count(key) != 0 ? migration_->to : migration_->from;
  }
  return truth_[slot].owner;
}

bool ModelCluster::Hears(std::size_t node, const std::string& key) const {
  const std::size_t home = HomeOf(key);
  if (node == home) {
    return true;
  }
  return nodes_[node].shard == nodes_[home].shard && nodes_[node].state == State::kReplica &&
         !nodes_[node].apart && !nodes_[home].apart;
}

bool ModelCluster::Refuses(const Node& node) const {
  return node.refuses || (node.apart && env_.scheduler.Now() >= node.serves_until);
}

std::vector<std::string> ModelCluster::KeysConcerned(const ModelSession& session,
                                                     const ModelCommand& command,
                                                     const Args& args) const {
  if (command.name != "EXEC") {
    return KeysOf(command, args);
  }
  std::vector<std::string> keys;
  for (const Args& queued : session.queued) {
    if (const ModelCommand* row = FindModelCommand(Upper(queued.front()))) {
      const auto more = KeysOf(*row, queued);
      keys.insert(keys.end(), more.begin(), more.end());
    }
  }
  return keys;
}

std::optional<Reply> ModelCluster::Instead(const ModelSession& session, const ModelCommand& command,
                                           const Args& args) {
  const std::size_t at = session.node;
  const Node& node = nodes_[at];
  const auto list = KeysConcerned(session, command, args);
  const std::set<std::string> keys(list.begin(), list.end());
  if (keys.empty()) {
    return command.write && node.state == State::kReplica
               ? std::optional(
                     Reply::Error("READONLY You can't write against a read only replica."))
               : std::nullopt;
  }
  if (node.state == State::kDown || node.state == State::kSilent) {
    return Reply::Error("ERR this node is gone");  // nobody will read it
  }
  const Slot slot = SlotOf(*keys.begin());
  if (!std::ranges::all_of(keys, [&](const auto& key) { return SlotOf(key) == slot; })) {
    return Reply::Error("CROSSSLOT Keys in request don't hash to the same slot");
  }
  if (Refuses(node)) {
    return Reply::Error("CLUSTERDOWN The cluster is down");
  }
  if (auto read = ReadAtReplica(session, command, args)) {
    return read;
  }
  if (migration_ && migration_->slot == slot && (at == migration_->from || at == migration_->to)) {
    if (at == migration_->from || session.asking) {
      return InsteadMigrating(session, keys);
    }
  }
  const std::size_t owner = node.view[slot].owner;
  if (owner != at) {
    Elsewhere(at, slot, command.name);
    return Reply::Error("MOVED " + std::to_string(slot) + " " + NameOf(owner) + ":" +
                        std::to_string(kPort));
  }
  if (truth_[slot].owner != at) {
    env_.Fail("model", NameOf(at) + " serves a slot that " + NameOf(truth_[slot].owner) + " owns");
  }
  return std::nullopt;
}

// As getNodeByQuery() of Redis 7.0 for a slot that is open at both ends.
std::optional<Reply> ModelCluster::InsteadMigrating(const ModelSession& session,
                                                    const std::set<std::string>& keys) {
  Migration& way = *migration_;
  const bool source = session.node == way.from;
  std::size_t here = 0;
  for (const std::string& key : keys) {
    const bool live = Live(key);  // first: it may die of its TTL now
    here += live && (way.moved.count(key) == 0) == source ? 1 : 0;
    if (live && !source && way.moved.count(key) == 0) {
      env_.Fail("I8", NameOf(way.to) + " was sent ASKING for " + key + ", which is at " +
                          NameOf(way.from));
    }
  }
  if (source) {
    if (here == keys.size()) {
      return std::nullopt;
    }
    return here > 0 ? Reply::Error("TRYAGAIN Multiple keys request during rehashing of slot")
                    : Reply::Error("ASK " + std::to_string(way.slot) + " " + NameOf(way.to) + ":" +
                                   std::to_string(kPort));
  }
  if (keys.size() > 1 && here < keys.size()) {
    return Reply::Error("TRYAGAIN Multiple keys request during rehashing of slot");
  }
  for (const std::string& key : keys) {
    Migrated(key, way.to);
  }
  return std::nullopt;
}

// The node has told the product by MOVED that the slot is elsewhere. From then on it knows, once no
// other node can tell it the opposite.
void ModelCluster::Elsewhere(std::size_t node, Slot slot, std::string_view name) {
  const MonoTime now = env_.scheduler.Now();
  if (now < settled_at_) {
    return;
  }
  const MonoTime told = told_.try_emplace({node, slot}, now).first->second;
  if (now - told > heed_max_) {
    env_.Fail("I8", std::string(name) + " was sent to " + NameOf(node) + ", which has said since " +
                        FormatTime(told) + " that slot " + std::to_string(slot) + " is elsewhere");
  }
}

bool ModelCluster::AdmitDirect(const Args& args) {
  const auto serves = [this](std::size_t node) {
    return nodes_[node].state == State::kPrimary && !nodes_[node].apart && !nodes_[node].refuses &&
           !model_->stopped(node);
  };
  const ModelCommand* command = FindModelCommand(Upper(args.front()));
  const auto keys = KeysOf(*command, args);
  if (keys.empty()) {  // FLUSHALL: to every primary
    return std::ranges::all_of(PrimariesAtWork(), serves) &&
           PrimariesAtWork().size() == shape_.shards;
  }
  for (const std::string& key : keys) {
    if (migration_ && migration_->slot == SlotOf(key) && !Live(key)) {
      Migrated(key, migration_->to);
    }
    if (!serves(HomeOf(key))) {
      return false;
    }
  }
  return true;
}

std::optional<std::size_t> ModelCluster::SteadyHome(const std::string& key, MonoTime since) const {
  const auto it = touched_.find(SlotOf(key));
  const bool steady = it != touched_.end() && it->second < since && settled_at_ < since &&
                      !(migration_ && migration_->slot == it->first);
  return steady ? std::optional<std::size_t>(truth_[it->first].owner) : std::nullopt;
}

std::optional<MonoTime> ModelCluster::ServedSince(std::size_t tag) const {
  const Slot slot = SlotOf("{" + std::to_string(tag) + "}");
  const std::size_t owner = truth_[slot].owner;
  const Node& node = nodes_[owner];
  const MonoTime now = env_.scheduler.Now();
  if (node.state != State::kPrimary || node.apart || node.cut || node.refuses ||
      model_->stopped(owner) || (migration_ && migration_->slot == slot) || settled_at_ > now) {
    return std::nullopt;
  }
  return std::max(settled_at_, node.well_since);
}

// ---- what nodes say of the cluster --------------------------------------------------------------

std::vector<std::pair<ModelCluster::Slot, ModelCluster::Slot>> ModelCluster::RangesOf(
    std::size_t node, std::size_t owner) const {
  std::vector<std::pair<Slot, Slot>> ranges;
  const std::vector<Claim>& view = nodes_[node].view;
  for (Slot slot = 0; slot < kSlots; ++slot) {
    if (view[slot].owner != owner) {
      continue;
    }
    if (!ranges.empty() && ranges.back().second + 1 == slot) {
      ranges.back().second = slot;
    } else {
      ranges.emplace_back(slot, slot);
    }
  }
  return ranges;
}

Reply ModelCluster::ClusterReply(std::size_t node, const Args& args) const {
  const std::string what = Upper(args[1]);
  if (what == "SLOTS" && !shape_.shards_only) {
    return SlotsReply(node);
  }
  if (what == "SHARDS") {
    return ShardsReply(node);
  }
  if (Upper(args[1]) == "INFO") {
    return Reply::Bulk(std::string("cluster_enabled:1\r\ncluster_state:") +
                       (Refuses(nodes_[node]) ? "fail" : "ok") + "\r\n");
  }
  return Reply::Error("ERR unknown subcommand '" + args[1] + "'. Try CLUSTER HELP.");
}

Reply ModelCluster::SlotsReply(std::size_t node) const {
  const auto named = [&](std::size_t which) {
    return Reply::Array(
        {shape_.unnamed && which == node ? Reply::Nil() : Reply::Bulk(NameOf(which)),
         Reply::Integer(kPort), Reply::Bulk("id" + NameOf(which)), Reply::Array({})});
  };
  std::vector<Reply> ranges;
  for (std::size_t owner = 0; owner < nodes_.size(); ++owner) {
    for (const auto& [first, last] : RangesOf(node, owner)) {
      std::vector<Reply> range = {Number(first), Number(last), named(owner)};
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (i != owner && nodes_[i].shard == nodes_[owner].shard &&
            nodes_[i].state == State::kReplica) {
          range.push_back(named(i));
        }
      }
      ranges.push_back(Reply::Array(std::move(range)));
    }
  }
  return Reply::Array(std::move(ranges));
}

Reply ModelCluster::ShardsReply(std::size_t node) const {
  std::vector<Reply> shards;
  for (std::size_t shard = 0; shard < shape_.shards; ++shard) {
    std::vector<Reply> slots;
    std::vector<Reply> members;
    for (std::size_t i = shard; i < nodes_.size(); i += shape_.shards) {
      const auto ranges = RangesOf(node, i);
      for (const auto& [first, last] : ranges) {
        slots.push_back(Number(first));
        slots.push_back(Number(last));
      }
      const bool gone = nodes_[i].state == State::kDown || nodes_[i].state == State::kSilent;
      members.push_back(
          Reply::Map({Reply::Bulk("id"), Reply::Bulk("id" + NameOf(i)), Reply::Bulk("port"),
                      Reply::Integer(kPort), Reply::Bulk("endpoint"),
                      Reply::Bulk(shape_.unnamed && i == node ? "?" : NameOf(i)),
                      Reply::Bulk("role"), Reply::Bulk(ranges.empty() ? "replica" : "master"),
                      Reply::Bulk("health"), Reply::Bulk(gone ? "fail" : "online")}));
    }
    shards.push_back(Reply::Map({Reply::Bulk("slots"), Reply::Array(std::move(slots)),
                                 Reply::Bulk("nodes"), Reply::Array(std::move(members))}));
  }
  return Reply::Array(std::move(shards));
}

}  // namespace nearcached::sim
