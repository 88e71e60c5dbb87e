// Longest-prefix lookup over a fixed set of byte strings: a radix tree in three flat arrays.
//
// Immutable after construction, any thread. A lookup visits one node per place where the stored
// prefixes part, whatever their number.
#pragma once

#include <array>
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

  // The position of the longest stored prefix that `key` begins with, or -1.
  [[nodiscard]] std::int32_t Find(std::string_view key) const;

  [[nodiscard]] bool empty() const { return nodes_.size() == 1 && nodes_[0].value < 0; }

 private:
  struct Entry;  // a prefix and its position, while building
  // Below a node, its children lie next to each other, ordered by the first byte of their labels.
  struct Node {
    std::uint32_t label = 0;  // offset in labels_: the bytes between the parent and this node
    std::uint32_t label_size = 0;
    std::uint32_t children = 0;  // index of the first child in nodes_ and first_bytes_
    std::uint32_t child_count = 0;
    std::int32_t value = -1;
  };
  void Build(std::uint32_t node, std::span<const Entry> entries, std::size_t depth);
  [[nodiscard]] const Node* FindChild(const Node& node, char byte) const;

  std::vector<Node> nodes_;                 // [0] is the root
  std::vector<unsigned char> first_bytes_;  // of each node's label; [0] unused
  std::string labels_;
};

}  // namespace nearcached
