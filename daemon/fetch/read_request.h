// A read that a flight asks upstream: GET of its key, or another read of it.
#pragma once

#include <string_view>

#include "daemon/command/command_row.h"
#include "proto/protocol.h"

namespace nearcached {

struct ReadRequest {
  // The request, whole and in canonical form. Empty: GET of the key, and nothing below counts.
  std::string_view bytes{};
  const CommandRow* row = nullptr;
  // In which the reply is wanted, whatever the fill link speaks.
  proto::Protocol protocol = proto::Protocol::kResp2;
};

}  // namespace nearcached
