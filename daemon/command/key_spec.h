// Where the keys of a command are among its arguments, as data.
//
// The two-step form of Redis 7 (https://redis.io/docs/latest/develop/reference/key-specs/): first
// find where the keys begin, then find how many there are. Built-in rows and rows learned from the
// upstream's COMMAND reply use the same form. Plain constant values, any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace nearcached {

// What a command may do to the keys that one specification finds. kWrite covers every change that a
// reader of the key can notice: its value, its TTL, its existence.
enum class KeyAccess : std::uint8_t { kRead, kWrite };

struct KeySpec {
  enum class Begin : std::uint8_t {
    kIndex,    // at argument `begin`
    kKeyword,  // after `keyword`, searched from argument `begin`; no such argument: no keys
  };
  enum class Find : std::uint8_t {
    kRange,   // from the first key to `last`, every `step` arguments
    kKeynum,  // as many as the argument at `count_at` says, from `first`, every `step` arguments
  };

  KeyAccess access = KeyAccess::kRead;
  Begin begin_by = Begin::kIndex;
  Find find_by = Find::kRange;
  // Index of an argument, 0 being the command's name. With kKeyword a negative value counts from
  // the end, where -1 is the last argument, and the search goes backwards.
  std::int16_t begin = 1;
  // kRange: the last key relative to the first one; negative counts from the end of the arguments,
  // where -1 is the last one.
  std::int16_t last = 0;
  // Distance between two keys; at least 1.
  std::int16_t step = 1;
  // kRange with last == -1: 2 stops at half of the remaining arguments, 3 at a third (XREAD); 0 and
  // 1 do not limit.
  std::int16_t limit = 0;
  // kKeynum: where the count and the first key are, relative to the beginning.
  std::int16_t count_at = 0;
  std::int16_t first = 1;
  // kKeyword only: lower case, compared without case. The bytes live as long as the row.
  std::string_view keyword{};
};

// How the keys of a command are found when data cannot say it.
enum class KeyScan : std::uint8_t {
  kSpecs,          // the row's specifications say all
  kSort,           // SORT: the key, and the destination after the last STORE that is an option
  kGeoRadius,      // GEORADIUS, GEORADIUSBYMEMBER: the key, and what follows STORE or STOREDIST
  kMigrate,        // MIGRATE: the third argument, or when that is empty all that follows KEYS
  kStreams,        // XREAD, XREADGROUP: the first half of what follows STREAMS, options skipped
  kEveryArgument,  // nobody knows: every argument may be a key, and may be written (R8)
};

}  // namespace nearcached
