// What a client has said about itself. Part of its session.
#pragma once

#include <cstdint>
#include <string>

#include "daemon/cache/cache_key.h"
#include "daemon/command/command_row.h"
#include "proto/protocol.h"

namespace nearcached {

// Whether the client is sent replies at all: CLIENT REPLY.
enum class Replies : std::uint8_t {
  kOn,
  kOff,
  kSkipNext,  // CLIENT REPLY SKIP has just been taken; itself it has no reply either
  kSkip,      // the next request's is left out
};

struct ClientState {
  proto::Protocol protocol = proto::Protocol::kResp2;
  DbIndex db = 0;
  bool authenticated = false;
  Replies replies = Replies::kOn;
  std::uint64_t seat = 0;                    // which lane it travels on, see Upstream::Lane
  bool tracking = false;                     // CLIENT TRACKING ON was sent, over a link of its own
  std::int64_t redirect = -1;                // to which client, by our ids; -1: none, 0: itself
  const CommandRow* last_command = nullptr;  // rows outlive sessions
  std::string user;                          // of the upstream, if the client has logged in there
  std::string name;
  std::string lib_name;
  std::string lib_version;
};

}  // namespace nearcached
