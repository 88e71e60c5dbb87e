#include "daemon/policy/reason.h"

#include <array>

namespace nearcached {
namespace {

struct Words {
  Reason reason;
  std::string_view name;
  std::string_view sentence;
};

constexpr std::array kWords{
    Words{Reason::kCacheable, "cacheable", "nothing speaks against caching it"},
    Words{Reason::kDisabled, "disabled", "L1 is switched off"},
    Words{Reason::kCommandNotCacheable, "command_not_cacheable",
          "the replies of this command are never cached"},
    Words{Reason::kKeyRuleOff, "key_rule_off", "the key's rule says that it is not cached"},
    Words{
        Reason::kLockLikeKey, "lock_like_key",
        "the key looks like a lock (l1.never_cache), and a lock read from a cache is held by two"},
    Words{Reason::kNoTrackingNoRule, "no_tracking_no_rule",
          "the server does not report changed keys, and no rule with a ttl asks for this one"},
    Words{Reason::kTrackingRequired, "tracking_required",
          "the server does not report changed keys, and tracking.mode is required"},
    Words{Reason::kTrackingDown, "tracking_down",
          "the server's reports of changed keys are not set up at the moment"},
    Words{Reason::kInTransaction, "in_transaction",
          "the client is between WATCH or MULTI and EXEC"},
    Words{Reason::kPrivateIdentity, "private_identity", "the client has logged in as another user"},
    Words{Reason::kWritePending, "write_pending", "a write of the key is under way"},
    Words{Reason::kInvalidated, "invalidated", "the key changed while its value was on the way"},
    Words{Reason::kErrorReply, "error_reply", "the reply was an error, and errors are not cached"},
    Words{Reason::kNotAString, "not_a_string", "the reply was neither a string nor nil"},
    Words{Reason::kTooLarge, "too_large", "key and value are larger than entry_bytes_max"},
    Words{Reason::kTooManyKeys, "too_many_keys",
          "more keys were missing than l1.mget_fill_keys_max"},
    Words{Reason::kKeyExpired, "key_expired", "the key's time to live had run out"},
    Words{Reason::kNegativeOff, "negative_off", "the key does not exist, and negative_ttl is 0"},
    Words{Reason::kNoMemory, "no_memory", "L1 had no room for it"},
    Words{Reason::kCommandNotListed, "command_not_listed",
          "the command is not among those that l1.commands, or the key's rule, names"},
    Words{Reason::kReadNeedsTracking, "read_needs_tracking",
          "the server does not report changed keys, and without that only GET and MGET are cached"},
    Words{Reason::kStopped, "adaptive_stop",
          "entries of the key's rule died before they were read (l1.adaptive_stop)"},
    Words{Reason::kReadNeedsOrder, "read_needs_order",
          "reports of changed keys may come after replies that show the change (redirect, bcast), "
          "and then only GET and MGET are cached"},
    Words{Reason::kNotBroadcast, "not_broadcast",
          "tracking.method is bcast, and the server announces only keys under a rule that caches"},
};

constexpr bool InOrder() {
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    if (static_cast<std::size_t>(kWords[i].reason) != i) {
      return false;
    }
  }
  return kWords.size() == kReasonCount;
}
static_assert(InOrder(), "one line for each reason, in the order of the enumeration");

}  // namespace

std::string_view ReasonName(Reason reason) {
  return kWords[static_cast<std::size_t>(reason)].name;
}

std::string_view ReasonSentence(Reason reason) {
  return kWords[static_cast<std::size_t>(reason)].sentence;
}

}  // namespace nearcached
