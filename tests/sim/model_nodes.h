// Several nodes of which one is the primary, and sentinels that know which, more or less.
//
// There is one truth, the data of the model server; what differs between nodes is who may serve it.
// A node that was primary serves for a grace period after it no longer is, because nobody can know
// at once; beyond it a data command that reaches a node which is no primary breaks I8. So does a
// product that is not back in service, on the new primary, within its bound. Losing writes at a
// failover is Redis's own doing and is measured against real servers, not here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/byte_stream.h"
#include "tests/sim/env.h"
#include "tests/sim/model_store.h"
#include "tests/sim/resp.h"
#include "tests/sim/server_nodes.h"
#include "tests/sim/sim_network.h"

namespace nearcached::sim {

// What the product promises about another primary.
struct NodePromises {
  Duration leave_max{};   // a node that answers as a replica, or that was outvoted, is left
  Duration return_max{};  // service on the new primary after a crash or a demotion
  Duration silent_max{};  // … after the old one fell silent
};

class NodeGroup final : public ServerNodes {
 public:
  struct Shape {
    int nodes = 3;
    int sentinels = 0;  // 0: the product has a list of the nodes
    bool one_lies = false;
  };

  NodeGroup(Env& env, const Shape& shape, const NodePromises& promises);
  NodeGroup(const NodeGroup&) = delete;
  NodeGroup& operator=(const NodeGroup&) = delete;
  ~NodeGroup() override;

  // ServerNodes
  [[nodiscard]] std::vector<std::string> Hosts() const override;
  [[nodiscard]] std::optional<std::size_t> NodeOf(const Endpoint& endpoint) const override;
  [[nodiscard]] DialOutcome Dialled(const Endpoint& endpoint) const override;
  void Accepted(SimConnection& connection, const Endpoint& endpoint) override;
  [[nodiscard]] Reply Role(std::size_t node) const override;
  [[nodiscard]] std::string Replication(std::size_t node) const override;
  [[nodiscard]] std::optional<Reply> Instead(const ModelSession& session,
                                             const ModelCommand& command,
                                             const Args& args) override;
  [[nodiscard]] std::size_t nodes() const override { return nodes_.size(); }

  // Another node becomes the primary, in one of the ways there are; the old one comes back in time.
  // Does nothing while the change before is not over. `asked`: how many requests for data clients
  // have sent; nothing once they stop.
  using Asked = std::function<std::optional<std::uint64_t>()>;
  void ChangePrimary(const Asked& asked);

  // From now on replicas answer reads, from what they have of the history of `store`.
  void ServeFromReplicas(Store& store) { store_ = &store; }
  [[nodiscard]] std::uint64_t replica_reads() const { return replica_reads_; }

  [[nodiscard]] std::uint64_t changes() const { return changes_; }

 private:
  enum class State : std::uint8_t { kPrimary, kReplica, kStalePrimary, kDown, kSilent };
  struct Node {
    State state = State::kReplica;
    MonoTime grace_end{};  // while it is no primary: until when it may still be taken for one
    // Of a replica that is read from: it takes what its primary has in steps, and each only when
    // the next one is there.
    mutable std::uint64_t applied = 0;
    mutable std::uint64_t arrived = 0;
    mutable MonoTime next_step{};
    std::uint64_t follows = 1;  // whose history it has, by epoch; one that is over does not go on
    MonoTime used{};            // when it last executed a data command as the primary
    std::vector<SimConnection*> connections;
  };
  struct Sentinel;

  void Promote(std::size_t next, Duration grace, Duration bound, const Asked& asked);
  void JudgeService(std::size_t node, MonoTime promoted, const Asked& asked);
  [[nodiscard]] bool IsUnused(std::size_t node, MonoTime since) const {
    return nodes_[node].state == State::kPrimary && primary_ == node && nodes_[node].used <= since;
  }
  void Become(std::size_t node, State state, Duration grace);
  void Teach();
  [[nodiscard]] std::uint64_t Applied(std::size_t node) const;
  Reply ReadAtReplica(const ModelSession& session, const Args& args);
  [[nodiscard]] std::size_t replicas() const;
  [[nodiscard]] std::string NameOf(std::size_t node) const { return "n" + std::to_string(node); }

  Env& env_;
  const Shape shape_;
  const NodePromises promises_;
  std::vector<Node> nodes_;
  std::vector<std::unique_ptr<Sentinel>> sentinels_;
  std::size_t primary_ = 0;
  std::uint64_t epoch_ = 1;
  std::uint64_t changes_ = 0;
  Store* store_ = nullptr;  // null: replicas are not read from
  std::uint64_t replica_reads_ = 0;
  bool changing_ = false;
};

}  // namespace nearcached::sim
