// Ways in which a stream of bytes can arrive. Every test of a decoder goes through these: where
// the network cuts must not be visible in what is decoded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace nearcached::proto {

// The sizes of the pieces, in order; they sum up to the size of the stream.
using Cut = std::vector<std::size_t>;

inline Cut Uncut(std::size_t size) {
  return {size};
}

inline Cut CutAt(std::size_t first, std::size_t size) {
  return {first, size - first};
}

inline Cut ByteByByte(std::size_t size) {
  return Cut(size, 1);
}

inline Cut RandomCut(std::mt19937_64& random, std::size_t size, std::size_t piece_max) {
  Cut cut;
  while (size > 0) {
    const std::size_t piece = std::min<std::size_t>(size, 1 + random() % piece_max);
    cut.push_back(piece);
    size -= piece;
  }
  return cut;
}

// Whole, byte by byte, and in two at every place.
inline std::vector<Cut> EveryCut(std::size_t size) {
  std::vector<Cut> cuts = {Uncut(size), ByteByByte(size)};
  for (std::size_t first = 1; first < size; ++first) {
    cuts.push_back(CutAt(first, size));
  }
  return cuts;
}

// A copy of `bytes` in an allocation of exactly their size, so that a sanitizer sees a read beyond
// the end, and somewhere else each time, so that nobody can keep a pointer into the last one.
class ExactCopy {
 public:
  explicit ExactCopy(std::string_view bytes) : bytes_(bytes.begin(), bytes.end()) {
    bytes_.shrink_to_fit();
  }
  [[nodiscard]] std::string_view view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::vector<char> bytes_;
};

}  // namespace nearcached::proto
