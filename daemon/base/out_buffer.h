// What waits to be written to one stream: small pieces copied together, large ones by reference.
//
// Owned by a session or a link; loop thread only. Filled all through a loop turn and flushed once
// at its end (performance.md 2).
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/base/byte_stream.h"

namespace nearcached {

class OutBuffer {
 public:
  // The string that encoders append to. Valid until the next call of anything else here.
  std::string& Tail() { return tail_; }

  void Append(std::string_view bytes) { tail_.append(bytes); }

  // Queues `bytes` without copying them; `keep` holds them alive until they are written.
  void AppendShared(std::string_view bytes, std::shared_ptr<const void> keep);

  // Offers everything to `stream`; keeps what it does not take. True when nothing is left.
  bool Flush(ByteStream& stream);

  [[nodiscard]] std::size_t size() const { return earlier_bytes_ + tail_.size() - sent_; }
  [[nodiscard]] bool empty() const { return size() == 0; }

  // Drops everything that has not been written.
  void Clear();
  // Gives back memory kept for reuse. REQUIRES: empty().
  void Release();

 private:
  struct Chunk {
    std::string own;
    std::string_view view;             // of `own`, or of what `keep` keeps
    std::shared_ptr<const void> keep;  // sole other owner: the cache entry it pins
  };

  void Consume(std::size_t n);

  std::deque<Chunk>& earlier() {
    if (earlier_ == nullptr) {
      earlier_ = std::make_unique<std::deque<Chunk>>();
    }
    return *earlier_;
  }

  std::unique_ptr<std::deque<Chunk>> earlier_;  // written before tail_; absent for most sessions
  std::size_t earlier_bytes_ = 0;
  std::string tail_;
  std::size_t sent_ = 0;  // bytes of the first chunk (or of tail_, with no earlier ones) written
};

}  // namespace nearcached
