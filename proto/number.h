// Integers as RESP writes them: exactly one spelling each. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nearcached::proto {

// Reads the whole of `text` as a decimal number, with the strictness of Redis's string2ll: an
// optional '-', then digits without a leading zero. Empty text, "+1", "01", "-0", spaces and
// anything beyond 64 bits are nullopt.
[[nodiscard]] std::optional<std::int64_t> ParseInt64(std::string_view text);

// Appends `value` in decimal, so that ParseInt64 reads it back.
void AppendInt64(std::string& out, std::int64_t value);
void AppendUint64(std::string& out, std::uint64_t value);

}  // namespace nearcached::proto
