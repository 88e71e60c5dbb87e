// How far a session is with a request that it hands on as it comes (session_upload.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "daemon/base/time.h"

namespace nearcached {

struct UploadState {
  // The input goes on with the rest of a request whose beginning was taken. Where it goes to is the
  // session's exclusive link; without one (refused, lost) it is skipped to its end.
  bool active = false;
  // The session is parked with the beginning of a request that is to be handed on as it comes.
  bool begins = false;
  std::uint64_t seq = 0;                 // its slot
  std::optional<MonoTime> behind_since;  // the upstream has taken nothing more since then
  std::size_t unsent = 0;                // what it had left to take at that time
};

}  // namespace nearcached
