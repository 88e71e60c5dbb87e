// Which of several nodes is the primary, from what each said last. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace nearcached {

// What is known of one node that may be the primary.
struct NodeView {
  bool says_primary = false;  // its last answer to ROLE
  std::uint32_t misses = 0;   // times in a row that it did not answer since
  std::size_t replicas = 0;   // connected to it, by its last answer
  std::int64_t offset = 0;    // of replication, by its last answer
  std::uint32_t votes = 0;    // sentinels that call it the primary
  std::uint64_t epoch = 0;    // the newest of their configurations that ever did; 0: not known
  bool insisted = false;      // a majority of sentinels has called it that for a long time
  bool incumbent = false;     // it is the one we follow
};

struct ChoiceRules {
  std::uint32_t misses_max = 3;  // an incumbent that was silent this often is no primary any more
  bool found = false;            // some node was followed before, perhaps none is now
  std::uint64_t epoch = 0;       // the newest that was followed; 0: not known
  std::uint32_t sentinels = 0;   // known ones; 0: there are none, replicas decide
};

// The place of the primary in `nodes`, or nothing.
[[nodiscard]] std::optional<std::size_t> ChoosePrimary(std::span<const NodeView> nodes,
                                                       const ChoiceRules& rules);

}  // namespace nearcached
