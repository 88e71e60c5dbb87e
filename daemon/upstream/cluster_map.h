// The slot map of a cluster as one of its nodes sees it. Plain values, any thread.
// https://redis.io/docs/latest/commands/cluster-slots/
// https://redis.io/docs/latest/commands/cluster-shards/
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/byte_stream.h"
#include "daemon/upstream/cluster_slot.h"
#include "daemon/upstream/hiredis_reply.h"

namespace nearcached {

struct ClusterMap {
  // More primaries than this are no cluster that anybody runs (the specification says 1,000).
  static constexpr std::size_t kPrimariesMax = 1'024;
  static constexpr std::uint16_t kNobody = 0xffff;

  std::vector<Endpoint> primaries;    // those that own slots, in the order of their addresses
  std::vector<std::uint16_t> owners;  // by slot: index in `primaries`, or kNobody
  std::size_t covered = 0;            // slots that somebody owns
  std::size_t replicas = 0;           // replicas that are named

  ClusterMap() : owners(kSlots, kNobody) {}
};

// Takes the reply to CLUSTER SLOTS. A node without a host is at the host that was asked; all
// are reached as that one was, over TLS or not. Nothing
// when the reply makes no sense: slots out of range, one slot with two owners, no address.
[[nodiscard]] std::optional<ClusterMap> ParseClusterSlots(const UpstreamReply& reply,
                                                          const Endpoint& asked);

// Takes the reply to CLUSTER SHARDS. In a shard that names several masters, as it may for a moment
// in a failover, the first healthy one owns the slots; one that is marked failed does so only when
// there is no other. `tls`: which of a node's ports is meant.
[[nodiscard]] std::optional<ClusterMap> ParseClusterShards(const UpstreamReply& reply,
                                                           const Endpoint& asked, bool tls);

}  // namespace nearcached
