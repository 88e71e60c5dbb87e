#include "tests/sim/model_commands.h"

#include <algorithm>
#include <array>

#include "tests/sim/model_handlers.h"

namespace nearcached::sim {
namespace {

// name, arity, write, readonly, first key, last key, step, handler; by name.
constexpr auto kTable = std::to_array<ModelCommand>({
    {"APPEND", 3, true, false, 1, 1, 1, handlers::Append},
    {"ASKING", 1, false, false, 0, 0, 0, handlers::Asking},
    {"AUTH", -2, false, false, 0, 0, 0, handlers::Auth},
    {"BLPOP", -3, true, false, 1, -2, 1, handlers::Blpop},
    {"CLIENT", -2, false, false, 0, 0, 0, handlers::Client},
    {"CLUSTER", -2, false, false, 0, 0, 0, handlers::Cluster},
    {"COMMAND", -1, false, false, 0, 0, 0, handlers::Command},
    {"DBSIZE", 1, false, true, 0, 0, 0, handlers::Dbsize},
    {"DECR", 2, true, false, 1, 1, 1, handlers::Decr},
    {"DEL", -2, true, false, 1, -1, 1, handlers::Del},
    {"DISCARD", 1, false, false, 0, 0, 0, handlers::Discard},
    {"ECHO", 2, false, false, 0, 0, 0, handlers::Echo},
    {"EVAL", -3, false, false, 0, 0, 0, handlers::Eval},
    {"EVALSHA", -3, false, false, 0, 0, 0, handlers::Evalsha},
    {"EXEC", 1, false, false, 0, 0, 0, handlers::Exec},
    {"EXISTS", -2, false, true, 1, -1, 1, handlers::Exists},
    {"EXPIRE", -3, true, false, 1, 1, 1, handlers::Expire},
    {"FLUSHALL", -1, true, false, 0, 0, 0, handlers::Flushall},
    {"FLUSHDB", -1, true, false, 0, 0, 0, handlers::Flushdb},
    {"GET", 2, false, true, 1, 1, 1, handlers::ReadOne},
    {"GETDEL", 2, true, false, 1, 1, 1, handlers::Getdel},
    {"GETEX", -2, true, false, 1, 1, 1, handlers::Getex},
    {"GETRANGE", 4, false, true, 1, 1, 1, handlers::ReadOne},
    {"HDEL", 3, true, false, 1, 1, 1, handlers::Hdel},
    {"HELLO", -1, false, false, 0, 0, 0, handlers::Hello},
    {"HGET", 3, false, true, 1, 1, 1, handlers::ReadOne},
    {"HGETALL", 2, false, true, 1, 1, 1, handlers::ReadOne},
    {"HLEN", 2, false, true, 1, 1, 1, handlers::ReadOne},
    {"HSET", 4, true, false, 1, 1, 1, handlers::Hset},
    {"INCR", 2, true, false, 1, 1, 1, handlers::Incr},
    {"INFO", -1, false, false, 0, 0, 0, handlers::Info},
    {"LLEN", 2, false, true, 1, 1, 1, handlers::ReadOne},
    {"LPOP", 2, true, false, 1, 1, 1, handlers::Lpop},
    {"LPUSH", -3, true, false, 1, 1, 1, handlers::Lpush},
    {"LRANGE", 4, false, true, 1, 1, 1, handlers::ReadOne},
    {"MGET", -2, false, true, 1, -1, 1, handlers::Mget},
    {"MSET", -3, true, false, 1, -1, 2, handlers::Mset},
    {"MULTI", 1, false, false, 0, 0, 0, handlers::Multi},
    {"PERSIST", 2, true, false, 1, 1, 1, handlers::Persist},
    {"PEXPIRE", -3, true, false, 1, 1, 1, handlers::Pexpire},
    {"PING", -1, false, false, 0, 0, 0, handlers::Ping},
    {"PTTL", 2, false, true, 1, 1, 1, handlers::Pttl},
    {"PUBLISH", 3, false, false, 0, 0, 0, handlers::Publish},
    {"QUIT", -1, false, false, 0, 0, 0, handlers::Quit},
    {"READONLY", 1, false, false, 0, 0, 0, handlers::ReadOnly},
    {"RENAME", 3, true, false, 1, 2, 1, handlers::Rename},
    {"RESET", 1, false, false, 0, 0, 0, handlers::Reset},
    {"ROLE", 1, false, false, 0, 0, 0, handlers::Role},
    {"RPUSH", -3, true, false, 1, 1, 1, handlers::Rpush},
    {"SADD", 3, true, false, 1, 1, 1, handlers::Sadd},
    {"SCRIPT", -2, false, false, 0, 0, 0, handlers::Script},
    {"SELECT", 2, false, false, 0, 0, 0, handlers::Select},
    {"SET", -3, true, false, 1, 1, 1, handlers::Set},
    {"SETNX", 3, true, false, 1, 1, 1, handlers::Setnx},
    {"SISMEMBER", 3, false, true, 1, 1, 1, handlers::ReadOne},
    {"SMEMBERS", 2, false, true, 1, 1, 1, handlers::ReadOne},
    {"SREM", 3, true, false, 1, 1, 1, handlers::Srem},
    {"STRLEN", 2, false, true, 1, 1, 1, handlers::ReadOne},
    {"SUBSCRIBE", -2, false, false, 0, 0, 0, handlers::Subscribe},
    {"SWAPDB", 3, true, false, 0, 0, 0, handlers::Swapdb},
    {"TTL", 2, false, true, 1, 1, 1, handlers::Ttl},
    {"TYPE", 2, false, true, 1, 1, 1, handlers::ReadOne},
    {"UNLINK", -2, true, false, 1, -1, 1, handlers::Del},
    {"UNSUBSCRIBE", -1, false, false, 0, 0, 0, handlers::Unsubscribe},
    {"UNWATCH", 1, false, false, 0, 0, 0, handlers::Unwatch},
    {"WATCH", -2, false, false, 1, -1, 1, handlers::Watch},
    {"ZADD", 4, true, false, 1, 1, 1, handlers::Zadd},
    {"ZCARD", 2, false, true, 1, 1, 1, handlers::ReadOne},
    {"ZRANGE", -4, false, true, 1, 1, 1, handlers::ReadOne},
    {"ZREM", 3, true, false, 1, 1, 1, handlers::Zrem},
    {"ZSCORE", 3, false, true, 1, 1, 1, handlers::ReadOne},
});

Reply TableRow(const ModelCommand& command) {
  std::string lower(command.name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return static_cast<char>(c + ('a' - 'A')); });
  std::vector<Reply> flags;
  if (command.write) {
    flags.push_back(Reply::Simple("write"));
  }
  if (command.readonly) {
    flags.push_back(Reply::Simple("readonly"));
  }
  if (command.name == "BLPOP") {
    flags.push_back(Reply::Simple("blocking"));
  }
  if (command.name == "EVAL" || command.name == "EVALSHA") {
    flags.push_back(Reply::Simple("movablekeys"));
  }
  return Reply::Array({Reply::Bulk(lower), Reply::Integer(command.arity),
                       Reply::Array(std::move(flags)), Reply::Integer(command.first_key),
                       Reply::Integer(command.last_key), Reply::Integer(command.key_step),
                       Reply::Array({}), Reply::Array({}), Reply::Array({}), Reply::Array({})});
}

}  // namespace

const ModelCommand* FindModelCommand(std::string_view name) {
  const auto* const it = std::lower_bound(
      kTable.begin(), kTable.end(), name,
      [](const ModelCommand& command, std::string_view n) { return command.name < n; });
  return it != kTable.end() && it->name == name ? &*it : nullptr;
}

Reply ModelCommandTable(bool clustered) {
  std::vector<Reply> rows;
  rows.reserve(std::size(kTable));
  for (const ModelCommand& command : kTable) {
    if (clustered ||
        (command.name != "ASKING" && command.name != "READONLY" && command.name != "CLUSTER")) {
      rows.push_back(TableRow(command));
    }
  }
  return Reply::Array(std::move(rows));
}

std::vector<std::string> KeysOf(const ModelCommand& command, const Args& args) {
  std::vector<std::string> keys;
  if (command.name.starts_with("EVAL") && args.size() > 3 && args[2] == "1") {
    return {args[3]};
  }
  if (command.first_key == 0) {
    return keys;
  }
  const int n = static_cast<int>(args.size());
  const int last = command.last_key < 0 ? n + command.last_key : command.last_key;
  for (int i = command.first_key; i <= last && i < n; i += command.key_step) {
    keys.push_back(args[static_cast<std::size_t>(i)]);
  }
  return keys;
}

}  // namespace nearcached::sim
