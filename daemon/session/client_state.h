// What a client has said about itself. Part of its session.
#pragma once

#include <string>

#include "daemon/cache/cache_key.h"
#include "proto/protocol.h"

namespace nearcached {

struct ClientState {
  proto::Protocol protocol = proto::Protocol::kResp2;
  DbIndex db = 0;
  bool authenticated = false;
  std::string name;
  std::string lib_name;
  std::string lib_version;
};

}  // namespace nearcached
