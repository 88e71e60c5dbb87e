// The commands whose replies can be cached: what `l1.commands` and `rules[].commands` may name.
//
// Why each of them may be, and what is remembered of it, is said in its row of the command table
// (daemon/command) and in CACHED_COMMANDS.md; a test holds the three together. Thread: constants.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace nearcached::config {

// In order. GET stands for MGET too and the other way round: they share their entries.
inline constexpr std::array<std::string_view, 45> kCachedCommands = {"bitcount",
                                                                     "bitpos",
                                                                     "eval_ro",
                                                                     "exists",
                                                                     "fcall_ro",
                                                                     "geodist",
                                                                     "geohash",
                                                                     "geopos",
                                                                     "geosearch",
                                                                     "get",
                                                                     "getbit",
                                                                     "getrange",
                                                                     "hexists",
                                                                     "hget",
                                                                     "hgetall",
                                                                     "hkeys",
                                                                     "hlen",
                                                                     "hmget",
                                                                     "hstrlen",
                                                                     "hvals",
                                                                     "json.get",
                                                                     "lindex",
                                                                     "llen",
                                                                     "lrange",
                                                                     "mget",
                                                                     "scard",
                                                                     "sismember",
                                                                     "smembers",
                                                                     "smismember",
                                                                     "strlen",
                                                                     "substr",
                                                                     "type",
                                                                     "zcard",
                                                                     "zcount",
                                                                     "zlexcount",
                                                                     "zmscore",
                                                                     "zrange",
                                                                     "zrangebylex",
                                                                     "zrangebyscore",
                                                                     "zrank",
                                                                     "zrevrange",
                                                                     "zrevrangebylex",
                                                                     "zrevrangebyscore",
                                                                     "zrevrank",
                                                                     "zscore"};
static_assert(kCachedCommands.size() <= 64, "a set of them is 64 bits");

// Stands for all of them but the scripts, which only their author knows to be fit for it.
inline constexpr std::string_view kAllCommands = "all";

constexpr bool IsScriptRead(std::string_view command) {
  return command == "eval_ro" || command == "fcall_ro";
}

}  // namespace nearcached::config
