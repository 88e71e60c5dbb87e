// The seam through which a flight asks upstream for a value and its remaining TTL.
//
// Owned here by its consumer; implemented by upstream/pool. Loop thread only.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "daemon/base/tracking_state.h"
#include "daemon/cache/l1.h"
#include "daemon/fetch/read_request.h"
#include "daemon/fetch/reply_sink.h"

namespace nearcached {

class FillChannel {
 public:
  // Sends the read (`GET key` if it is empty) and `PTTL key` on the link that fills `key` (always
  // the same one for a key: R15). The value arrives at `sink` with seq kValue, the TTL with seq
  // kTtl, both with `flight` as owner, each exactly once (reply or loss), never before this
  // returns. Returns who fills it, or the error line for those who wait.
  static constexpr std::uint64_t kValue = 0;
  static constexpr std::uint64_t kTtl = 1;
  virtual std::variant<FillOwner, std::string_view> SendFill(const CacheKey& key,
                                                             const ReadRequest& read,
                                                             ReplySink& sink,
                                                             std::uint64_t flight) = 0;

  // State of the link that fills `key`. Opens the link when there is none.
  virtual TrackingState StateFor(const CacheKey& key) = 0;

  // UpstreamLink::Crowded() of that link; in a cluster, of that of any node.
  [[nodiscard]] virtual bool Crowded(DbIndex /*db*/, std::uint64_t /*hash*/, std::size_t /*own*/) {
    return false;
  }

 protected:
  ~FillChannel() = default;
};

}  // namespace nearcached
