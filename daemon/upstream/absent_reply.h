// What a cluster's replica says of a key that is not there, which may be a lie.
//
// While a slot migrates, its keys leave the old shard one by one. The primary sends who asks for
// one that has left to the new shard (ASK), and says so of a key it never had; its replicas know
// nothing of a migration, and say that there is no such key. So whatever may mean that is asked of
// the primary, and only commands go to a replica whose reply shows it. A key that is there is there
// as a whole: MIGRATE moves nothing else.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#ask-redirection
//
// Pure functions, any thread.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace nearcached {

// The commands whose reply, asked of one key, shows that the key may not be there; named as in
// CommandRow. Not those that answer a list of nothings, as long as what they were asked for (HMGET,
// ZMSCORE ...).
inline constexpr std::array<std::string_view, 40> kAbsenceShown = {
    "bitcount",       "exists",
    "expiretime",     "get",
    "getbit",         "getrange",
    "hexists",        "hget",
    "hgetall",        "hkeys",
    "hlen",           "hstrlen",
    "hvals",          "lindex",
    "llen",           "lrange",
    "pexpiretime",    "pttl",
    "scard",          "sismember",
    "smembers",       "strlen",
    "substr",         "ttl",
    "type",           "xlen",
    "xrange",         "xrevrange",
    "zcard",          "zcount",
    "zlexcount",      "zrange",
    "zrangebylex",    "zrangebyscore",
    "zrank",          "zrevrange",
    "zrevrangebylex", "zrevrangebyscore",
    "zrevrank",       "zscore"};
[[nodiscard]] inline bool ShowsAbsence(std::string_view command) {
  return std::ranges::find(kAbsenceShown, command) != kAbsenceShown.end();
}

// Whether a whole reply to one of these may speak of a key that is not there.
[[nodiscard]] inline bool MayMeanAbsent(std::string_view reply) {
  static constexpr std::array<std::string_view, 10> kReplies = {
      "$-1\r\n", "*-1\r\n", "_\r\n",  ":0\r\n",    ":-2\r\n",
      "*0\r\n",  "%0\r\n",  "~0\r\n", "+none\r\n", "$0\r\n\r\n"};
  return std::ranges::find(kReplies, reply) != kReplies.end();
}

}  // namespace nearcached
