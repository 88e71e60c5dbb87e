#include "daemon/session/reply_queue.h"

#include <utility>

#include "daemon/base/check.h"

namespace nearcached {

std::uint64_t ReplyQueue::Open(PendingRequest&& pending) {
  slots_.EmplaceBack().pending = std::move(pending);
  return first_ + slots_.size() - 1;
}

void ReplyQueue::OpenAnswered(std::string reply) {
  NC_CHECK(!slots_.empty());
  held_bytes_ += reply.size();
  slots_.PushBack({{}, std::move(reply), true});
}

PendingRequest* ReplyQueue::Find(std::uint64_t seq) {
  if (seq < first_ || seq - first_ >= slots_.size() || slots_[seq - first_].done) {
    return nullptr;
  }
  return &slots_[seq - first_].pending;
}

bool ReplyQueue::NothingOpenBehind(std::uint64_t seq) const {
  NC_CHECK(seq >= first_ && seq - first_ < slots_.size());
  for (std::size_t i = seq - first_ + 1; i < slots_.size(); ++i) {
    if (!slots_[i].done) {
      return false;
    }
  }
  return true;
}

void ReplyQueue::Append(std::uint64_t seq, std::string_view bytes, OutBuffer& out) {
  NC_CHECK(Find(seq) != nullptr);
  if (seq == first_) {
    out.Append(bytes);
    return;
  }
  slots_[seq - first_].held.append(bytes);
  held_bytes_ += bytes.size();
}

void ReplyQueue::Finish(std::uint64_t seq, OutBuffer& out) {
  NC_CHECK(Find(seq) != nullptr);
  slots_[seq - first_].done = true;
  while (!slots_.empty() && slots_.front().done) {
    slots_.PopFront();
    ++first_;
    if (!slots_.empty()) {
      // The new front speaks directly from now on; first what it has said so far.
      std::string& held = slots_.front().held;
      if (!held.empty()) {
        held_bytes_ -= held.size();
        out.Append(held);
        std::string().swap(held);
      }
    }
  }
}

}  // namespace nearcached
