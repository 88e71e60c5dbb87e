// The bytes of reads that are on their way, in the order they were sent, so that they can be sent
// once more over a new connection. One copy into memory that is used again and again: cheaper than
// a string for each request.
//
// Plain value of a link; loop thread only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nearcached {

class ReplayLog {
 public:
  // More than this is not kept: what is sent then cannot be sent again.
  static constexpr std::size_t kBytesMax = 4 * 1024 * 1024;

  // Adds one request behind the others. False: there is no room.
  bool Keep(std::string_view request) {
    if (size() + request.size() > kBytesMax) {
      return false;
    }
    bytes_.append(request);
    return true;
  }

  // All that is kept, oldest first. Valid until the next call of anything else here.
  [[nodiscard]] std::string_view view() const { return std::string_view(bytes_).substr(begin_); }
  [[nodiscard]] std::size_t size() const { return bytes_.size() - begin_; }

  // The oldest `n` bytes are not needed any more. REQUIRES: n <= size().
  void Drop(std::size_t n) {
    begin_ += n;
    if (begin_ == bytes_.size()) {
      Clear();
    } else if (begin_ >= kCompactFrom && begin_ >= bytes_.size() / 2) {
      bytes_.erase(0, begin_);
      begin_ = 0;
    }
  }

  void Clear() {
    begin_ = 0;
    bytes_.clear();
    if (bytes_.capacity() > kReleaseAbove) {
      bytes_.shrink_to_fit();
    }
  }

 private:
  static constexpr std::size_t kCompactFrom = 16 * 1024;
  static constexpr std::size_t kReleaseAbove = 256 * 1024;

  std::string bytes_;
  std::size_t begin_ = 0;
};

}  // namespace nearcached
