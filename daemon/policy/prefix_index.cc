#include "daemon/policy/prefix_index.h"

#include <algorithm>
#include <cstring>

namespace nearcached {

struct PrefixIndex::Entry {
  std::string_view prefix;
  std::int32_t value;
};

namespace {

unsigned char Byte(char c) {
  return static_cast<unsigned char>(c);
}

// How many bytes all of [a, b] share, given that everything between them in order shares as many.
std::size_t SharedBytes(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                                  a.begin());
}

}  // namespace

PrefixIndex::PrefixIndex(std::span<const std::string_view> prefixes) : nodes_(1), first_bytes_(1) {
  std::vector<Entry> entries;
  entries.reserve(prefixes.size());
  for (const std::string_view prefix : prefixes) {
    entries.push_back({prefix, static_cast<std::int32_t>(entries.size())});
  }
  // Stable, so that the first of equal prefixes stays first and is the one that unique keeps.
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.prefix < b.prefix; });
  entries.erase(std::unique(entries.begin(), entries.end(),
                            [](const Entry& a, const Entry& b) { return a.prefix == b.prefix; }),
                entries.end());
  Build(0, entries, 0);
}

// Fills in `node`, whose path from the root is the first `depth` bytes that all `entries` share.
void PrefixIndex::Build(std::uint32_t node, std::span<const Entry> entries, std::size_t depth) {
  if (!entries.empty() && entries.front().prefix.size() == depth) {
    nodes_[node].value = entries.front().value;
    entries = entries.subspan(1);
  }
  // One child for each next byte; the children of a node lie together, so they are made first.
  std::vector<std::span<const Entry>> groups;
  for (auto rest = entries; !rest.empty(); rest = rest.subspan(groups.back().size())) {
    const char next = rest.front().prefix[depth];
    const auto end = std::find_if(rest.begin(), rest.end(),
                                  [&](const Entry& e) { return e.prefix[depth] != next; });
    groups.push_back(rest.first(static_cast<std::size_t>(end - rest.begin())));
  }
  const auto children = static_cast<std::uint32_t>(nodes_.size());
  nodes_[node].children = children;
  nodes_[node].child_count = static_cast<std::uint32_t>(groups.size());
  for (const auto& group : groups) {
    const std::string_view first = group.front().prefix.substr(depth);
    const std::size_t shared = SharedBytes(first, group.back().prefix.substr(depth));
    Node& child = nodes_.emplace_back();
    child.label = static_cast<std::uint32_t>(labels_.size());
    child.label_size = static_cast<std::uint32_t>(shared);
    first_bytes_.push_back(Byte(first.front()));
    labels_.append(first.substr(0, shared));
  }
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    Build(children + i, groups[i], depth + nodes_[children + i].label_size);
  }
}

const PrefixIndex::Node* PrefixIndex::FindChild(const Node& node, char byte) const {
  const unsigned char* first = first_bytes_.data() + node.children;
  const unsigned char* last = first + node.child_count;
  // Few children: in order is fastest. Many, as below the root: by halves.
  constexpr std::uint32_t kFew = 8;
  const unsigned char* at = node.child_count <= kFew ? std::find(first, last, Byte(byte))
                                                     : std::lower_bound(first, last, Byte(byte));
  return at != last && *at == Byte(byte)
             ? &nodes_[node.children + static_cast<std::size_t>(at - first)]
             : nullptr;
}

std::int32_t PrefixIndex::Find(std::string_view key) const {
  const Node* node = nodes_.data();
  std::int32_t best = node->value;
  while (!key.empty()) {
    node = FindChild(*node, key.front());
    if (node == nullptr || node->label_size > key.size() ||
        std::memcmp(key.data(), labels_.data() + node->label, node->label_size) != 0) {
      break;
    }
    key.remove_prefix(node->label_size);
    best = node->value >= 0 ? node->value : best;
  }
  return best;
}

}  // namespace nearcached
