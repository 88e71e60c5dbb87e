// Replies to what the daemon itself asks (HELLO, CLIENT TRACKING, COMMAND, …), as a tree of values.
//
// hiredis parses them; this header keeps its types out of everybody else's sight. The forwarding
// path never comes here: there replies stay the bytes they are (performance.md 4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nearcached {

struct UpstreamReply {
  enum class Kind : std::uint8_t { kNil, kString, kError, kInteger, kArray, kMap };
  Kind kind = Kind::kNil;
  std::string text;                     // kString (bulk, simple, verbatim, double), kError
  std::int64_t integer = 0;             // kInteger, and booleans as 0 or 1
  std::vector<UpstreamReply> elements;  // kArray (also sets and pushes); kMap: key, value, key, …

  [[nodiscard]] bool is_error() const { return kind == Kind::kError; }
  // The value under `key` of a map, or of a flat array of pairs as RESP2 sends it.
  [[nodiscard]] const UpstreamReply* Find(std::string_view key) const;
};

// Parses one whole reply. Null when `bytes` are not exactly one reply.
[[nodiscard]] std::optional<UpstreamReply> ParseUpstreamReply(std::string_view bytes);

}  // namespace nearcached
