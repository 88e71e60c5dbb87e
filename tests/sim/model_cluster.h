// A Redis Cluster: primaries that own slots, replicas that may take over, and what each believes.
//
// There is one truth, the data of the model server, and one truth about who owns a slot; but each
// node has a view of its own, which lags by gossip, and answers by it: MOVED, CLUSTER SLOTS. While
// a slot is migrated, each of its keys is on one of two nodes, and the nodes answer ASK and
// TRYAGAIN as getNodeByQuery() of Redis 7.0 does. A node that fell from the cluster but not from
// the product serves on until it notices; what is written there meanwhile is lost, as is the last
// of what was written to a primary that crashed.
//
// What is judged here (I8): after the views have settled, a slot's requests reach its owner and
// nobody else once the product was told; nobody is sent ASKING for a key that is not there to be
// found; no command is executed by two owners of one slot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/env.h"
#include "tests/sim/server_nodes.h"

namespace nearcached::sim {

class ModelRedis;

class ModelCluster final : public ServerNodes {
 public:
  // Slots that matter: keys end in {0} … {kTags-1}, see Traffic.
  static constexpr std::size_t kTags = 4;
  static constexpr int kPort = 6379;  // of every node
  // No node is later to hear of a change than this.
  static constexpr Duration kGossipMax = std::chrono::milliseconds(500);
  // A primary that sees no other stops serving after this.
  static constexpr Duration kNodeTimeout = std::chrono::milliseconds(700);

  // What happens in this world.
  struct Shape {
    std::size_t shards = 3;      // primaries, at first
    std::size_t replicas = 1;    // of each
    bool moves = false;          // slots are migrated
    bool failovers = false;      // primaries crash, fall silent, are asked to step down
    bool splits = false;         // a primary falls from the cluster, but not from the product
    bool cuts = false;           // nodes stop, or cannot be reached by the product
    bool shards_only = false;    // CLUSTER SLOTS is not known any more
    bool unnamed = false;        // nodes do not know their own address
    bool replica_reads = false;  // replicas answer who says READONLY, from what they have
    bool full_coverage = false;  // while a primary is missing the others refuse everything
  };

  // `heed_max`: how long after it was told that a slot is elsewhere the product may still ask
  // there.
  ModelCluster(Env& env, const Shape& shape, Duration heed_max);
  ModelCluster(const ModelCluster&) = delete;
  ModelCluster& operator=(const ModelCluster&) = delete;
  ~ModelCluster() override = default;

  // REQUIRES: called before anything connects. `model` outlives this.
  void SetModel(ModelRedis& model) { model_ = &model; }
  [[nodiscard]] std::uint64_t replica_reads() const { return replica_reads_; }

  // ServerNodes
  [[nodiscard]] std::vector<std::string> Hosts() const override;
  [[nodiscard]] std::optional<std::size_t> NodeOf(const Endpoint& endpoint) const override;
  [[nodiscard]] DialOutcome Dialled(const Endpoint& endpoint) const override;
  void Accepted(SimConnection& connection, const Endpoint& endpoint) override;
  [[nodiscard]] Reply Role(std::size_t node) const override;
  [[nodiscard]] std::string Replication(std::size_t node) const override;
  [[nodiscard]] Reply ClusterReply(std::size_t node, const Args& args) const override;
  [[nodiscard]] std::optional<Reply> Instead(const ModelSession& session,
                                             const ModelCommand& command,
                                             const Args& args) override;
  [[nodiscard]] bool Holds(std::size_t node, const std::string& key) const override {
    return HomeOf(key) == node;
  }
  [[nodiscard]] bool Hears(std::size_t node, const std::string& key) const override;
  [[nodiscard]] std::optional<std::size_t> SteadyHome(const std::string& key,
                                                      MonoTime since) const override;
  [[nodiscard]] bool IsPrimary(std::size_t node) const override {
    return nodes_[node].state == State::kPrimary;
  }
  [[nodiscard]] bool clustered() const override { return true; }
  [[nodiscard]] std::size_t nodes() const override { return nodes_.size(); }

  // Something happens, of what the shape permits. Does nothing while what began before goes on.
  void Disturb();

  // Another client of the cluster is about to write these keys: false when nobody could serve it.
  bool AdmitDirect(const Args& args);
  // Since when the slot of the tag has been served without anything in the way that the product
  // could not know of. Nothing: it is not.
  [[nodiscard]] std::optional<MonoTime> ServedSince(std::size_t tag) const;
  [[nodiscard]] const Shape& shape() const { return shape_; }

 private:
  using Slot = std::size_t;
  static constexpr Slot kSlots = 16'384;
  enum class State : std::uint8_t { kPrimary, kReplica, kDown, kSilent };
  // Who owns a slot, and since which epoch: the higher one is believed.
  struct Claim {
    std::uint16_t owner = 0;
    std::uint32_t epoch = 0;
  };
  struct Node {
    std::size_t shard = 0;
    State state = State::kReplica;
    bool apart = false;       // no other node hears from it, nor it from them
    bool cut = false;         // the product cannot reach it
    bool refuses = false;     // full_coverage: CLUSTERDOWN, whatever it is asked
    MonoTime serves_until{};  // apart: afterwards CLUSTERDOWN
    MonoTime well_since{};    // as a primary, or the end of what was wrong with it
    std::vector<Claim> view;  // by slot
    std::vector<SimConnection*> connections;
    // How far a replica is in its primary's history; see model_cluster_replicas.cc.
    std::string history;
    mutable std::uint64_t applied = 0;
    mutable std::uint64_t arrived = 0;
    mutable MonoTime next_step{};
  };
  // From which operation on the shard has a key, or all keys of a slot.
  struct Home {
    std::uint64_t op = 0;
    std::size_t shard = 0;
  };
  // A slot on its way.
  struct Migration {
    Slot slot = 0;
    std::size_t from = 0;
    std::size_t to = 0;
    std::set<std::string> moved;  // keys that are at `to`, or will be when they are written
  };

  static Slot SlotOf(std::string_view key);
  static std::string NameOf(std::size_t node) { return "c" + std::to_string(node); }
  [[nodiscard]] std::size_t HomeOf(const std::string& key) const;
  [[nodiscard]] bool Live(const std::string& key) const;
  // CLUSTERDOWN, whatever it is asked.
  [[nodiscard]] bool Refuses(const Node& node) const;
  [[nodiscard]] std::vector<std::string> KeysConcerned(const ModelSession& session,
                                                       const ModelCommand& command,
                                                       const Args& args) const;
  std::optional<Reply> InsteadMigrating(const ModelSession& session,
                                        const std::set<std::string>& keys);
  [[nodiscard]] bool HearsPrimary(std::size_t node) const;
  [[nodiscard]] std::uint64_t Applied(std::size_t node) const;
  void BeginHistory(std::size_t primary);
  void Resync(std::size_t node);
  void Homed(std::vector<Home>& homes, std::size_t node);
  void Migrated(const std::string& key, std::size_t to);
  [[nodiscard]] std::size_t ShardAt(const std::string& key, std::uint64_t op) const;
  std::optional<Reply> ReadAtReplica(const ModelSession& session, const ModelCommand& command,
                                     const Args& args);
  void Elsewhere(std::size_t node, Slot slot, std::string_view name);
  [[nodiscard]] Reply SlotsReply(std::size_t node) const;
  [[nodiscard]] Reply ShardsReply(std::size_t node) const;
  [[nodiscard]] std::vector<std::pair<Slot, Slot>> RangesOf(std::size_t node,
                                                            std::size_t owner) const;

  void Claims(std::size_t node, const std::vector<Slot>& slots, const std::vector<std::size_t>& at);
  void CatchUp(std::size_t node);
  void Isolate(std::size_t node, State state);
  void RefuseAll();
  void ServeAgain();
  [[nodiscard]] std::vector<Slot> SlotsOf(std::size_t node) const;
  [[nodiscard]] std::vector<std::size_t> PrimariesAtWork() const;
  [[nodiscard]] std::optional<std::size_t> ReplicaOf(std::size_t node) const;
  void BeginMigration();
  void MigrateSome();
  void FinishMigration();
  void FailOver();
  void StepDown(std::size_t old, std::size_t next);
  void SplitOff(std::size_t old, std::size_t next);
  void Promote(std::size_t old, std::size_t next, MonoTime lost_since);
  void ComeBack(std::size_t node, Duration after);
  void Cut();

  Env& env_;
  const Shape shape_;
  const Duration heed_max_;
  ModelRedis* model_ = nullptr;
  std::vector<Node> nodes_;
  std::vector<Claim> truth_;                               // by slot
  std::map<Slot, MonoTime> touched_;                       // of the slots that matter
  std::map<std::pair<std::size_t, Slot>, MonoTime> told_;  // that the slot is not there
  std::optional<Migration> migration_;
  std::map<Slot, std::vector<Home>> slot_homes_;        // of the slots that matter
  std::map<std::string, std::vector<Home>> key_homes_;  // of keys that were moved one by one
  std::uint64_t histories_ = 0;
  std::uint64_t replica_reads_ = 0;
  MonoTime settled_at_{};  // by then all nodes have heard of the last change
  std::uint32_t epoch_ = 1;
  bool busy_ = false;
};

}  // namespace nearcached::sim
