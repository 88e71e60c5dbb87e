// What a node says of its part in replication: the reply to INFO replication
// (https://redis.io/docs/latest/commands/info/).
//
// INFO and not ROLE, because only INFO names the history that the node's data is of: the
// replication id, which a primary makes up when its data takes a way of its own and its replicas
// take over with it. Two nodes with the same id and offset have the same data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/upstream_url.h"
#include "daemon/base/result.h"
#include "daemon/upstream/hiredis_reply.h"

namespace nearcached {

struct ReplicationInfo {
  bool primary = false;
  bool link_up = false;     // of a replica: it hears its primary
  std::string history;      // master_replid
  std::int64_t offset = 0;  // how much of the history it has executed, in bytes
  std::vector<config::HostPort>
      replicas;  // of a primary: those in step, as they announce themselves
};

// The error is for people, and says what would help where we know.
[[nodiscard]] Result<ReplicationInfo> ParseReplicationInfo(const UpstreamReply& reply);

}  // namespace nearcached
