// How large the replies are that a client, or all clients, have been getting.
//
// A client that pipelines many reads of large values is sent them as fast as the upstream can, over
// several links, and what comes out of turn is kept until its turn. How much that may become is
// known only when replies have come, so requests are let go by the size of the latest: with small
// ones there is no limit but pipeline_max, with large ones a few at a time.
//
// A maximum that decays: one large reply counts at once, and sixteen small ones make it a third.
// Part of a session; loop thread only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "daemon/fetch/reply_sink.h"

namespace nearcached {

class ReplySize {
 public:
  // `bytes`: what to reckon with until something is known.
  explicit ReplySize(std::size_t bytes) : bytes_(bytes) {}

  // A reply has come, or the beginning of one that says how long it will be.
  void Note(const ReplyInfo& info, std::size_t bytes) {
    constexpr std::size_t kForgets = 16;
    const auto announced = static_cast<std::size_t>(std::max<std::int64_t>(0, info.bulk_length));
    bytes_ = std::max({bytes, announced, bytes_ - bytes_ / kForgets});
  }

  // What that many replies may amount to.
  [[nodiscard]] std::size_t Of(std::size_t replies) const { return replies * bytes_; }

 private:
  std::size_t bytes_;
};

}  // namespace nearcached
