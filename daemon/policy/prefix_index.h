// Longest-prefix lookup over a fixed set of byte strings: a radix tree in flat arrays.
//
// Immutable after construction, any thread. A lookup visits one node per place where the stored
// prefixes part, whatever their number.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nearcached {

class PrefixIndex {
 public:
  // Values are positions in `prefixes`; of equal prefixes the first counts. Copies what it needs.
  explicit PrefixIndex(std::span<const std::string_view> prefixes);

  // The position of the longest stored prefix that `key` begins with, or -1. No allocation.
  [[nodiscard]] std::int32_t Find(std::string_view key) const {
    return nodes_.size() == 1 ? nodes_.front().value : FindBelowRoot(key);
  }

 private:
  struct Entry;  // a prefix and its position, while building
  // Below a node, its children lie next to each other, ordered by the first byte of their labels.
  struct Node {
    std::uint64_t first_bytes = 0;  // of up to kFew children, one a byte, from the lowest
    std::uint32_t label = 0;        // offset in labels_: the bytes between the parent and this node
    std::uint32_t label_size = 0;
    std::uint32_t children = 0;  // index of the first child in nodes_
    std::uint32_t child_count = 0;
    std::int32_t value = -1;
    std::uint32_t fan = 0;  // more than kFew children: index in fans_
  };
  static constexpr std::size_t kFew = 8;
  // For each byte the index of the child in nodes_, 0 for none (no child is the root).
  using Fan = std::array<std::uint32_t, 256>;

  void Build(std::uint32_t node, std::span<const Entry> entries, std::size_t depth);
  void AddChildren(std::uint32_t node, std::span<const std::span<const Entry>> groups,
                   std::size_t depth);
  [[nodiscard]] std::int32_t FindBelowRoot(std::string_view key) const;
  [[nodiscard]] std::uint32_t FindChild(const Node& node, char byte) const;

  std::vector<Node> nodes_;  // [0] is the root
  std::vector<Fan> fans_;
  std::string labels_;
};

}  // namespace nearcached
