// How long one call of a command may wait at the server before it answers.
//
// A pure function of a row and the call's arguments. Any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "daemon/base/time.h"
#include "daemon/command/command_row.h"

namespace nearcached {

struct BlockingWait {
  enum class Kind : std::uint8_t {
    kNotBlocking,  // answers at once: a plain command, XREAD without BLOCK, BLPOP with timeout -1
    kFor,          // at most `wait`
    kForever,      // timeout 0, or nobody can tell how long
  };
  Kind kind = Kind::kNotBlocking;
  Duration wait{0};  // kFor only
};

// Reads the timeout argument of the call, whatever the row's handling (MIGRATE has one too). A
// timeout that is missing or negative gives kNotBlocking: the server refuses the call at once. One
// that this code cannot read gives kForever: waiting too long on a link of one's own harms nobody,
// while giving up too early on a shared link harms all who use it.
[[nodiscard]] BlockingWait BlockingWaitOf(const CommandRow& row,
                                          std::span<const std::string_view> args);

}  // namespace nearcached
