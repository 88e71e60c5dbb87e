// The end of every line and of every bulk string of RESP.
// https://redis.io/docs/latest/develop/reference/protocol-spec/
#pragma once

#include <string_view>

namespace nearcached::proto {

inline constexpr std::string_view kCrLf = "\r\n";

// REQUIRES: two bytes at `p`.
[[nodiscard]] inline bool IsCrLf(const char* p) {
  return p[0] == '\r' && p[1] == '\n';
}

}  // namespace nearcached::proto
