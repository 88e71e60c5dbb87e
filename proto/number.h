// Integers as RESP writes them: exactly one spelling each. Pure function, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace nearcached::proto {

// Reads the whole of `text` as a decimal number, with the strictness of Redis's string2ll: an
// optional '-', then digits without a leading zero. Empty text, "+1", "01", "-0", spaces and
// anything beyond 64 bits are nullopt.
[[nodiscard]] std::optional<std::int64_t> ParseInt64(std::string_view text);

}  // namespace nearcached::proto
