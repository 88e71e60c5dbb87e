// The requests without arguments that the sidecar sends of its own accord, as they go over the
// wire.
#pragma once

#include <string_view>

namespace nearcached::proto {

inline constexpr std::string_view kPingRequest = "*1\r\n$4\r\nPING\r\n";
inline constexpr std::string_view kMultiRequest = "*1\r\n$5\r\nMULTI\r\n";
inline constexpr std::string_view kDiscardRequest = "*1\r\n$7\r\nDISCARD\r\n";
inline constexpr std::string_view kAskingRequest = "*1\r\n$6\r\nASKING\r\n";

}  // namespace nearcached::proto
