// The nodes of a cluster that we talk to, each with a pool of links of its own.
//
// A node gets its number when it is first named, by a slot map or by a redirection, and keeps it
// while anybody uses it. Nodes that own no slot any more are let go at the end of a turn.
// Owned by the cluster; loop thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "daemon/upstream/cluster_slot_table.h"
#include "daemon/upstream/pool.h"
#include "daemon/upstream/topology.h"

namespace nearcached {

class ClusterNodes {
 public:
  // More than this, and somebody is making nodes up.
  static constexpr std::size_t kNodesMax = 4'096;

  // Makes the pool of a node and starts it.
  using MakePool = std::function<std::unique_ptr<Pool>(Topology&)>;
  explicit ClusterNodes(MakePool make_pool) : make_pool_(std::move(make_pool)) {}

  // The node at this address, new or known. kNoNode when there are too many.
  NodeIndex Ensure(const Endpoint& endpoint);

  [[nodiscard]] Pool& pool(NodeIndex node) const { return *nodes_[node]->pool; }
  [[nodiscard]] Endpoint endpoint(NodeIndex node) const { return nodes_[node]->topology.Primary(); }
  // Whether that is still the number of a node.
  [[nodiscard]] bool has(NodeIndex node) const { return nodes_[node] != nullptr; }
  // kNoNode when it is none of them (any more).
  [[nodiscard]] NodeIndex Find(const Pool& pool) const;
  [[nodiscard]] std::size_t size() const { return nodes_.size() - free_.size(); }

  // Somebody has sent something there, or has borrowed a link of it, and waits.
  void AddUser(NodeIndex node) { ++nodes_[node]->users; }
  void RemoveUser(NodeIndex node);

  // Lets go of nodes that nobody uses and `keep` does not name. Not from a callback of a pool.
  void Retire(const std::function<bool(NodeIndex)>& keep);

  void ForEach(const std::function<void(NodeIndex, Pool&)>& visit);
  // The same for those who only look.
  void Visit(const std::function<void(const Pool&)>& visit) const;

 private:
  struct Node {
    explicit Node(const Endpoint& endpoint) : topology(endpoint) {}
    SingleTopology topology;
    std::unique_ptr<Pool> pool;
    std::size_t users = 0;
  };

  MakePool make_pool_;
  std::vector<std::unique_ptr<Node>> nodes_;  // by number; null: free
  std::vector<NodeIndex> free_;
};

}  // namespace nearcached
