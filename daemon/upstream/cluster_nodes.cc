#include "daemon/upstream/cluster_nodes.h"

#include <utility>

#include "daemon/base/check.h"

namespace nearcached {

NodeIndex ClusterNodes::Ensure(const Endpoint& endpoint) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i] != nullptr) {
      const Endpoint known = nodes_[i]->topology.Primary();
      if (known.port == endpoint.port && known.host == endpoint.host) {
        return static_cast<NodeIndex>(i);
      }
    }
  }
  if (size() >= kNodesMax) {
    return kNoNode;
  }
  if (free_.empty()) {
    free_.push_back(static_cast<NodeIndex>(nodes_.size()));
    nodes_.emplace_back();
  }
  const NodeIndex index = free_.back();
  free_.pop_back();
  nodes_[index] = std::make_unique<Node>(endpoint);
  nodes_[index]->pool = make_pool_(nodes_[index]->topology);
  return index;
}

NodeIndex ClusterNodes::Find(const Pool& pool) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i] != nullptr && nodes_[i]->pool.get() == &pool) {
      return static_cast<NodeIndex>(i);
    }
  }
  return kNoNode;
}

void ClusterNodes::RemoveUser(NodeIndex node) {
  NC_CHECK(nodes_[node]->users > 0);
  --nodes_[node]->users;
}

void ClusterNodes::Retire(const std::function<bool(NodeIndex)>& keep) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const auto index = static_cast<NodeIndex>(i);
    if (nodes_[i] != nullptr && nodes_[i]->users == 0 && !keep(index)) {
      nodes_[i]->pool->Shutdown();
      nodes_[i].reset();
      free_.push_back(index);
    }
  }
}

void ClusterNodes::ForEach(const std::function<void(NodeIndex, Pool&)>& visit) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i] != nullptr && nodes_[i]->pool != nullptr) {
      visit(static_cast<NodeIndex>(i), *nodes_[i]->pool);
    }
  }
}

void ClusterNodes::Visit(const std::function<void(const Pool&)>& visit) const {
  for (const auto& node : nodes_) {
    if (node != nullptr && node->pool != nullptr) {
      visit(*node->pool);
    }
  }
}

}  // namespace nearcached
