// Reads the push frames by which a tracking Redis says which keys have changed.
// Pure, any thread. Wire format:
// https://redis.io/docs/latest/develop/reference/client-side-caching/
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace nearcached::proto {

enum class PushKind : std::uint8_t {
  kInvalidateKeys,  // the keys appended have changed or gone
  kInvalidateAll,   // every key may have changed: FLUSHALL, FLUSHDB, or a frame we cannot read
  kOther,           // not an invalidation: pubsub, monitor, tracking-redir-broken, not a push
};

// Reads one whole RESP3 push frame, as the reply scanner delimits it. Appends the keys, as views
// into `frame`, for kInvalidateKeys only.
//
// Fails safe: a frame that names itself "invalidate" and then cannot be read is kInvalidateAll,
// since to ignore it would be to serve a stale value. Any other malformed input is kOther. Never
// reads outside `frame`.
[[nodiscard]] PushKind ParseInvalidation(std::string_view frame,
                                         std::vector<std::string_view>& keys);

}  // namespace nearcached::proto
