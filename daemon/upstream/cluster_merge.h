// Puts the replies of several nodes together. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/upstream/cluster_route.h"
#include "proto/protocol.h"

namespace nearcached {

struct MergePart {
  std::string reply;                     // whole, as it came, or an error line of our own, encoded
  std::vector<std::uint32_t> positions;  // kPositions: where its elements go
};

// The one reply to the client. Replies that do not have the form that `kind` asks for become an
// error: nothing is guessed. `choice` is any number: which of several the kOneOf takes.
// REQUIRES: !parts.empty(), and kind is not kScan.
[[nodiscard]] std::string MergeReplies(MergeKind kind, std::span<const MergePart> parts,
                                       std::uint64_t choice);

// A cursor of SCAN over all nodes: which node, and its own cursor there. `shape` is a number that
// changes with the set of nodes: a cursor of another shape is of no use, because the number of its
// node means another one now.
struct ScanCursor {
  static constexpr std::uint64_t kNodesMax = 1024;
  static constexpr std::uint64_t kShapes = 64;
  static constexpr std::uint64_t kNodeCursorMax = std::uint64_t{1} << 47U;

  std::uint64_t node = 0;
  std::uint64_t shape = 0;
  std::uint64_t cursor = 0;  // the node's own

  // Nothing when `text` is not a number. "0" starts at the first node, whatever the shape.
  static std::optional<ScanCursor> Parse(std::string_view text);
  [[nodiscard]] std::string ToString() const;
};

// A node's reply to SCAN with its cursor replaced: by `at` moved on, and once the node is done by
// the beginning of the next one; "0" after the last of `nodes`. Other replies stay as they are.
[[nodiscard]] std::string RewriteScanReply(std::string_view reply, ScanCursor at,
                                           std::uint64_t nodes);

}  // namespace nearcached
