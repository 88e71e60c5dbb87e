// The functions behind the model's command table: data in model_data.cc, connection state,
// transactions and channels in model_connection.cc.
#pragma once

#include "tests/sim/model_commands.h"

namespace nearcached::sim::handlers {

// The scripts that the model can run.
inline constexpr std::string_view kScriptGet = "return redis.call('GET',KEYS[1])";
inline constexpr std::string_view kScriptIncr = "return redis.call('INCR',KEYS[1])";
inline constexpr std::string_view kScriptSet = "return redis.call('SET',KEYS[1],ARGV[1])";

inline Reply SyntaxError() {
  return Reply::Error("ERR syntax error");
}

// model_data.cc
Reply Append(const Call& call);
Reply Blpop(const Call& call);
Reply Dbsize(const Call& call);
Reply Decr(const Call& call);
Reply Del(const Call& call);
Reply Eval(const Call& call);
Reply Evalsha(const Call& call);
Reply Exists(const Call& call);
Reply Expire(const Call& call);
Reply Flushall(const Call& call);
Reply Flushdb(const Call& call);
Reply Getdel(const Call& call);
Reply Getex(const Call& call);
Reply Incr(const Call& call);
Reply Lpop(const Call& call);
Reply Lpush(const Call& call);
Reply Mget(const Call& call);
Reply Mset(const Call& call);
Reply Persist(const Call& call);
Reply Pexpire(const Call& call);
Reply Pttl(const Call& call);
Reply Rename(const Call& call);
Reply Rpush(const Call& call);
Reply Script(const Call& call);
Reply Set(const Call& call);
Reply Setnx(const Call& call);
Reply Swapdb(const Call& call);
Reply Ttl(const Call& call);

// model_collections.cc
Reply Hdel(const Call& call);
Reply Hset(const Call& call);
Reply ReadOne(const Call& call);  // any read of one key that has no handler of its own
Reply Sadd(const Call& call);
Reply Srem(const Call& call);
Reply Zadd(const Call& call);
Reply Zrem(const Call& call);

// model_connection.cc
Reply Asking(const Call& call);
Reply ReadOnly(const Call& call);
Reply Auth(const Call& call);
Reply Client(const Call& call);
Reply Cluster(const Call& call);
Reply Command(const Call& call);
Reply Discard(const Call& call);
Reply Echo(const Call& call);
Reply Exec(const Call& call);
Reply Hello(const Call& call);
Reply Info(const Call& call);
Reply Multi(const Call& call);
Reply Ping(const Call& call);
Reply Publish(const Call& call);
Reply Quit(const Call& call);
Reply Reset(const Call& call);
Reply Role(const Call& call);
Reply Select(const Call& call);
Reply Subscribe(const Call& call);
Reply Unsubscribe(const Call& call);
Reply Unwatch(const Call& call);
Reply Watch(const Call& call);

}  // namespace nearcached::sim::handlers
