// What a message of a subscription looks like, given its first bytes.
//
// In RESP3 such messages are pushes and cannot be mistaken; in RESP2 they are arrays like any
// other, told apart by their first element alone. Pure; any thread.
// Sources: https://redis.io/docs/latest/develop/pubsub/#format-of-pushed-messages,
// https://redis.io/docs/latest/commands/monitor/
#pragma once

#include <string_view>

namespace nearcached {

// How many of a message's first bytes the functions below need to see at most.
inline constexpr std::size_t kPubSubHeadBytes = 48;

// The answer to (P|S)(UN)SUBSCRIBE, of which there is one per channel.
[[nodiscard]] bool IsPubSubConfirmation(std::string_view head);

// An array that is a published message or a confirmation.
[[nodiscard]] bool IsPubSubMessage(std::string_view head);

// A line of MONITOR: "+1700000000.123456 [0 127.0.0.1:40000] …".
[[nodiscard]] bool IsMonitorLine(std::string_view head);

}  // namespace nearcached
