// The errors by which a cluster says "not here" or "not now": MOVED, ASK, TRYAGAIN, CLUSTERDOWN.
// Pure functions, any thread.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding
#pragma once

#include <cstdint>
#include <string_view>

#include "daemon/base/byte_stream.h"
#include "daemon/upstream/cluster_slot.h"

namespace nearcached {

// How often one request follows MOVED and ASK. One is the rule, two happen when a map lags.
inline constexpr int kRedirectsMax = 5;

// What a request for a slot that nobody serves is answered: Redis's own words.
inline constexpr std::string_view kErrSlotNotServed = "CLUSTERDOWN Hash slot not served";

// What one is answered by a node that refuses all of them.
inline constexpr std::string_view kErrClusterDown = "CLUSTERDOWN The cluster is down";

struct Redirect {
  enum class Kind : std::uint8_t {
    kNone,         // no redirection: an answer like any other
    kMoved,        // the slot is at `to`, for good
    kAsk,          // this once at `to`, after ASKING
    kTryAgain,     // some of the keys have moved and some have not
    kClusterDown,  // the node refuses all: it sees no majority, or some slot has no primary
    kUnserved,     // nobody serves this slot
  };
  Kind kind = Kind::kNone;
  Slot slot = 0;  // kMoved, kAsk
  Endpoint to;    // kMoved, kAsk
};

// Takes a whole reply as it came, "-MOVED 3999 127.0.0.1:6381\r\n". A redirection without a host
// points to the host that was asked, `asked`, and is followed over TLS if that was; one that makes
// no sense is an answer like any other.
[[nodiscard]] Redirect ParseRedirect(std::string_view reply, const Endpoint& asked);

}  // namespace nearcached
