// A client as CLIENT LIST describes it, and the words a client may use about itself.
// Pure; loop thread only.
// Source: https://redis.io/docs/latest/commands/client-list/
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "daemon/base/time.h"
#include "daemon/session/session.h"

namespace nearcached {

// Printable and without blanks, as CLIENT SETNAME and SETINFO demand.
[[nodiscard]] bool IsPlainClientWord(std::string_view text);

// One line with its end. `at_hand`: bytes of the request that is being carried out for this very
// client, 0 for others. Fields that mean nothing here (memory of the server's own buffers) are 0;
// `fd` is the client's place in the sidecar, `sub` counts patterns and shard channels too.
[[nodiscard]] std::string DescribeClient(const Session& session, MonoTime now, std::size_t at_hand);

// "normal" or "pubsub": what CLIENT LIST and CLIENT KILL call TYPE.
[[nodiscard]] std::string_view ClientTypeOf(const Session& session);

// The user the client counts as: the listener's.
[[nodiscard]] std::string_view ClientUserOf(const Session& session);

}  // namespace nearcached
