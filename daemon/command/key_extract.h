// Finds the keys that one call of a command names, and how long the call may wait.
//
// Pure functions of a row and the call's arguments (name first, as the client sent them). They
// never read beyond the arguments, whatever those say, and never allocate beyond `out`. Any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/base/time.h"
#include "daemon/command/command_row.h"

namespace nearcached {

// One key of a call. The view points into the arguments.
struct KeyVisit {
  std::string_view key;
  bool write = false;
  friend bool operator==(const KeyVisit&, const KeyVisit&) = default;
};

enum class KeysVerdict : std::uint8_t {
  kNone,     // the call names no key
  kKeys,     // `out` holds every key that the call names, in the order of the specifications
  kUnknown,  // the keys cannot be told apart: `out` holds every argument, each as written (R8)
};

// Fills `out` (cleared first; keep one and reuse it, then nothing is allocated). kUnknown covers
// commands nobody knows and calls that contradict their row, such as a key count that is no number
// or is larger than the call: the server will most likely refuse those, but what a newer server
// makes of them is not ours to guess. A key may occur more than once.
// Beyond the keys, row.flags count: kWide and kFlushesAll may change keys that no argument names.
[[nodiscard]] KeysVerdict ExtractKeys(const CommandRow& row, std::span<const std::string_view> args,
                                      std::vector<KeyVisit>& out);

// How long a call may wait at the server before it answers.
struct BlockingWait {
  enum class Kind : std::uint8_t {
    kNotBlocking,  // answers at once: a plain command, XREAD without BLOCK, BLPOP with bad timeout
    kFor,          // at most `wait`
    kForever,      // timeout 0, or nobody knows how long
  };
  Kind kind = Kind::kNotBlocking;
  Duration wait{0};  // kFor only; at most about 292 years are representable, longer is kForever
};

// Reads the timeout argument of the call. A timeout that is missing, negative or no number gives
// kNotBlocking: the server refuses such a call at once.
[[nodiscard]] BlockingWait BlockingWaitOf(const CommandRow& row,
                                          std::span<const std::string_view> args);

}  // namespace nearcached
