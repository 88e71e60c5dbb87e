// Why a read is not answered from L1, or its reply is not stored there. One bounded list: counters
// are indexed by it, metric labels and NEARCACHE EXPLAIN name it. Plain values, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nearcached {

enum class Reason : std::uint8_t {
  kCacheable,            // nothing speaks against it
  kDisabled,             // L1 is switched off, by configuration or by NEARCACHE DISABLE
  kCommandNotCacheable,  // the command's cache class is "never"
  kKeyRuleOff,           // the key's rule says `cache: false`
  kLockLikeKey,          // the key matches l1.never_cache
  kNoTrackingNoRule,     // the server has no tracking and no rule with a ttl asks for the key
  kTrackingRequired,     // the server has no tracking and the configuration insists on it
  kTrackingDown,         // tracking is being set up or was lost a moment ago
  kInTransaction,        // the client is between WATCH or MULTI and EXEC (R9)
  kPrivateIdentity,      // the client has logged in as somebody else (G5)
  kWritePending,         // a write of the key is under way (R3, R4)
  kInvalidated,          // the key changed while its value was on the way (R1)
  kErrorReply,           // errors are never remembered (G7)
  kNotAString,           // the reply has another shape than the command's cache class
  kTooLarge,             // key and value exceed entry_bytes_max
  kTooManyKeys,          // an MGET misses more keys than l1.mget_fill_keys_max
  kKeyExpired,           // the key's time upstream had run out when the reply came (R5)
  kNegativeOff,          // the key does not exist and negative_ttl is 0
  kNoMemory,             // L1 had no room
  kCommandNotListed,     // neither l1.commands nor the key's rule names the command
  kReadNeedsTracking,    // the server has no tracking, and the command is none of GET and MGET
  kStopped,              // entries of the key's rule die before they are read (l1.adaptive_stop)
  kReadNeedsOrder,       // pushes may come after replies that show what they announce; as above
  kNotBroadcast,         // tracking.method is bcast, and no rule that caches has the key
};

inline constexpr std::size_t kReasonCount = static_cast<std::size_t>(Reason::kNotBroadcast) + 1;

// "lock_like_key": the label of a metric. Static storage.
[[nodiscard]] std::string_view ReasonName(Reason reason);

// One sentence for people, without a full stop. Static storage.
[[nodiscard]] std::string_view ReasonSentence(Reason reason);

}  // namespace nearcached
