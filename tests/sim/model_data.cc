#include <algorithm>
#include <charconv>
#include <optional>

#include "daemon/base/sha1.h"
#include "tests/sim/model_handlers.h"

namespace nearcached::sim::handlers {
namespace {

constexpr std::string_view kWrongType =
    "WRONGTYPE Operation against a key holding the wrong kind of value";

Reply Wrong() {
  return Reply::Error(std::string(kWrongType));
}
std::optional<std::int64_t> Number(const std::string& text) {
  std::int64_t n = 0;
  const auto [ptr, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc() || ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return n;
}

Value* Find(const Call& call, const KeyId& id) {
  return call.model.store().Find(id);
}

void Put(const Call& call, const KeyId& id, Value value) {
  call.model.store().Put(id, std::move(value));
  call.model.Modified(call.session, id);
}

Reply ReadText(const Call& call) {
  const Value* value = Find(call, call.Key());
  return RenderRead({"GET"}, value == nullptr ? Value{} : *value);
}

Reply Step(const Call& call, std::int64_t by) {
  const Value* value = Find(call, call.Key());
  if (value != nullptr && value->type != Value::Type::kString) {
    return Wrong();
  }
  const auto n = value == nullptr ? 0 : Number(value->text);
  if (!n) {
    return Reply::Error("ERR value is not an integer or out of range");
  }
  Value next = value == nullptr ? Value::Text("") : *value;
  next.text = std::to_string(*n + by);
  Put(call, call.Key(), std::move(next));
  return Reply::Integer(*n + by);
}

Reply ExpireIn(const Call& call, std::int64_t unit_ms) {
  const auto n = Number(call.args[2]);
  if (!n) {
    return Reply::Error("ERR value is not an integer or out of range");
  }
  const Value* value = Find(call, call.Key());
  if (value == nullptr) {
    return Reply::Integer(0);
  }
  Value next = *value;
  if (*n <= 0) {
    next = Value{};
  } else {
    next.expire_at = call.model.env().scheduler.Now() + std::chrono::milliseconds(*n * unit_ms);
  }
  Put(call, call.Key(), std::move(next));
  return Reply::Integer(1);
}

Reply Remaining(const Call& call, std::int64_t unit_ms) {
  const Value* value = Find(call, call.Key());
  if (value == nullptr || !value->expire_at) {
    return Reply::Integer(value == nullptr ? -2 : -1);
  }
  const std::int64_t ms = ToMillis(*value->expire_at - call.model.env().scheduler.Now());
  return Reply::Integer(unit_ms == 1 ? ms : (ms + 500) / unit_ms);
}

Reply PushItems(const Call& call, bool left) {
  const KeyId id = call.Key();
  const Value* value = Find(call, id);
  if (value != nullptr && value->type != Value::Type::kList) {
    return Wrong();
  }
  Value next;
  if (value != nullptr) {
    next = *value;
  }
  next.type = Value::Type::kList;
  for (std::size_t i = 2; i < call.args.size(); ++i) {
    if (left) {
      next.list.push_front(call.args[i]);
    } else {
      next.list.push_back(call.args[i]);
    }
  }
  const auto length = static_cast<std::int64_t>(next.list.size());
  Put(call, id, std::move(next));
  call.model.ServeBlocked(id);
  return Reply::Integer(length);
}

std::optional<std::string> PopFront(const Call& call, const KeyId& id) {
  const Value* value = Find(call, id);
  if (value == nullptr) {
    return std::nullopt;
  }
  Value next = *value;
  std::string item = std::move(next.list.front());
  next.list.pop_front();
  Put(call, id, next.list.empty() ? Value{} : std::move(next));
  return item;
}

// The options of SET and GETEX.
struct SetOptions {
  bool nx = false, xx = false, get = false, keep_ttl = false, persist = false;
  std::optional<std::int64_t> ttl_ms;
  bool valid = true;
};

SetOptions ParseOptions(const Args& args, std::size_t from) {
  SetOptions options;
  for (std::size_t i = from; i < args.size(); ++i) {
    const std::string word = Upper(args[i]);
    if (word == "NX") {
      options.nx = true;
    } else if (word == "XX") {
      options.xx = true;
    } else if (word == "GET") {
      options.get = true;
    } else if (word == "KEEPTTL") {
      options.keep_ttl = true;
    } else if (word == "PERSIST") {
      options.persist = true;
    } else if ((word == "EX" || word == "PX") && i + 1 < args.size()) {
      const auto n = Number(args[++i]);
      options.valid = options.valid && n && *n > 0;
      options.ttl_ms = n.value_or(1) * (word == "EX" ? 1000 : 1);
    } else {
      options.valid = false;
    }
  }
  return options;
}

}  // namespace

Reply Incr(const Call& call) {
  return Step(call, 1);
}
Reply Decr(const Call& call) {
  return Step(call, -1);
}
Reply Expire(const Call& call) {
  return ExpireIn(call, 1000);
}
Reply Pexpire(const Call& call) {
  return ExpireIn(call, 1);
}
Reply Ttl(const Call& call) {
  return Remaining(call, 1000);
}
Reply Pttl(const Call& call) {
  return Remaining(call, 1);
}
Reply Lpush(const Call& call) {
  return PushItems(call, true);
}
Reply Rpush(const Call& call) {
  return PushItems(call, false);
}

Reply Mget(const Call& call) {
  std::vector<Reply> items;
  for (std::size_t i = 1; i < call.args.size(); ++i) {
    const Value* value = Find(call, call.Key(i));
    items.push_back(RenderRead({"MGET"}, value == nullptr ? Value{} : *value));
  }
  return Reply::Array(std::move(items));
}

Reply Exists(const Call& call) {
  std::int64_t n = 0;
  for (std::size_t i = 1; i < call.args.size(); ++i) {
    n += Find(call, call.Key(i)) != nullptr ? 1 : 0;
  }
  return Reply::Integer(n);
}

Reply Set(const Call& call) {
  const SetOptions options = ParseOptions(call.args, 3);
  if (!options.valid || (options.nx && options.xx)) {
    return SyntaxError();
  }
  const KeyId id = call.Key();
  const Value* old = Find(call, id);
  if (options.get && old != nullptr && old->type != Value::Type::kString) {
    return Wrong();
  }
  Reply before = old == nullptr ? Reply::Nil() : Reply::Bulk(old->text);
  if ((options.nx && old != nullptr) || (options.xx && old == nullptr)) {
    return options.get ? before : Reply::Nil();
  }
  Value next = Value::Text(call.args[2]);
  if (options.keep_ttl && old != nullptr) {
    next.expire_at = old->expire_at;
  }
  if (options.ttl_ms) {
    next.expire_at = call.model.env().scheduler.Now() + std::chrono::milliseconds(*options.ttl_ms);
  }
  Put(call, id, std::move(next));
  return options.get ? before : Reply::Ok();
}

Reply Setnx(const Call& call) {
  if (Find(call, call.Key()) != nullptr) {
    return Reply::Integer(0);
  }
  Put(call, call.Key(), Value::Text(call.args[2]));
  return Reply::Integer(1);
}

Reply Mset(const Call& call) {
  if (call.args.size() % 2 == 0) {
    return Reply::Error("ERR wrong number of arguments for 'mset' command");
  }
  for (std::size_t i = 1; i + 1 < call.args.size(); i += 2) {
    Put(call, call.Key(i), Value::Text(call.args[i + 1]));
  }
  return Reply::Ok();
}

Reply Append(const Call& call) {
  const Value* value = Find(call, call.Key());
  if (value != nullptr && value->type != Value::Type::kString) {
    return Wrong();
  }
  Value next = value == nullptr ? Value::Text("") : *value;
  next.text += call.args[2];
  const auto length = static_cast<std::int64_t>(next.text.size());
  Put(call, call.Key(), std::move(next));
  return Reply::Integer(length);
}

Reply Getdel(const Call& call) {
  Reply reply = ReadText(call);
  if (reply.kind == Reply::Kind::kBulk) {
    Put(call, call.Key(), {});
  }
  return reply;
}

Reply Getex(const Call& call) {
  const SetOptions options = ParseOptions(call.args, 2);
  if (!options.valid) {
    return SyntaxError();
  }
  Reply reply = ReadText(call);
  if (reply.kind == Reply::Kind::kBulk && (options.ttl_ms || options.persist)) {
    Value next = *Find(call, call.Key());
    const bool had = next.expire_at.has_value();
    next.expire_at.reset();
    if (options.ttl_ms) {
      next.expire_at =
          call.model.env().scheduler.Now() + std::chrono::milliseconds(*options.ttl_ms);
    }
    if (had || options.ttl_ms) {
      Put(call, call.Key(), std::move(next));
    }
  }
  return reply;
}

Reply Del(const Call& call) {
  std::int64_t n = 0;
  for (std::size_t i = 1; i < call.args.size(); ++i) {
    if (Find(call, call.Key(i)) != nullptr) {
      Put(call, call.Key(i), {});
      ++n;
    }
  }
  return Reply::Integer(n);
}

Reply Persist(const Call& call) {
  const Value* value = Find(call, call.Key());
  if (value == nullptr || !value->expire_at) {
    return Reply::Integer(0);
  }
  Value next = *value;
  next.expire_at.reset();
  Put(call, call.Key(), std::move(next));
  return Reply::Integer(1);
}

Reply Rename(const Call& call) {
  const Value* value = Find(call, call.Key(1));
  if (value == nullptr) {
    return Reply::Error("ERR no such key");
  }
  Value moved = *value;
  Put(call, call.Key(1), {});
  Put(call, call.Key(2), std::move(moved));
  return Reply::Ok();
}

Reply Lpop(const Call& call) {
  const Value* value = Find(call, call.Key());
  if (value != nullptr && value->type != Value::Type::kList) {
    return Wrong();
  }
  const auto item = PopFront(call, call.Key());
  return item ? Reply::Bulk(*item) : Reply::Nil();
}

Reply Blpop(const Call& call) {
  const auto timeout = Number(call.args.back());
  if (!timeout || *timeout < 0) {
    return Reply::Error("ERR timeout is not a float or out of range");
  }
  std::vector<KeyId> keys;
  for (std::size_t i = 1; i + 1 < call.args.size(); ++i) {
    keys.push_back(call.Key(i));
    const Value* value = Find(call, keys.back());
    if (value != nullptr && value->type != Value::Type::kList) {
      return Wrong();
    }
    if (value != nullptr) {
      return Reply::Array({Reply::Bulk(call.args[i]), Reply::Bulk(*PopFront(call, keys.back()))});
    }
  }
  if (call.model.in_exec()) {
    return Reply::NilArray();
  }
  call.model.Block(call.session, std::move(keys), std::chrono::seconds(*timeout),
                   ModelRedis::LogLine(call.session.db, call.args));
  return Reply::None();
}

Reply Dbsize(const Call& call) {
  return Reply::Integer(std::ranges::count_if(
      call.model.store().LiveKeys(call.session.db),
      [&](const KeyId& id) { return call.model.Holds(call.session, id.name); }));
}

Reply Flushall(const Call& call) {
  if (call.model.clustered()) {
    call.model.FlushHeldBy(call.session);
    return Reply::Ok();
  }
  for (int db = 0; db < Store::kDatabases; ++db) {
    call.model.store().Flush(db);
  }
  call.model.FlushedEverything(std::nullopt);
  return Reply::Ok();
}

Reply Flushdb(const Call& call) {
  if (call.model.clustered()) {
    return Flushall(call);  // there is one database
  }
  call.model.store().Flush(call.session.db);
  call.model.FlushedEverything(call.session.db);
  return Reply::Ok();
}

Reply Swapdb(const Call& call) {
  const auto a = Number(call.args[1]);
  const auto b = Number(call.args[2]);
  if (!a || !b || *a < 0 || *b < 0 || *a >= Store::kDatabases || *b >= Store::kDatabases) {
    return Reply::Error("ERR DB index is out of range");
  }
  // No invalidation is sent (measured); watchers of keys in either database are told.
  if (*a != *b) {
    call.model.store().Swap(static_cast<int>(*a), static_cast<int>(*b));
    call.model.BreakWatches(static_cast<int>(*a));
    call.model.BreakWatches(static_cast<int>(*b));
  }
  return Reply::Ok();
}

namespace {

// A tiny fixed set of scripts, by their text.
Reply RunScript(const Call& call, const std::string& script) {
  if (call.args.size() < 4 || call.args[2] != "1") {
    return Reply::Error("ERR Number of keys can't be greater than number of args");
  }
  Args inner;
  if (script == kScriptGet) {
    inner = {"GET", call.args[3]};
  } else if (script == kScriptIncr) {
    inner = {"INCR", call.args[3]};
  } else if (script == kScriptSet && call.args.size() > 4) {
    inner = {"SET", call.args[3], call.args[4]};
  } else {
    return Reply::Error("ERR Error compiling script");
  }
  return FindModelCommand(inner[0])->run({call.model, call.session, inner});
}

bool Compiles(const std::string& script) {
  return script == kScriptGet || script == kScriptIncr || script == kScriptSet;
}

}  // namespace

Reply Eval(const Call& call) {
  const std::string& script = call.args[1];
  if (Compiles(script)) {
    call.model.scripts(call.session)[Sha1Hex(script)] = script;
  }
  return RunScript(call, script);
}

Reply Evalsha(const Call& call) {
  const auto& scripts = call.model.scripts(call.session);
  const auto found = scripts.find(call.args[1]);
  return found != scripts.end() ? RunScript(call, found->second)
                                : Reply::Error("NOSCRIPT No matching script. Please use EVAL.");
}

Reply Script(const Call& call) {
  auto& scripts = call.model.scripts(call.session);
  const std::string what = Upper(call.args[1]);
  if (what == "FLUSH") {
    scripts.clear();
    return Reply::Ok();
  }
  if (what == "LOAD" && call.args.size() == 3) {
    if (!Compiles(call.args[2])) {
      return Reply::Error("ERR Error compiling script");
    }
    const std::string sha1 = Sha1Hex(call.args[2]);
    scripts[sha1] = call.args[2];
    return Reply::Bulk(sha1);
  }
  if (what == "EXISTS" && call.args.size() == 3) {
    return Reply::Array({Reply::Integer(scripts.contains(call.args[2]) ? 1 : 0)});
  }
  return Reply::Error("ERR unknown subcommand. Try SCRIPT HELP.");
}

}  // namespace nearcached::sim::handlers
