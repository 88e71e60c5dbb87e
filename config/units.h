// Durations and sizes as people write them, both ways.
//
// Thread: pure functions. Never throws (but for memory).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/config.h"
#include "config/parsed.h"

namespace nearcached::config {

// A whole number and a unit: "250ms", "5s", "2m", "1h", "1d"; "0" alone needs none. A bare number
// is refused, because half of those who write one mean seconds and the other half milliseconds.
Parsed<Duration> ParseDuration(std::string_view text);

// The shortest spelling ParseDuration() reads back as the same: 90s is "90s", 120s is "2m".
std::string FormatDuration(Duration duration);

// A whole number of bytes with an optional unit in any case: "64mb" as in redis.conf and "64MiB"
// are both 64 * 1024 * 1024. "64m" is refused: Redis reads it as 64,000,000, others do not.
Parsed<std::uint64_t> ParseBytes(std::string_view text);

// The shortest spelling ParseBytes() reads back as the same: "64mb", "1500".
std::string FormatBytes(std::uint64_t bytes);

}  // namespace nearcached::config
