#include "daemon/base/out_buffer.h"

#include <array>

namespace nearcached {
namespace {
// Capacity kept between turns; above it the memory goes back, so one large reply is not paid for
// as long as its client stays connected.
constexpr std::size_t kKeepCapacity = 64 * 1024;
constexpr std::size_t kMaxParts = 64;
}  // namespace

void OutBuffer::AppendShared(std::string_view bytes, std::shared_ptr<const void> keep) {
  auto& chunks = earlier();
  if (!tail_.empty()) {
    Chunk& chunk = chunks.emplace_back();
    chunk.own = std::move(tail_);
    chunk.view = chunk.own;
    earlier_bytes_ += chunk.view.size();
    tail_ = std::string();
  }
  chunks.push_back({{}, bytes, std::move(keep)});
  earlier_bytes_ += bytes.size();
}

bool OutBuffer::Flush(ByteStream& stream) {
  if (earlier_ == nullptr && !tail_.empty()) {  // nearly always
    const iovec part{tail_.data() + sent_, tail_.size() - sent_};
    const std::size_t taken = stream.Write({&part, 1});
    if (taken < part.iov_len) {
      Consume(taken);
      return false;
    }
    tail_.clear();
    sent_ = 0;
  }
  while (!empty()) {
    // The first n are set below, and only they are used.
    std::array<iovec, kMaxParts> parts;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    std::size_t n = 0;
    std::size_t offered = 0;
    std::size_t skip = sent_;
    const auto add = [&](std::string_view view) {
      view.remove_prefix(skip);
      skip = 0;
      if (!view.empty()) {
        // iovec is shared with readv and so not const; nothing writes through it here.
        parts[n++] = {const_cast<char*>(view.data()), view.size()};  // NOLINT
        offered += view.size();
      }
    };
    if (earlier_ != nullptr) {
      for (const Chunk& chunk : *earlier_) {
        if (n == kMaxParts - 1) {
          break;
        }
        add(chunk.view);
      }
    }
    if (n < kMaxParts - 1) {
      add(tail_);
    }
    const std::size_t taken = stream.Write({parts.data(), n});
    Consume(taken);
    if (taken < offered) {
      return false;
    }
  }
  if (tail_.capacity() > kKeepCapacity) {
    Release();
  }
  return true;
}

void OutBuffer::Consume(std::size_t n) {
  sent_ += n;
  while (earlier_ != nullptr && !earlier_->empty() && sent_ >= earlier_->front().view.size()) {
    const std::size_t size = earlier_->front().view.size();
    sent_ -= size;
    earlier_bytes_ -= size;
    earlier_->pop_front();
  }
  if (earlier_ != nullptr && earlier_->empty()) {
    earlier_.reset();
  }
  if (earlier_ == nullptr && sent_ != 0) {
    if (sent_ == tail_.size()) {
      tail_.clear();
      sent_ = 0;
    } else if (sent_ > kKeepCapacity && sent_ > tail_.size() / 2) {
      tail_.erase(0, sent_);  // amortised: at most one byte moved for each byte written
      sent_ = 0;
    }
  }
}

void OutBuffer::Clear() {
  earlier_.reset();
  earlier_bytes_ = 0;
  sent_ = 0;
  tail_.clear();
}

void OutBuffer::Release() {
  Clear();
  std::string().swap(tail_);  // an assigned empty string would keep the capacity
}

}  // namespace nearcached
