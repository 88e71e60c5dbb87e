// What a model server asks of whoever knows its nodes: who may serve what, and who hears of what.
//
// There is one store; nodes differ in what of it they may serve. Implemented by NodeGroup (one
// primary, replicas, sentinels) and ModelCluster (slots).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/byte_stream.h"
#include "tests/sim/resp.h"
#include "tests/sim/sim_network.h"

namespace nearcached::sim {

struct ModelCommand;
struct ModelSession;

class ServerNodes {
 public:
  virtual ~ServerNodes() = default;

  // What the product is configured with: "n0:6379" …
  [[nodiscard]] virtual std::vector<std::string> Hosts() const = 0;
  // The place of an endpoint among the nodes; nothing when it is none (a sentinel).
  [[nodiscard]] virtual std::optional<std::size_t> NodeOf(const Endpoint& endpoint) const = 0;
  // Whether the endpoint can be reached now.
  [[nodiscard]] virtual DialOutcome Dialled(const Endpoint& endpoint) const = 0;
  // Takes the world end of a connection that was accepted.
  virtual void Accepted(SimConnection& connection, const Endpoint& endpoint) = 0;

  // The reply to ROLE.
  [[nodiscard]] virtual Reply Role(std::size_t node) const = 0;
  // What INFO says under "Replication".
  [[nodiscard]] virtual std::string Replication(std::size_t /*node*/) const {
    return "role:master\r\n";
  }
  // The reply to CLUSTER, whole.
  [[nodiscard]] virtual Reply ClusterReply(std::size_t /*node*/, const Args& /*args*/) const {
    return Reply::Error("ERR This instance has cluster support disabled");
  }
  // What the session's node answers instead of executing `args`; nothing if it executes them.
  [[nodiscard]] virtual std::optional<Reply> Instead(const ModelSession& session,
                                                     const ModelCommand& command,
                                                     const Args& args) = 0;
  // Whether the key is, or would be written, on this node.
  [[nodiscard]] virtual bool Holds(std::size_t /*node*/, const std::string& /*key*/) const {
    return true;
  }
  // Whether the node hears of what is done to the key: it holds it, or replicates who does.
  [[nodiscard]] virtual bool Hears(std::size_t /*node*/, const std::string& /*key*/) const {
    return true;
  }
  // The node that has had the key ever since `since`; nothing when that is not certain.
  [[nodiscard]] virtual std::optional<std::size_t> SteadyHome(const std::string& /*key*/,
                                                              MonoTime /*since*/) const {
    return std::nullopt;
  }
  [[nodiscard]] virtual bool IsPrimary(std::size_t /*node*/) const { return true; }
  // Whether the nodes have a keyspace of their own each, and in what shape.
  [[nodiscard]] virtual bool clustered() const { return false; }
  [[nodiscard]] virtual std::size_t nodes() const = 0;
};

}  // namespace nearcached::sim
