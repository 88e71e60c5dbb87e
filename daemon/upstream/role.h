// What a node says it is: the reply to ROLE (https://redis.io/docs/latest/commands/role/).
#pragma once

#include <cstddef>
#include <cstdint>

#include "daemon/base/result.h"
#include "daemon/upstream/hiredis_reply.h"

namespace nearcached {

struct NodeRole {
  bool primary = false;
  std::int64_t offset = 0;   // of the replication stream; -1: a replica that never had one
  std::size_t replicas = 0;  // of a primary: connected to it now
};

// The error is for people, and says what would help where we know.
[[nodiscard]] Result<NodeRole> ParseRole(const UpstreamReply& reply);

}  // namespace nearcached
