// The EVALSHA that a client sent last, kept until it is answered, should the server not know the
// script (session_scripts.cc). Part of its session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/base/time.h"
#include "daemon/fetch/footprint.h"
#include "daemon/fetch/script_memory.h"

namespace nearcached {

struct ScriptCall {
  enum class Stage : std::uint8_t {
    kSent,
    kAsking,  // it was answered with NOSCRIPT; the server is asked whether that is so
    kAgain,   // sent once more
  };
  Stage stage = Stage::kSent;
  std::uint64_t seq = 0;  // its slot
  ScriptRef script;
  std::string bytes;                   // the request
  std::optional<Footprint> footprint;  // for its second journey
  Duration timeout{};
  std::string refusal;  // kAsking: the NOSCRIPT, verbatim
};

}  // namespace nearcached
