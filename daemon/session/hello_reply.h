// What HELLO is answered with: about the client's own connection to the sidecar.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/protocol.h"

namespace nearcached {

// `version`: of the upstream; empty where it has not said.
void AppendHelloReply(std::string& out, proto::Protocol protocol, std::string_view version,
                      std::uint64_t client_id);

}  // namespace nearcached
