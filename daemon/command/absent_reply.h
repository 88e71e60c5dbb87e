// Tells whether a reply is what a command answers for a key that does not exist.
#pragma once

#include <string_view>

#include "daemon/command/command_row.h"

namespace nearcached {

// `reply` is a whole reply in either protocol. Pure, any thread.
[[nodiscard]] bool SaysAbsent(AbsentReply absent, std::string_view reply);

}  // namespace nearcached
