// Reads the push frames by which a tracking Redis says which keys have changed.
// RESP3 has push frames for it; a RESP2 connection that another one's tracking is redirected to
// gets messages of the channel __redis__:invalidate. Pure, any thread. Wire format:
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

// The channel whose messages they are in RESP2.
inline constexpr std::string_view kInvalidationChannel = "__redis__:invalidate";

// Reads one whole RESP3 push frame, or RESP2 message of that channel, as the reply scanner delimits
// it. Appends the keys, as views into `frame`, for kInvalidateKeys only.
//
// Fails safe: a frame that names itself so, and then cannot be read, is kInvalidateAll,
// since to ignore it would be to serve a stale value. Any other malformed input is kOther. Never
// reads outside `frame`.
[[nodiscard]] PushKind ParseInvalidation(std::string_view frame,
                                         std::vector<std::string_view>& keys);

// Whether a push frame says that the connection which tracking is redirected to is gone. Sent to
// RESP3 connections only, and only when a key that they have read changes.
[[nodiscard]] bool IsRedirectionBroken(std::string_view frame);

}  // namespace nearcached::proto
