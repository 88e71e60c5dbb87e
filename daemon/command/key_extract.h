// Finds the keys that one call of a command names.
//
// A pure function of a row and the call's arguments (name first, as the client sent them). Never
// reads beyond the arguments, whatever those say. Any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

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
  kUnknown,  // the keys cannot be told apart: `out` holds every argument after the name (R8)
};

// Fills `out` (cleared first; keep one and reuse it, then nothing is allocated). A key may occur
// more than once. kUnknown covers commands nobody knows and calls that contradict their row, such
// as a key count that is no number or larger than the call: the server will most likely refuse
// those, but what a newer server makes of them is not ours to guess. The arguments then count as
// written, unless the row is read-only. Beyond the keys, row.flags count: kWide and kFlushesAll may
// change keys that no argument names.
[[nodiscard]] KeysVerdict ExtractKeys(const CommandRow& row, std::span<const std::string_view> args,
                                      std::vector<KeyVisit>& out);

}  // namespace nearcached
