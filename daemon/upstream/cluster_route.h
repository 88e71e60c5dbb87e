// Where one request of a client belongs in a cluster, and how the answers of several nodes become
// one. Pure functions of the command table's row and the arguments. Any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/command/command_row.h"
#include "daemon/command/key_extract.h"
#include "daemon/upstream/cluster_slot.h"

namespace nearcached {

// How the replies of several nodes are put together. An error of any of them is the answer to the
// whole, the first one in the order of the parts: what the others did stays done.
enum class MergeKind : std::uint8_t {
  kFirst,         // all say the same: OK, a SHA1
  kSum,           // integers
  kPositions,     // MGET: elements go back to the places of their keys
  kConcat,        // KEYS: one array after the other
  kConcatUnique,  // PUBSUB CHANNELS: the same without doubles
  kSumEach,       // PUBSUB NUMSUB: integers are added place by place, the rest is the same anywhere
  kLeastEach,     // SCRIPT EXISTS: 1 only where every node says 1
  kOneOf,         // RANDOMKEY: any that is not nil
  kScan,          // SCAN: one node's, whose cursor gets the node added
};

struct Route {
  enum class Kind : std::uint8_t {
    kSlot,       // to who owns `slot`
    kAny,        // to any node; a redirection shows where it belongs after all
    kSplit,      // a part for each slot
    kPrimaries,  // to every primary
    kScan,       // to the node in the cursor
    kRefused,    // `error` says why
  };
  Kind kind = Kind::kAny;
  Slot slot = 0;                        // kSlot
  MergeKind merge = MergeKind::kFirst;  // kSplit, kPrimaries
  int step = 1;                         // kSplit: arguments a key takes with it, itself included
  std::string error{};                  // kRefused: a line for the client
};

// `keys` is reused memory. REQUIRES: !args.empty(), and `row` is the row of `args`.
[[nodiscard]] Route RouteOf(const CommandRow& row, std::span<const std::string_view> args,
                            std::vector<KeyVisit>& keys);

// One part of a split command: the same command with some of its keys.
struct SplitPart {
  Slot slot = 0;
  std::vector<std::uint32_t> positions;  // of its keys among all keys
};

// The parts of a kSplit command, one a slot, in the order in which the slots are first named.
[[nodiscard]] std::vector<SplitPart> SplitBySlot(std::span<const std::string_view> args, int step);

// The request of a part, appended to `out`.
void AppendPart(std::string& out, std::span<const std::string_view> args, int step,
                const SplitPart& part);

}  // namespace nearcached
