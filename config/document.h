// A configuration document after YAML and before meaning: scalars, lists and maps with places.
//
// Thread: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nearcached::config {

struct Entry;

struct Node {
  enum class Kind : std::uint8_t { kNothing, kScalar, kList, kMap };
  Kind kind = Kind::kNothing;
  int line = 0;                // from 1; 0: the document has no lines of its own
  int column = 0;              // from 1
  std::string text;            // kScalar
  std::vector<Node> items;     // kList
  std::vector<Entry> entries;  // kMap: as written, the same key may be there twice
};

struct Entry {
  std::string key;
  int line = 0;
  int column = 0;
  Node value;
};

}  // namespace nearcached::config
