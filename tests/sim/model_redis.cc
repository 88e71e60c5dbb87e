#include "tests/sim/model_redis.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "tests/sim/model_commands.h"

namespace nearcached::sim {
namespace {

std::string Describe(const Args& args) {
  std::string text;
  for (const std::string& arg : args) {
    text.append(text.empty() ? "" : " ").append(arg.substr(0, 40));
  }
  return text;
}

}  // namespace

void ModelSession::OnPeerBytes(std::string_view bytes) {
  reader.Feed(bytes);
  Args args;
  while (reader.Next(args)) {
    pending.push_back(args);
    model.Enqueue(*this);
  }
  if (reader.broken() && !closed) {
    Send(Reply::Error("ERR Protocol error"));
    connection->Shutdown();
  }
}

void ModelSession::OnPeerClosed() {
  model.SessionClosed(*this);
}

void ModelSession::Send(const Reply& reply) const {
  if (connection != nullptr && !closed) {
    connection->Send(Encode(reply, protocol));
  }
}

ModelRedis::ModelRedis(Env& env, ServerTraits traits)
    : env_(env),
      traits_(std::move(traits)),
      store_(env, [this](const KeyId& id) { Modified(*direct_, id); }),
      tracking_(env.rng, [this](SessionNumber number, const std::string& key) {
        PushInvalidation(number, Reply::Array({Reply::Bulk(key)}));
      }) {
  tracking_.SetMaxKeys(traits_.tracking_keys_max);
  store_.SetExpiryLagMax(traits_.expiry_lag_max);
  sessions_.push_back(std::make_unique<ModelSession>(*this, 0, nullptr));
  direct_ = sessions_.front().get();
  direct_->authenticated = true;
}

void ModelRedis::Connect(SimConnection& connection, std::size_t node) {
  sessions_.push_back(std::make_unique<ModelSession>(*this, sessions_.size(), &connection));
  sessions_.back()->node = node;
  sessions_.back()->authenticated = traits_.password.empty();
  connection.SetPeer(sessions_.back().get());
}

Reply ModelRedis::Direct(int db, const Args& args) {
  direct_->db = db;
  env_.Note("direct", std::to_string(db) + ": " + Describe(args));
  return Call(*direct_, args);
}

void ModelRedis::SetNodes(ServerNodes& nodes) {
  nodes_ = &nodes;
  engines_.resize(nodes.clustered() ? nodes.nodes() : 1);
}

void ModelRedis::Stop(std::size_t node) {
  env_.Note("redis", "stopped");
  engines_[node].stopped = true;
  store_.SetFrozen(engines_.size() == 1);
}

void ModelRedis::Resume(std::size_t node) {
  env_.Note("redis", "resumed");
  engines_[node].stopped = false;
  store_.SetFrozen(false);
  ProcessQueue(engines_[node]);
}

void ModelRedis::Restart(bool lose_data, Duration down, Duration loading) {
  env_.Note("redis", lose_data ? "restarts without its data" : "restarts");
  down_until_ = env_.scheduler.Now() + down;
  loading_until_ = down_until_ + loading;
  tracking_.Clear();
  ++restarts_;
  scripts_.clear();
  for (const auto& session : sessions_) {
    if (session->connection != nullptr && !session->closed) {
      SessionClosed(*session);
      session->connection->Reset(true);
    }
  }
  for (Engine& engine : engines_) {
    engine.ready.clear();
  }
  if (lose_data) {
    store_.NextOp();
    for (int db = 0; db < Store::kDatabases; ++db) {
      store_.Flush(db);
    }
  }
}

std::vector<Executed>* ModelRedis::FindExecuted(const std::string& line) {
  const auto it = executed_.find(line);
  return it == executed_.end() ? nullptr : &it->second;
}

std::string ModelRedis::LogLine(int db, const Args& args) {
  std::string line = std::to_string(db) + "|" + Upper(args.front());
  for (std::size_t i = 1; i < args.size(); ++i) {
    line.append("|").append(args[i]);
  }
  return line;
}

void ModelRedis::Enqueue(ModelSession& session) {
  Engine& engine = EngineOf(session);
  engine.ready.push_back(&session);
  ProcessQueue(engine);
}

void ModelRedis::SessionClosed(ModelSession& session) {
  if (session.closed) {
    return;
  }
  env_.Note("redis", "connection " + session.connection->name() + " closed");
  session.closed = true;
  session.blocked.reset();
  tracking_.Forget(session.number);
}

void ModelRedis::ProcessQueue(Engine& engine) {
  while (!engine.ready.empty() && !engine.stopped) {
    const MonoTime now = env_.scheduler.Now();
    if (now < engine.busy_until) {
      if (!engine.process_posted) {
        engine.process_posted = true;
        env_.scheduler.Post(engine.busy_until - now, [this, &engine] {
          engine.process_posted = false;
          ProcessQueue(engine);
        });
      }
      return;
    }
    ModelSession& session = *engine.ready.front();
    engine.ready.pop_front();
    if (session.blocked || session.pending.empty()) {
      continue;  // a blocked session's commands are asked for again when it wakes
    }
    const Args args = std::move(session.pending.front());
    session.pending.pop_front();
    if (env_.Chance(traits_.slow)) {
      engine.busy_until = now + env_.Between(Duration::zero(), traits_.slow_max);
    }
    // What had arrived before the connection broke may be executed or not: both happen.
    if (!session.closed || env_.Chance(0.5)) {
      Execute(session, args);
    }
  }
}

// What a session sent while it was blocked gets its turn.
void ModelRedis::AskAgain(ModelSession& session) {
  auto& ready = EngineOf(session).ready;
  ready.insert(ready.end(), session.pending.size(), &session);
}

void ModelRedis::Execute(ModelSession& session, const Args& args) {
  current_ = &session;
  const Reply reply = Dispatch(session, args);
  current_ = nullptr;
  env_.Note(session.connection->name(), std::to_string(session.db) + ": " + Describe(args) +
                                            " -> " + Printable(Encode(reply, session.protocol)));
  session.Send(reply);
  FlushDeferred(session);
  MaybeGarbage(session);
  if (!session.in_multi &&
      !(args.size() > 1 && Upper(args[0]) == "CLIENT" && Upper(args[1]) == "CACHING")) {
    session.caching_yes = false;
  }
  session.asking = session.asking && Upper(args[0]) == "ASKING";
}

std::optional<Reply> ModelRedis::Refusal(const ModelSession& session, const std::string& name,
                                         const Args& args) const {
  const bool handshake = name == "HELLO" || name == "AUTH" || name == "QUIT" || name == "RESET";
  if (!session.authenticated && !handshake) {
    return Reply::Error("NOAUTH Authentication required.");
  }
  if (env_.scheduler.Now() < loading_until_ && !handshake && name != "CLIENT" &&
      name != "COMMAND" && name != "MULTI" && name != "SELECT") {
    return Reply::Error("LOADING Redis is loading the dataset in memory");
  }
  if (auto denied = Denial(session, args)) {
    return denied;
  }
  const ModelCommand* command = FindModelCommand(name);
  if (nodes_ != nullptr && session.connection != nullptr && command != nullptr) {
    if (auto instead = nodes_->Instead(session, *command, args)) {
      return instead;
    }
  }
  if (session.protocol == Protocol::kResp2 && !session.channels.empty() && name != "SUBSCRIBE" &&
      name != "UNSUBSCRIBE" && name != "PING" && name != "QUIT" && name != "RESET") {
    return Reply::Error("ERR Can't execute '" + name + "': only (P|S)SUBSCRIBE / " +
                        "(P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context");
  }
  return std::nullopt;
}

// What a user may not touch, it may not name.
std::optional<Reply> ModelRedis::Denial(const ModelSession& session, const Args& args) const {
  const ModelCommand* command = FindModelCommand(Upper(args[0]));
  if (session.connection == nullptr || users_.empty() || command == nullptr) {
    return std::nullopt;
  }
  for (const std::string& key : KeysOf(*command, args)) {
    if (!users_.May(session.user, key)) {
      return Reply::Error(
          "NOPERM this user has no permissions to access one of the keys used as arguments");
    }
  }
  return std::nullopt;
}

void ModelRedis::Disconnect(const std::string& user) {
  for (const auto& session : sessions_) {
    if (session->connection != nullptr && !session->closed && session->user == user) {
      SessionClosed(*session);
      session->connection->Shutdown();
    }
  }
}

Reply ModelRedis::Dispatch(ModelSession& session, const Args& args) {
  const std::string name = Upper(args[0]);
  if (auto refusal = Refusal(session, name, args)) {
    session.multi_broken = session.in_multi;
    if (tracking_.Mode(session.number) == nullptr && observer_.untracked_command) {
      observer_.untracked_command(args);
    }
    if (nodes_ != nullptr && nodes_->clustered()) {
      // No client is to see it, so it is not in the log; and it ends a transaction.
      if (name == "EXEC") {
        session.in_multi = session.multi_broken = session.watch_broken = false;
        session.queued.clear();
        session.watched.clear();
      }
    } else {
      Log(session, LogLine(session.db, args), *refusal, store_.NextOp());
    }
    return *std::move(refusal);
  }
  const bool control = name == "EXEC" || name == "DISCARD" || name == "MULTI" || name == "WATCH" ||
                       name == "RESET" || name == "QUIT";
  if (session.in_multi && !control) {
    if (FindModelCommand(name) == nullptr) {
      session.multi_broken = true;
      return Call(session, args);
    }
    if (session.connection != nullptr && observer_.untracked_command) {
      observer_.untracked_command(args);
    }
    session.queued.push_back(args);
    return Reply::Simple("QUEUED");
  }
  return Call(session, args);
}

Reply ModelRedis::Call(ModelSession& session, const Args& args) {
  const std::string name = Upper(args[0]);
  if (!in_exec_) {
    store_.NextOp();
  }
  ++commands_executed_;
  // Refused ones as well: the product drops what they name all the same.
  if (session.connection != nullptr && tracking_.Mode(session.number) == nullptr &&
      observer_.untracked_command) {
    observer_.untracked_command(args);
  }
  const std::uint64_t op = store_.op();  // a command that wakes a blocked one raises it
  const int db = session.db;
  Reply reply;
  const ModelCommand* command = FindModelCommand(name);
  if (command == nullptr || (name == "HELLO" && !traits_.knows_hello)) {
    reply = Reply::Error("ERR unknown command '" + args[0] + "', with args beginning with: ");
  } else if (const auto n = static_cast<int>(args.size());
             command->arity >= 0 ? n != command->arity : n < -command->arity) {
    std::string lower(command->name);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    reply = Reply::Error("ERR wrong number of arguments for '" + lower + "' command");
  } else {
    reply = command->run({*this, session, args});
    RememberKeys(session, *command, args, db);
    if (name == "EXEC") {
      return reply;  // logged by Exec, with what it executed
    }
  }
  if (!in_exec_ && reply.kind != Reply::Kind::kNone) {
    Log(session, LogLine(db, args), reply, op);
  }
  return reply;
}

void ModelRedis::RememberKeys(const ModelSession& session, const ModelCommand& command,
                              const Args& args, int db) {
  const TrackingMode* mode = tracking_.Mode(session.number);
  if (!command.readonly || mode == nullptr || mode->bcast ||
      (mode->optin && !session.caching_yes)) {
    return;
  }
  for (const std::string& key : KeysOf(command, args)) {
    tracking_.Remember(session.number, key);
    if (command.name == "GET" && observer_.tracked_read && session.connection != nullptr) {
      observer_.tracked_read(*session.connection, KeyId{db, key});
    }
  }
}

Reply ModelRedis::Exec(ModelSession& session) {
  if (!session.in_multi) {
    Reply error = Reply::Error("ERR EXEC without MULTI");
    Log(session, LogLine(session.db, {"EXEC"}), error, store_.op());
    return error;
  }
  std::string line = LogLine(session.db, {"EXEC"});
  for (const Args& args : session.queued) {
    line.append("||").append(LogLine(session.db, args));
  }
  const std::uint64_t op = store_.op();
  const std::vector<Args> queued = std::move(session.queued);
  session.queued.clear();
  session.in_multi = false;
  Reply reply;
  if (session.multi_broken) {
    reply = Reply::Error("EXECABORT Transaction discarded because of previous errors.");
  } else if (session.watch_broken) {
    reply = Reply::NilArray();
  } else {
    in_exec_ = true;
    reply = Reply::Array({});
    for (const Args& args : queued) {
      // Rights are looked at once more: they may have changed since.
      const auto denied = Denial(session, args);
      reply.items.push_back(
          denied ? Reply::Error("NOPERM ACLs rules changed between the moment the transaction was "
                                "accumulated and the EXEC call. This command is no longer allowed "
                                "for the following reason: no permission to touch the specified "
                                "keys")
                 : Call(session, args));
    }
    in_exec_ = false;
  }
  session.multi_broken = session.watch_broken = false;
  session.watched.clear();
  Log(session, line, reply, op);
  return reply;
}

void ModelRedis::Modified(ModelSession& session, const KeyId& id) {
  for (const auto& other : sessions_) {
    if (other->watched.count(id) != 0) {
      other->watch_broken = true;
    }
  }
  tracking_.Invalidate(id.name, session.number,
                       [&](SessionNumber number) { return Hears(number, id.name); });
  BroadcastSoon();
}

// A round of the event loop executes whatever has arrived, and then broadcasts what it changed.
void ModelRedis::BroadcastSoon() {
  if (!tracking_.broadcasts_pending() || std::exchange(broadcast_posted_, true)) {
    return;
  }
  env_.scheduler.Post(env_.Between(Duration::zero(), kRoundMax), [this] {
    broadcast_posted_ = false;
    tracking_.Broadcast();
  });
}

bool ModelRedis::Hears(SessionNumber number, const std::string& key) const {
  return nodes_ == nullptr || nodes_->Hears(sessions_[number]->node, key);
}

void ModelRedis::LeftNode(std::size_t node, const std::string& key) {
  for (const auto& session : sessions_) {
    if (session->node == node && session->watched.count(KeyId{0, key}) != 0) {
      session->watch_broken = true;
    }
  }
  tracking_.Invalidate(key, direct_->number,
                       [&](SessionNumber number) { return sessions_[number]->node == node; });
  BroadcastSoon();
}

std::optional<SessionNumber> ModelRedis::FindSession(const std::string& id,
                                                     std::size_t node) const {
  for (const auto& session : sessions_) {
    if (!session->closed && session->connection != nullptr && session->node == node &&
        std::to_string(session->number) == id) {
      return session->number;
    }
  }
  return std::nullopt;
}

// To the session that read the keys, or to whom it has redirected its tracking. Without RESP3 an
// invalidation is a message of a channel; who has not subscribed to it hears nothing.
void ModelRedis::PushInvalidation(SessionNumber number, Reply keys) {
  if (observer_.invalidated) {
    observer_.invalidated(keys.items.empty() ? "" : keys.items.front().text);
  }
  const TrackingMode* mode = tracking_.Mode(number);
  const bool redirected = mode != nullptr && mode->redirect != 0;
  const ModelSession& to = *sessions_[redirected ? mode->redirect : number];
  if (redirected && to.closed) {
    if (sessions_[number]->protocol == Protocol::kResp3) {
      Push(number, Reply::Push({Reply::Bulk("tracking-redir-broken"),
                                Reply::Integer(static_cast<std::int64_t>(mode->redirect))}));
    }
    return;
  }
  if (to.protocol == Protocol::kResp3) {
    Push(to.number, Reply::Push({Reply::Bulk("invalidate"), std::move(keys)}));
  } else if (redirected && to.channels.count("__redis__:invalidate") != 0) {
    Push(to.number, Reply::Push({Reply::Bulk("message"), Reply::Bulk("__redis__:invalidate"),
                                 std::move(keys)}));
  }
}

void ModelRedis::FlushHeldBy(const ModelSession& session) {
  for (const KeyId& id : store_.LiveKeys(0)) {
    if (Holds(session, id.name)) {
      store_.Put(id, {});
      for (const auto& other : sessions_) {
        other->watch_broken = other->watch_broken || other->watched.count(id) != 0;
      }
    }
  }
  const bool everywhere = session.connection == nullptr;
  for (const SessionNumber number : tracking_.InvalidateAll([&](SessionNumber number) {
         return everywhere || sessions_[number]->node == session.node;
       })) {
    PushInvalidation(number, Reply::Nil());
  }
}

void ModelRedis::WakeBlocked(std::size_t node,
                             const std::function<bool(const std::string&)>& concerns,
                             const Reply& reply, bool close) {
  for (const auto& session : sessions_) {
    if (session->node != node || !session->blocked || session->closed ||
        !std::ranges::any_of(session->blocked->keys,
                             [&](const KeyId& id) { return concerns(id.name); })) {
      continue;
    }
    env_.Note(session->connection->name(), "no longer waits: " + Unblock(*session));
    session->Send(reply);
    if (close) {
      session->connection->Shutdown();
    } else {
      AskAgain(*session);
      ProcessQueue(EngineOf(*session));
    }
  }
}

void ModelRedis::BreakWatches(std::optional<int> db) {
  for (const auto& other : sessions_) {
    const auto hit = std::any_of(other->watched.begin(), other->watched.end(),
                                 [&](const KeyId& id) { return !db || id.db == *db; });
    other->watch_broken = other->watch_broken || hit;
  }
}

void ModelRedis::FlushedEverything(std::optional<int> db) {
  BreakWatches(db);
  for (const SessionNumber number : tracking_.InvalidateAll()) {
    PushInvalidation(number, Reply::Nil());
  }
}

void ModelRedis::Block(ModelSession& session, std::vector<KeyId> keys, Duration timeout,
                       std::string line) {
  const std::uint64_t number = ++blocked_seq_;
  session.blocked = ModelSession::Blocked{std::move(keys), std::move(line), number};
  if (timeout == Duration::zero()) {
    return;
  }
  env_.scheduler.Post(timeout, [this, &session, number] {
    if (session.blocked && session.blocked->number == number && !session.closed) {
      const std::string logged = Unblock(session);
      Log(session, logged, Reply::NilArray(), store_.NextOp());
      session.Send(Reply::NilArray());
      AskAgain(session);
      ProcessQueue(EngineOf(session));
    }
  });
}

// The reply of a blocked command leaves now, long after it was executed: the product forgets the
// keys it names once more when it comes.
std::string ModelRedis::Unblock(ModelSession& session) {
  const ModelSession::Blocked blocked = std::move(*session.blocked);
  session.blocked.reset();
  if (observer_.untracked_command) {
    Args named = {blocked.line};
    std::transform(blocked.keys.begin(), blocked.keys.end(), std::back_inserter(named),
                   [](const KeyId& id) { return id.name; });
    observer_.untracked_command(named);
  }
  return blocked.line;
}

void ModelRedis::ServeBlocked(const KeyId& id) {
  ModelSession* longest = nullptr;
  for (const auto& session : sessions_) {
    if (session->blocked && !session->closed && Holds(*session, id.name) &&
        std::count(session->blocked->keys.begin(), session->blocked->keys.end(), id) != 0 &&
        (longest == nullptr || session->blocked->number < longest->blocked->number)) {
      longest = session.get();
    }
  }
  Value* value = longest == nullptr ? nullptr : store_.Find(id);
  if (value == nullptr || value->type != Value::Type::kList || value->list.empty()) {
    return;
  }
  const Reply reply = Reply::Array({Reply::Bulk(id.name), Reply::Bulk(value->list.front())});
  const std::string line = Unblock(*longest);
  value->list.pop_front();
  store_.NextOp();
  if (value->list.empty()) {
    store_.Put(id, {});
  } else {
    store_.Changed(id);
  }
  Modified(*longest, id);
  Log(*longest, line, reply, store_.op());
  env_.Note(longest->connection->name(), "served by a push: " + line);
  longest->Send(reply);
  AskAgain(*longest);
}

std::int64_t ModelRedis::Publish(const std::string& channel, const std::string& message) {
  std::int64_t heard = 0;
  for (const auto& session : sessions_) {
    if (!session->closed && session->channels.count(channel) != 0) {
      Push(session->number,
           Reply::Push({Reply::Bulk("message"), Reply::Bulk(channel), Reply::Bulk(message)}));
      NoteHeard(*session, channel, true);
      ++heard;
    }
  }
  return heard;
}

void ModelRedis::ResetSession(ModelSession& session) {
  session.in_multi = session.multi_broken = session.watch_broken = false;
  session.queued.clear();
  session.watched.clear();
  session.channels.clear();
  session.db = 0;
  session.name.clear();
  session.protocol = Protocol::kResp2;
  session.authenticated = traits_.password.empty();
  session.user.clear();
  session.asking = false;
  tracking_.Forget(session.number);
}

void ModelRedis::Push(SessionNumber number, Reply push) {
  ModelSession& session = *sessions_[number];
  if (session.closed) {
    return;
  }
  if (&session == current_) {
    session.deferred.push_back(std::move(push));
  } else {
    session.Send(push);
  }
}

void ModelRedis::FlushDeferred(ModelSession& session) const {
  for (const Reply& push : session.deferred) {
    session.Send(push);
  }
  session.deferred.clear();
}

void ModelRedis::Log(const ModelSession& session, const std::string& line, const Reply& reply,
                     std::uint64_t op) {
  if (session.connection != nullptr) {
    executed_[LineOf(session.user, line)].push_back(
        {op, env_.scheduler.Now(), reply, false, session.node});
  }
}

void ModelRedis::MaybeGarbage(const ModelSession& session) {
  if (env_.Chance(traits_.garbage)) {
    static constexpr std::string_view kGarbage[] = {"?\r\n", "$99999999999999999999\r\n", "*-7\r\n",
                                                    "$3\r\nabcdef\r\n", "\0\0\0\0\r\n"};
    env_.Note(session.connection->name(), "sends garbage");
    session.connection->Send(kGarbage[env_.rng.Below(std::size(kGarbage))]);
  }
}

}  // namespace nearcached::sim
