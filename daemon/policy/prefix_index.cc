// Every read asks this before L1 is looked up, so what counts is the number of branches that a
// processor cannot foresee. Choosing a child takes none: up to eight first bytes are compared at
// once in one word, more than that have a table. Labels are compared without calling memcmp,
// because most are a few bytes long and the call costs more than the comparison.
#include "daemon/policy/prefix_index.h"

#include <algorithm>
#include <bit>

#include "daemon/base/same_bytes.h"
#include "daemon/policy/byte.h"

namespace nearcached {

struct PrefixIndex::Entry {
  std::string_view prefix;
  std::int32_t value;
};

namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101U;

std::size_t SharedBytes(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                                  a.begin());
}

// The position from below of the first byte of `word` that equals `byte`; 8 when none does.
std::size_t PositionOf(std::uint64_t word, unsigned char byte) {
  const std::uint64_t difference = word ^ (kOnes * byte);
  // The classic test for a zero byte. A borrow can only set bits above the lowest zero byte.
  const std::uint64_t zeros = (difference - kOnes) & ~difference & (kOnes << 7U);
  return static_cast<std::size_t>(std::countr_zero(zeros)) / 8;
}

}  // namespace

PrefixIndex::PrefixIndex(std::span<const std::string_view> prefixes) : nodes_(1) {
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
  std::vector<std::span<const Entry>> groups;  // by the next byte
  for (auto rest = entries; !rest.empty(); rest = rest.subspan(groups.back().size())) {
    const char next = rest.front().prefix[depth];
    const auto end = std::find_if(rest.begin(), rest.end(),
                                  [&](const Entry& e) { return e.prefix[depth] != next; });
    groups.push_back(rest.first(static_cast<std::size_t>(end - rest.begin())));
  }
  AddChildren(node, groups, depth);
  const std::uint32_t children = nodes_[node].children;
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    Build(children + i, groups[i], depth + nodes_[children + i].label_size);
  }
}

// All children before any grandchild, so that they lie together.
void PrefixIndex::AddChildren(std::uint32_t node, std::span<const std::span<const Entry>> groups,
                              std::size_t depth) {
  const auto children = static_cast<std::uint32_t>(nodes_.size());
  nodes_.resize(nodes_.size() + groups.size());
  Node& parent = nodes_[node];
  parent.children = children;
  parent.child_count = static_cast<std::uint32_t>(groups.size());
  const bool few = groups.size() <= kFew;
  if (!few) {
    parent.fan = static_cast<std::uint32_t>(fans_.size());
    fans_.emplace_back();
  }
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    // The entries are sorted: what the first and the last share, all of them share.
    const std::string_view first = groups[i].front().prefix.substr(depth);
    const std::size_t shared = SharedBytes(first, groups[i].back().prefix.substr(depth));
    Node& child = nodes_[children + i];
    child.label = static_cast<std::uint32_t>(labels_.size());
    child.label_size = static_cast<std::uint32_t>(shared);
    labels_.append(first.substr(0, shared));
    if (few) {
      parent.first_bytes |= std::uint64_t{Byte(first.front())} << (8U * i);
    } else {
      fans_.back()[Byte(first.front())] = children + i;
    }
  }
}

// 0 when no child begins with `byte`.
std::uint32_t PrefixIndex::FindChild(const Node& node, char byte) const {
  if (node.child_count > kFew) {
    return fans_[node.fan][Byte(byte)];
  }
  const std::size_t at = PositionOf(node.first_bytes, Byte(byte));
  return at < node.child_count ? node.children + static_cast<std::uint32_t>(at) : 0;
}

std::int32_t PrefixIndex::FindBelowRoot(std::string_view key) const {
  const Node* node = nodes_.data();
  std::int32_t best = node->value;
  while (!key.empty()) {
    const std::uint32_t child = FindChild(*node, key.front());
    node = &nodes_[child];
    if (child == 0 || node->label_size > key.size() ||
        !SameBytes(key.data(), labels_.data() + node->label, node->label_size)) {
      break;
    }
    key.remove_prefix(node->label_size);
    best = node->value >= 0 ? node->value : best;
  }
  return best;
}

}  // namespace nearcached
