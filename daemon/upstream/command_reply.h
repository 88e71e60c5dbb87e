// Turns the upstream's COMMAND reply into plain rows
// (https://redis.io/docs/latest/commands/command/).
#pragma once

#include <vector>

#include "daemon/command/upstream_command.h"
#include "daemon/upstream/hiredis_reply.h"

namespace nearcached {

// Entries that do not have the documented form are left out; nothing is judged here.
[[nodiscard]] std::vector<UpstreamCommand> ParseCommandReply(const UpstreamReply& reply);

}  // namespace nearcached
