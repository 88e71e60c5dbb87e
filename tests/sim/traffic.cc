#include "tests/sim/traffic.h"

#include <algorithm>
#include <array>

#include "daemon/base/sha1.h"
#include "tests/sim/checker.h"
#include "tests/sim/model_handlers.h"

namespace nearcached::sim {
namespace {

Request Literal(Request request, Args args, const Reply& reply) {
  request.args = std::move(args);
  request.expect = Expect::kLiteral;
  request.literal = Encode(reply, request.protocol);
  return request;
}

}  // namespace

Request Traffic::Start(ClientState& client, std::uint64_t& index) const {
  Request request;
  request.index = ++index;
  request.protocol = client.protocol;
  request.user = client.user;
  request.logged_in = client.logged_in;
  request.watched_read = client.watching && !client.in_multi;
  request.needs_own_link = client.watching || client.in_multi;
  return request;
}

void Traffic::Finish(ClientState& client, Request& request) const {
  if (request.expect == Expect::kExecuted || request.expect == Expect::kEveryNode) {
    request.line = ModelRedis::LineOf(client.user, ModelRedis::LogLine(client.db, request.args));
  }
  request.marks = request.writes;
  if (!client.in_multi) {
    return;
  }
  client.exec_line.append("||").append(ModelRedis::LogLine(client.db, request.args));
  client.queued.push_back({Upper(request.args[0]), request.reads, request.writes});
  request.expect = Expect::kLiteral;
  request.literal = "+QUEUED\r\n";
  request.reads.clear();
  request.writes.clear();
  request.changes_session = true;
}

const Traffic::Kind& Traffic::Draw(bool for_multi) {
  const double churn = profile_.churn;
  const std::array<Kind, 24> kinds = {{
      {read_mostly_ ? 2000.0 : 40.0, &Traffic::Read, true},
      {6, &Traffic::ReadOther, true},
      {read_mostly_ ? 200.0 : 6.0, &Traffic::Mget, true},
      {14, &Traffic::Set, true},
      {2, &Traffic::Mset, true},
      {5, &Traffic::Count, true},
      {3, &Traffic::Append, true},
      {2 * churn, &Traffic::Remove, true},
      {2 * churn, &Traffic::Expiry, true},
      {2, &Traffic::Remaining, false},
      {2, &Traffic::ReadAndChange, true},
      {1, &Traffic::Rename, true},
      {2, &Traffic::Script, true},
      {3, &Traffic::List, true},
      {0.5, &Traffic::BlockingPop, false},
      {0.3 * churn, &Traffic::Flush, !profile_.cluster},
      {1.5, &Traffic::Select, false},
      {0.5, &Traffic::Greeting, false},
      {3, &Traffic::Local, false},
      {1.5, &Traffic::Odd, false},
      {1, &Traffic::Publish, false},
      {!all_reads_    ? 0.0
       : read_mostly_ ? 1500.0
                      : 40.0,
       &Traffic::ReadCollection, true},
      {all_reads_ ? 12.0 : 0.0, &Traffic::Collection, true},
      {profile_.identity ? 6.0 : 0.0, &Traffic::LogIn, false},
  }};
  static thread_local Kind chosen{};
  double total = 0;
  for (const Kind& kind : kinds) {
    total += for_multi && !kind.in_multi ? 0 : kind.weight;
  }
  double at = env_.rng.Unit() * total;
  for (const Kind& kind : kinds) {
    at -= for_multi && !kind.in_multi ? 0 : kind.weight;
    if (at < 0) {
      chosen = kind;
      break;
    }
  }
  return chosen;
}

void Traffic::Next(ClientState& client, std::uint64_t& index, std::vector<Request>& out) {
  if (MustLogIn(client)) {
    Request request = Start(client, index);
    (this->*(env_.Chance(0.7) ? &Traffic::LogIn : &Traffic::Read))(client, request);
    out.push_back(std::move(request));
    return;
  }
  if (profile_.identity && client.logged_in && env_.Chance(0.03)) {
    Become(client, index, out);
    return;
  }
  if (env_.Chance(read_mostly_ ? 0.002 : 0.03)) {
    PinTag();
    Transaction(client, index, out);
    pinned_ = kNoTag;
    return;
  }
  Request request = Start(client, index);
  (this->*Draw(false).build)(client, request);
  Finish(client, request);
  request.inline_form = env_.Chance(0.02);
  out.push_back(std::move(request));
}

void Traffic::Transaction(ClientState& client, std::uint64_t& index, std::vector<Request>& out) {
  const auto add_literal = [&](Args args, const Reply& reply) {
    Request request = Literal(Start(client, index), std::move(args), reply);
    request.changes_session = request.needs_own_link = true;
    out.push_back(std::move(request));
  };
  if (env_.Chance(0.5)) {
    const std::string key = Key('k');
    add_literal({"WATCH", key}, Reply::Ok());
    client.watching = true;
    Request read = Start(client, index);
    read.args = {"GET", key};
    read.expect = Expect::kRead;
    read.reads = {{client.db, key}};
    out.push_back(std::move(read));
    if (env_.Chance(0.1)) {
      add_literal({"UNWATCH"}, Reply::Ok());
      client.watching = false;
      return;
    }
  }
  add_literal({"MULTI"}, Reply::Ok());
  client.in_multi = true;
  client.queued.clear();
  client.exec_line.clear();
  for (std::uint64_t n = env_.Between(1, 4); n > 0; --n) {
    Request request = Start(client, index);
    (this->*Draw(true).build)(client, request);
    Finish(client, request);
    out.push_back(std::move(request));
  }
  client.in_multi = client.watching = false;
  if (env_.Chance(0.1)) {
    add_literal({"DISCARD"}, Reply::Ok());
    return;
  }
  Request exec = Start(client, index);
  exec.args = {"EXEC"};
  exec.expect = Expect::kExec;
  exec.line =
      ModelRedis::LineOf(client.user, ModelRedis::LogLine(client.db, exec.args) + client.exec_line);
  exec.queued = client.queued;
  exec.changes_session = exec.needs_own_link = true;
  for (const QueuedAccess& access : exec.queued) {
    exec.writes_everything =
        exec.writes_everything || access.command.starts_with("FLUSH") || access.command == "SWAPDB";
  }
  out.push_back(std::move(exec));
}

void Traffic::Greet(ClientState& client, bool resp3, std::uint64_t& index,
                    std::vector<Request>& out) {
  if (MustLogIn(client) || (profile_.identity && env_.Chance(0.6))) {
    Request request = Start(client, index);
    LogInAs(client, request, resp3, resp3, true);
    out.push_back(std::move(request));
    return;
  }
  if (!resp3) {
    return;
  }
  client.protocol = Protocol::kResp3;
  Request request = Start(client, index);
  request.args = {"HELLO", "3"};
  request.expect = Expect::kHello;
  request.changes_session = true;
  out.push_back(std::move(request));
}

void Traffic::Subscribe(ClientState& client, std::uint64_t& index, std::vector<Request>& out,
                        bool on) {
  Request request = Start(client, index);
  request.args = {on ? "SUBSCRIBE" : "UNSUBSCRIBE", "news"};
  request.expect = Expect::kSubscribed;
  request.changes_session = true;
  out.push_back(std::move(request));
}

void Traffic::Quit(ClientState& client, std::uint64_t& index, std::vector<Request>& out) {
  Request request = Literal(Start(client, index), {"QUIT"}, Reply::Ok());
  request.closes = true;
  out.push_back(std::move(request));
}

Args Traffic::DirectWrite(int& db) {
  db = env_.Chance(0.8) || profile_.cluster ? 0 : 1;
  static std::string token;
  token = "d" + std::to_string(env_.rng.Next() % 1000000000) + ";";
  const std::string key = Key('k');
  const double churn = profile_.churn;
  if (all_reads_ && env_.Chance(0.4)) {
    const std::string member = "m" + std::to_string(env_.rng.Below(3));
    return env_.Chance(0.5) ? Args{"HSET", Key('h'), member, token}
                            : Args{"ZADD", Key('z'), std::to_string(env_.rng.Below(100)), member};
  }
  const double at = env_.rng.Unit() * (10 + 2 * churn);
  if (at < 6) {
    return {"SET", key, token};
  }
  if (at < 7) {
    return {"SET", key, token, "PX", ShortTtl()};
  }
  if (at < 8) {
    return {"APPEND", key, token};
  }
  if (at < 9) {
    return {"INCR", Key('n')};
  }
  if (at < 10) {
    return {"LPUSH", Key('l'), token};
  }
  const double kind = env_.rng.Unit();
  if (kind < 0.45) {
    return {"DEL", key};
  }
  if (kind < 0.95) {
    return {"PEXPIRE", key, ShortTtl()};
  }
  return {kind < 0.98 ? "FLUSHDB" : "FLUSHALL"};
}

std::string Traffic::Key(char space) {
  // Half of all accesses go to two hot keys.
  const std::uint64_t n = space == 'k' ? 8 : 2;
  const std::uint64_t pick = env_.Chance(0.5) ? env_.rng.Below(2) : env_.rng.Below(n);
  if (!profile_.cluster) {
    return space + std::to_string(pick);
  }
  const int tag = pinned_ != kNoTag ? pinned_ : static_cast<int>(pick % kTags);
  return space + std::to_string(pick) + "{" + std::to_string(tag) + "}";
}

std::string Traffic::AnyKey() {
  const double at = env_.rng.Unit();
  return Key(at < 0.85 ? 'k' : at < 0.95 ? 'n' : 'l');
}

// The parts, one a slot, in the order in which the slots are first named. `step`: arguments a key
// takes with it.
void Traffic::TakeApart(const ClientState& client, Request& request, std::size_t step) const {
  if (!profile_.cluster) {
    return;
  }
  std::vector<int> tags;
  std::vector<Args> parts;
  for (std::size_t i = 1; i < request.args.size(); i += step) {
    const int tag = TagOf(request.args[i]);
    const auto at = std::find(tags.begin(), tags.end(), tag) - tags.begin();
    if (static_cast<std::size_t>(at) == tags.size()) {
      tags.push_back(tag);
      parts.push_back({request.args[0]});
      request.parts.emplace_back();
    }
    const auto index = static_cast<std::size_t>(at);
    for (std::size_t word = i; word < i + step; ++word) {
      parts[index].push_back(request.args[word]);
    }
    request.parts[index].writes.push_back({client.db, request.args[i]});
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    request.parts[i].line = ModelRedis::LogLine(client.db, parts[i]);
  }
  request.expect = Expect::kParts;
}

std::string Traffic::Text(const ClientState& client, const Request& request) {
  // The letter after the token marks lines that may occur only once (Checker::Finish).
  std::string text = TokenOf(client.number, request.index) + "x";
  const double at = env_.rng.Unit();
  const std::uint64_t pad = at < 0.8    ? env_.rng.Below(40)
                            : at < 0.98 ? env_.rng.Below(2000)
                                        : env_.rng.Below(20000);
  text.append(pad, 'x');
  if (env_.Chance(0.05)) {
    text += "\r\n$-1\r\n";  // binary safety: looks like a reply
  }
  return text;
}

std::string Traffic::ShortTtl() {
  return std::to_string(env_.Between(1, profile_.short_lives ? 60 : 800));
}

void Traffic::Read(ClientState& client, Request& request) {
  request.args = {env_.Chance(0.05) ? "get" : "GET", AnyKey()};
  request.expect = Expect::kRead;
  request.reads = {{client.db, request.args[1]}};
}

void Traffic::ReadOther(ClientState& client, Request& request) {
  static constexpr std::array<const char*, 4> kCommands = {"STRLEN", "EXISTS", "TYPE", "LLEN"};
  const char* command = kCommands[env_.rng.Below(kCommands.size())];
  request.args = {command, std::string(command) == "LLEN" ? Key('l') : AnyKey()};
  request.expect = Expect::kRead;
  request.reads = {{client.db, request.args[1]}};
}

// Several reads of few keys, so that replies to different ones of a key meet.
void Traffic::ReadCollection(ClientState& client, Request& request) {
  const std::string member = "m" + std::to_string(env_.rng.Below(3));
  const std::string text = Key('k');
  const std::string list = Key('l');
  const std::string hash = Key('h');
  const std::string set = Key('s');
  const std::string zset = Key('z');
  const std::array<Args, 15> reads = {{
      {"HGET", hash, member},
      {"hget", hash, member},
      {"HGETALL", hash},
      {"HLEN", hash},
      {"SMEMBERS", set},
      {"SISMEMBER", set, member},
      {"ZRANGE", zset, "0", "-1"},
      {"ZRANGE", zset, "0", "-1", "WITHSCORES"},
      {"ZSCORE", zset, member},
      {"ZCARD", zset},
      {"LRANGE", list, std::to_string(env_.rng.Below(3)), "-1"},
      {"LLEN", list},
      {"GETRANGE", text, "0", std::to_string(env_.rng.Below(12))},
      {"STRLEN", text},
      {"TYPE", env_.Chance(0.3) ? AnyKey() : hash},
  }};
  request.args = reads[env_.rng.Below(reads.size())];
  if (env_.Chance(0.03)) {
    request.args[1] = AnyKey();  // of the wrong type, mostly
  }
  request.expect = Expect::kRead;
  request.reads = {{client.db, request.args[1]}};
}

void Traffic::Collection(ClientState& client, Request& request) {
  const std::string member = "m" + std::to_string(env_.rng.Below(3));
  const double at = env_.rng.Unit();
  if (at < 0.35) {
    request.args = {"HSET", Key('h'), member, TokenOf(client.number, request.index) + "x"};
  } else if (at < 0.45) {
    request.args = {"HDEL", Key('h'), member};
  } else if (at < 0.55) {
    request.args = {"SADD", Key('s'), member};
  } else if (at < 0.65) {
    request.args = {"SREM", Key('s'), member};
  } else if (at < 0.85) {
    request.args = {"ZADD", Key('z'), std::to_string(env_.rng.Below(100)), member};
  } else if (at < 0.9) {
    request.args = {"ZREM", Key('z'), member};
  } else {
    request.args = {"PEXPIRE", Key(at < 0.95 ? 'h' : 'z'), ShortTtl()};
  }
  request.expect = Expect::kExecuted;
  request.writes = {{client.db, request.args[1]}};
}

void Traffic::Mget(ClientState& client, Request& request) {
  request.args = {"MGET"};
  for (std::uint64_t n = env_.Between(1, 4); n > 0; --n) {
    request.args.push_back(AnyKey());
    request.reads.push_back({client.db, request.args.back()});
  }
  request.expect = Expect::kMget;
}

void Traffic::Set(ClientState& client, Request& request) {
  const std::string key = Key('k');
  request.args = {"SET", key, Text(client, request)};
  request.expect = Expect::kExecuted;
  request.unique = true;
  request.writes = {{client.db, key}};
  const double at = env_.rng.Unit();
  Args& args = request.args;
  if (at < 0.15) {
    args.insert(args.end(), {"PX", ShortTtl()});
  } else if (at < 0.20) {
    args.insert(args.end(), {"EX", "1"});
  } else if (at < 0.25) {
    args.emplace_back("NX");
  } else if (at < 0.30) {
    args.emplace_back("XX");
  } else if (at < 0.35) {
    args.emplace_back("GET");
  } else if (at < 0.40) {
    args.emplace_back("KEEPTTL");
  } else if (at < 0.45) {
    args = {"SETNX", key, args[2]};
  }
}

void Traffic::Mset(ClientState& client, Request& request) {
  request.args = {"MSET"};
  for (std::uint64_t n = env_.Between(1, 3); n > 0; --n) {
    const std::string key = Key('k');
    request.args.push_back(key);
    request.args.push_back(Text(client, request));
    request.writes.push_back({client.db, key});
  }
  request.expect = Expect::kExecuted;
  TakeApart(client, request, 2);
}

void Traffic::Count(ClientState& client, Request& request) {
  // Now and then on a key that holds no number.
  request.args = {env_.Chance(0.8) ? "INCR" : "DECR", env_.Chance(0.95) ? Key('n') : AnyKey()};
  request.expect = Expect::kExecuted;
  request.writes = {{client.db, request.args[1]}};
}

void Traffic::Append(ClientState& client, Request& request) {
  request.args = {"APPEND", Key('k'), TokenOf(client.number, request.index) + "x"};
  request.expect = Expect::kExecuted;
  request.writes = {{client.db, request.args[1]}};
}

void Traffic::Remove(ClientState& client, Request& request) {
  request.args = {env_.Chance(0.7) ? "DEL" : "UNLINK"};
  for (std::uint64_t n = env_.Between(1, 2); n > 0; --n) {
    request.args.push_back(AnyKey());
    request.writes.push_back({client.db, request.args.back()});
  }
  request.expect = Expect::kExecuted;
  if (profile_.cluster && (request.writes.size() > 1 || env_.Chance(0.3))) {
    // A key that is nobody else's tells each part from those of other clients.
    for (const KeyId& id : std::vector<KeyId>(request.writes)) {
      request.args.push_back(TokenOf(client.number, request.index) + "x{" +
                             std::to_string(TagOf(id.name)) + "}");
      request.writes.push_back({client.db, request.args.back()});
    }
    TakeApart(client, request, 1);
  }
}

void Traffic::Expiry(ClientState& client, Request& request) {
  const std::string key = AnyKey();
  const double at = env_.rng.Unit();
  if (at < 0.6) {
    request.args = {"PEXPIRE", key, ShortTtl()};
  } else if (at < 0.8) {
    request.args = {"EXPIRE", key, env_.Chance(0.1) ? "0" : "1"};
  } else {
    request.args = {"PERSIST", key};
  }
  request.expect = Expect::kExecuted;
  request.writes = {{client.db, key}};
}

void Traffic::Remaining(ClientState& client, Request& request) {
  const double at = env_.rng.Unit();
  request.expect = Expect::kExecuted;
  if (at < 0.8) {
    request.args = {at < 0.4 ? "TTL" : "PTTL", AnyKey()};
    request.concerns = {{client.db, request.args[1]}};
  } else {
    request.args = {"DBSIZE"};
    request.expect = profile_.cluster ? Expect::kEveryNode : Expect::kExecuted;
  }
}

void Traffic::ReadAndChange(ClientState& client, Request& request) {
  const std::string key = AnyKey();
  const double at = env_.rng.Unit();
  if (at < 0.5) {
    request.args = {"GETDEL", key};
  } else if (at < 0.7) {
    request.args = {"GETEX", key};
  } else if (at < 0.9) {
    request.args = {"GETEX", key, "PX", ShortTtl()};
  } else {
    request.args = {"GETEX", key, "PERSIST"};
  }
  request.expect = Expect::kExecuted;
  request.writes = {{client.db, key}};
}

void Traffic::Rename(ClientState& client, Request& request) {
  request.args = {"RENAME", Key('k'), Key('k')};
  if (profile_.cluster && TagOf(request.args[1]) != TagOf(request.args[2])) {
    request = Literal(std::move(request), Args(request.args),
                      Reply::Error("CROSSSLOT Keys in request don't hash to the same slot"));
    return;
  }
  request.expect = Expect::kExecuted;
  request.writes = {{client.db, request.args[1]}, {client.db, request.args[2]}};
}

// By its text, or by the name that a client relies on once somebody has shown the text.
void Traffic::Script(ClientState& client, Request& request) {
  const double at = env_.rng.Unit();
  request.expect = Expect::kExecuted;
  const auto script = [&](std::string_view text) {
    const bool by_name = env_.Chance(0.6);
    request.args = {by_name ? "EVALSHA" : "EVAL", by_name ? Sha1Hex(text) : std::string(text), "1"};
  };
  if (at < 0.3) {
    script(handlers::kScriptGet);
    request.args.push_back(Key('k'));
  } else if (at < 0.6) {
    script(handlers::kScriptIncr);
    request.args.push_back(Key('n'));
  } else if (at < 0.95 || client.in_multi) {  // an EXEC with an unknown one could not be judged
    script(handlers::kScriptSet);
    request.args.push_back(Key('k'));
    request.args.push_back(Text(client, request));
  } else {
    request.args = {"EVALSHA", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "1", Key('k')};
  }
  request.writes = {{client.db, request.args[3]}};
}

void Traffic::List(ClientState& client, Request& request) {
  const std::string key = env_.Chance(0.95) ? Key('l') : AnyKey();
  const double at = env_.rng.Unit();
  if (at < 0.6) {
    request.args = {at < 0.3 ? "LPUSH" : "RPUSH", key, TokenOf(client.number, request.index) + "x"};
  } else {
    request.args = {"LPOP", key};
  }
  request.expect = Expect::kExecuted;
  request.writes = {{client.db, key}};
}

void Traffic::BlockingPop(ClientState& client, Request& request) {
  const std::string key = Key('l');
  request.args = {"BLPOP", key, "1"};
  request.expect = Expect::kExecuted;
  request.writes = {{client.db, key}};
  request.extra = std::chrono::seconds(1);
  request.needs_own_link = true;
}

void Traffic::Flush(ClientState& /*client*/, Request& request) {
  const double at = env_.rng.Unit();
  if (at < 0.5) {
    request.args = {"FLUSHDB"};
  } else if (at < 0.8) {
    request.args = {"FLUSHALL"};
  } else if (profile_.cluster) {
    request.args = {"flushall"};
  } else {
    request.args = {"SWAPDB", "0", "1"};
  }
  request.expect = profile_.cluster ? Expect::kEveryNode : Expect::kExecuted;
  request.writes_everything = true;
}

void Traffic::Select(ClientState& client, Request& request) {
  if (profile_.cluster) {
    const bool first = env_.Chance(0.5);
    request =
        Literal(std::move(request), {"SELECT", first ? "0" : "1"},
                first ? Reply::Ok() : Reply::Error("ERR SELECT is not allowed in cluster mode"));
    return;
  }
  if (env_.Chance(0.05)) {
    request =
        Literal(std::move(request), {"SELECT", "99"}, Reply::Error("ERR DB index is out of range"));
    request.needs_own_link = true;  // tried on a link of its own
    return;
  }
  client.db = env_.Chance(0.6) ? 0 : static_cast<int>(env_.rng.Below(3));
  request = Literal(std::move(request), {"SELECT", std::to_string(client.db)}, Reply::Ok());
  request.changes_session = request.needs_own_link = true;  // a database not seen yet is tried
}

void Traffic::Greeting(ClientState& client, Request& request) {
  client.protocol = env_.Chance(0.5) ? Protocol::kResp3 : Protocol::kResp2;
  request.protocol = client.protocol;
  request.args = {"HELLO", client.protocol == Protocol::kResp3 ? "3" : "2"};
  request.expect = Expect::kHello;
  request.changes_session = true;
}

void Traffic::LogIn(ClientState& client, Request& request) {
  LogInAs(client, request, env_.Chance(0.5), env_.Chance(0.3), env_.Chance(0.85));
}

// As one of the server's users, who may be the default one where that has a password.
void Traffic::LogInAs(ClientState& client, Request& request, bool resp3, bool hello, bool rightly) {
  std::vector<std::string> names = server_.users().Names();
  if (!server_.traits().password.empty()) {
    names.emplace_back("default");
  }
  const std::string& name = names[env_.rng.Below(names.size())];
  const bool is_default = name == "default";
  std::string password = is_default ? server_.traits().password : server_.users().PasswordOf(name);
  if (!rightly) {
    password += "?";
  }
  const Protocol protocol = resp3 ? Protocol::kResp3 : Protocol::kResp2;
  if (hello) {
    request.args = {"HELLO", resp3 ? "3" : "2", "AUTH", name, password};
  } else if (is_default) {
    request.args = {"AUTH", password};
  } else {
    request.args = {"AUTH", name, password};
  }
  request.changes_session = request.needs_own_link = true;  // it is tried on a link of its own
  if (!rightly) {
    request =
        Literal(std::move(request), Args(request.args),
                Reply::Error("WRONGPASS invalid username-password pair or user is disabled."));
    return;
  }
  client.logged_in = true;
  client.user = is_default ? "" : name;
  if (hello) {
    client.protocol = request.protocol = protocol;
    request.expect = Expect::kHello;
  } else {
    request = Literal(std::move(request), Args(request.args), Reply::Ok());
  }
}

// A connection goes from one user to nobody, who reads what that user has just read.
void Traffic::Become(ClientState& client, std::uint64_t& index, std::vector<Request>& out) {
  const std::string key = Key('k');
  const auto read = [&] {
    Request request = Start(client, index);
    request.args = {"GET", key};
    request.expect = Expect::kRead;
    request.reads = {{client.db, key}};
    out.push_back(std::move(request));
  };
  read();
  Request reset = Start(client, index);
  Reset(client, reset);
  out.push_back(std::move(reset));
  read();
}

void Traffic::Local(ClientState& client, Request& request) {
  const std::string token = TokenOf(client.number, request.index);
  switch (env_.rng.Below(6)) {
    case 0:
      request = Literal(std::move(request), {"PING"}, Reply::Simple("PONG"));
      break;
    case 1:
      request = Literal(std::move(request), {"PING", token}, Reply::Bulk(token));
      break;
    case 2:
      request = Literal(std::move(request), {"ECHO", token}, Reply::Bulk(token));
      break;
    case 3:
      client.name = "app" + std::to_string(request.index);
      request = Literal(std::move(request), {"CLIENT", "SETNAME", client.name}, Reply::Ok());
      request.changes_session = true;
      break;
    case 4:
      request = Literal(std::move(request), {"CLIENT", "GETNAME"},
                        client.name.empty() ? Reply::Nil() : Reply::Bulk(client.name));
      break;
    default:
      request.args = {"CLIENT", "ID"};
      request.expect = Expect::kInteger;
      break;
  }
}

void Traffic::Odd(ClientState& client, Request& request) {
  switch (env_.rng.Below(4)) {
    case 0:
      request = Literal(std::move(request), {"GET"},
                        Reply::Error("ERR wrong number of arguments for 'get' command"));
      break;
    case 1:
      request = Literal(std::move(request), {"EXEC"}, Reply::Error("ERR EXEC without MULTI"));
      break;
    case 2:
      Reset(client, request);
      break;
    default:
      request.args = {"FROB", Key('k'), TokenOf(client.number, request.index)};
      request.expect = Expect::kExecuted;
      break;
  }
}

// The connection is as new, in RESP2, and nobody's.
void Traffic::Reset(ClientState& client, Request& request) {
  client.protocol = request.protocol = Protocol::kResp2;
  client.db = 0;
  client.name.clear();
  client.watching = false;
  client.user.clear();
  client.logged_in = false;
  request = Literal(std::move(request), {"RESET"}, Reply::Simple("RESET"));
  request.changes_session = true;
}

void Traffic::Publish(ClientState& client, Request& request) {
  request.args = {"PUBLISH", "news", TokenOf(client.number, request.index) + "x"};
  request.expect = Expect::kExecuted;
}

}  // namespace nearcached::sim
