// A model of a Redis server: RESP bytes in and out, sessions, commands, tracking, expiry, failures.
//
// Commands are executed one at a time, at one instant each: that instant, and the rising `op`
// number of each command, are the truth that the checker judges the product by. Semantics follow
// Redis 7.0; what was measured on live servers is in pitfalls.md 4.8.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/env.h"
#include "tests/sim/model_store.h"
#include "tests/sim/model_tracking.h"
#include "tests/sim/model_users.h"
#include "tests/sim/resp.h"
#include "tests/sim/server_nodes.h"
#include "tests/sim/sim_network.h"

namespace nearcached::sim {

class ModelRedis;
struct ModelCommand;

// What kind of server this is; drawn per world.
struct ServerTraits {
  bool knows_hello = true;     // false: older than Redis 6
  bool knows_tracking = true;  // false: a managed service without it
  bool command_table = true;   // COMMAND answers a table rather than an error
  std::string password;        // empty: no AUTH needed
  std::size_t tracking_keys_max = 1000;
  Duration expiry_lag_max = std::chrono::milliseconds(300);
  double slow = 0;  // chance that a command keeps the server busy
  Duration slow_max{};
  double garbage = 0;  // chance that a reply is followed by bytes that are not RESP
};

// One connection to the model, or the one session that all direct writers share (no connection).
// Plain state that the command functions work on; owned by ModelRedis until the end of the run.
struct ModelSession final : public PeerHandler {
  ModelSession(ModelRedis& owner, SessionNumber id, SimConnection* wire)
      : model(owner), number(id), connection(wire) {}
  ModelSession(const ModelSession&) = delete;
  ModelSession& operator=(const ModelSession&) = delete;
  ~ModelSession() = default;

  void OnPeerBytes(std::string_view bytes) override;
  void OnPeerClosed() override;
  // Sends a reply or push in this session's protocol.
  void Send(const Reply& reply) const;

  // A blocking command that waits.
  struct Blocked {
    std::vector<KeyId> keys;
    std::string line;  // for the log
    std::uint64_t number = 0;
  };

  ModelRedis& model;
  const SessionNumber number;
  SimConnection* const connection;
  std::size_t node = 0;  // where it is connected to
  bool closed = false;
  CommandReader reader;
  std::deque<Args> pending;  // read, not yet executed
  Protocol protocol = Protocol::kResp2;
  int db = 0;
  bool authenticated = false;
  std::string user;  // whom it has logged in as; empty: the default user
  std::string name;
  bool in_multi = false;
  bool multi_broken = false;
  std::vector<Args> queued;
  std::set<KeyId> watched;
  bool watch_broken = false;
  bool caching_yes = false;
  bool asking = false;  // ASKING was the command before
  bool readonly = false;
  std::set<std::string> channels;
  std::optional<Blocked> blocked;
  std::vector<Reply> deferred;  // pushes that wait for the end of the command
};

// A command that the model executed for the product.
struct Executed {
  std::uint64_t op = 0;
  MonoTime at{};
  Reply reply;
  bool claimed = false;  // a client's reply has been matched with it
  std::size_t node = 0;  // where
};

class ModelRedis {
 public:
  // A round of the event loop takes at most this long: broadcasts are sent when it ends.
  static constexpr Duration kRoundMax = std::chrono::microseconds(300);

  // Told of every key that a session was promised invalidations for by a GET, of every command
  // executed for a session without tracking (of one that blocked: again when it is answered), and
  // of every key invalidated (empty: all).
  struct Observer {
    std::function<void(const SimConnection&, const KeyId&)> tracked_read;
    std::function<void(const Args&)> untracked_command;
    std::function<void(const std::string&)> invalidated;
    // A message of a channel has been sent (`message`), or the subscription to it confirmed.
    std::function<void(const SimConnection&, const std::string& channel, bool message)> heard;
  };

  ModelRedis(Env& env, ServerTraits traits);
  ModelRedis(const ModelRedis&) = delete;
  ModelRedis& operator=(const ModelRedis&) = delete;
  ~ModelRedis() = default;

  void Connect(SimConnection& connection, std::size_t node = 0);
  // There are several nodes: who may serve what is asked of `nodes`, which outlives this.
  void SetNodes(ServerNodes& nodes);
  [[nodiscard]] const ServerNodes* nodes() const { return nodes_; }
  [[nodiscard]] bool clustered() const { return nodes_ != nullptr && nodes_->clustered(); }
  // Executes a command of another client of the server, now.
  Reply Direct(int db, const Args& args);

  // As SIGSTOP and SIGCONT: connections stay, nothing is answered.
  void Stop(std::size_t node = 0);
  void Resume(std::size_t node = 0);
  // Breaks every connection and comes back after `down`, perhaps without its data, then answers
  // LOADING for `loading`.
  void Restart(bool lose_data, Duration down, Duration loading);
  [[nodiscard]] bool down() const { return env_.scheduler.Now() < down_until_; }
  [[nodiscard]] bool stopped(std::size_t node = 0) const { return engines_[node].stopped; }

  // Closes the connections of a user, as ACL DELUSER does.
  void Disconnect(const std::string& user);

  [[nodiscard]] Store& store() { return store_; }
  [[nodiscard]] const Store& store() const { return store_; }
  [[nodiscard]] const ServerTraits& traits() const { return traits_; }
  void SetObserver(Observer observer) { observer_ = std::move(observer); }

  // Nobody in it: whoever is authenticated may do everything.
  [[nodiscard]] ModelUsers& users() { return users_; }
  [[nodiscard]] const ModelUsers& users() const { return users_; }

  // The log of what was executed for the product's sessions, by LineOf.
  [[nodiscard]] std::vector<Executed>* FindExecuted(const std::string& line);
  [[nodiscard]] const std::map<std::string, std::vector<Executed>>& executed() const {
    return executed_;
  }
  // "0|SET|k|v": the database, then the arguments, the name in upper case.
  static std::string LogLine(int db, const Args& args);
  // The same by whom: "alice>0|SET|k|v".
  static std::string LineOf(const std::string& user, const std::string& line) {
    return user.empty() ? line : user + ">" + line;
  }
  [[nodiscard]] std::uint64_t commands_executed() const { return commands_executed_; }

  // For the session and the command functions.
  void Enqueue(ModelSession& session);
  void SessionClosed(ModelSession& session);
  // A key was changed by `session`: watchers, invalidations, blocked readers.
  void Modified(ModelSession& session, const KeyId& id);
  // A node of a cluster empties what it holds. Everybody's for the direct session.
  void FlushHeldBy(const ModelSession& session);
  // The open session of a node that has this CLIENT ID.
  [[nodiscard]] std::optional<SessionNumber> FindSession(const std::string& id,
                                                         std::size_t node) const;
  // Of a node, from one restart to the next.
  [[nodiscard]] std::string RunId(std::size_t node) const {
    return "model" + std::to_string(node) + "." + std::to_string(restarts_);
  }
  // Whether the session's node holds the key.
  [[nodiscard]] bool Holds(const ModelSession& session, const std::string& key) const {
    return nodes_ == nullptr || session.connection == nullptr || nodes_->Holds(session.node, key);
  }
  // The sessions that `node` has were told of the key's end (it was moved, not changed).
  void LeftNode(std::size_t node, const std::string& key);
  // Every session of `node` that waits, for one of the keys if `concerns` says so, is answered now.
  void WakeBlocked(std::size_t node, const std::function<bool(const std::string&)>& concerns,
                   const Reply& reply, bool close);
  // Watchers of one database (of all) and every tracking session hear of a flush.
  void FlushedEverything(std::optional<int> db);
  void BreakWatches(std::optional<int> db);
  Reply Exec(ModelSession& session);
  void Block(ModelSession& session, std::vector<KeyId> keys, Duration timeout, std::string line);
  void ServeBlocked(const KeyId& id);
  // The scripts of the node that a session is connected to, by SHA1. Lost by a restart, and known
  // to no other node.
  std::map<std::string, std::string>& scripts(const ModelSession& session) {
    return scripts_[session.node];
  }
  void NoteHeard(const ModelSession& session, const std::string& channel, bool message) const {
    if (observer_.heard && session.connection != nullptr) {
      observer_.heard(*session.connection, channel, message);
    }
  }
  std::int64_t Publish(const std::string& channel, const std::string& message);
  void ResetSession(ModelSession& session);
  [[nodiscard]] bool in_exec() const { return in_exec_; }
  [[nodiscard]] TrackingTable& tracking() { return tracking_; }
  [[nodiscard]] Env& env() { return env_; }

 private:
  // One loop that executes commands: of one server, or of a node of a cluster.
  struct Engine {
    std::deque<ModelSession*> ready;  // one entry per pending command
    bool stopped = false;
    bool process_posted = false;
    MonoTime busy_until{};
  };

  Engine& EngineOf(const ModelSession& session) {
    return engines_[engines_.size() == 1 ? 0 : session.node];
  }
  void ProcessQueue(Engine& engine);
  void AskAgain(ModelSession& session);
  [[nodiscard]] bool Hears(SessionNumber number, const std::string& key) const;
  void Execute(ModelSession& session, const Args& args);
  Reply Dispatch(ModelSession& session, const Args& args);
  Reply Call(ModelSession& session, const Args& args);
  void RememberKeys(const ModelSession& session, const ModelCommand& command, const Args& args,
                    int db);
  std::optional<Reply> Refusal(const ModelSession& session, const std::string& name,
                               const Args& args) const;
  // Ends the wait of a blocked session; returns the line of its command.
  std::string Unblock(ModelSession& session);
  [[nodiscard]] std::optional<Reply> Denial(const ModelSession& session, const Args& args) const;
  void Push(SessionNumber number, Reply push);
  void PushInvalidation(SessionNumber number, Reply keys);
  void BroadcastSoon();
  void FlushDeferred(ModelSession& session) const;
  void Log(const ModelSession& session, const std::string& line, const Reply& reply,
           std::uint64_t op);
  void MaybeGarbage(const ModelSession& session);

  Env& env_;
  ServerTraits traits_;
  Store store_;
  TrackingTable tracking_;
  ModelUsers users_;
  Observer observer_;
  std::vector<std::unique_ptr<ModelSession>> sessions_;  // by number; never freed in a run
  std::vector<Engine> engines_ = std::vector<Engine>(1);
  std::map<std::string, std::vector<Executed>> executed_;
  std::map<std::size_t, std::map<std::string, std::string>> scripts_;  // by node
  ServerNodes* nodes_ = nullptr;                                       // null: one server
  ModelSession* current_ = nullptr;
  ModelSession* direct_ = nullptr;
  bool in_exec_ = false;
  bool broadcast_posted_ = false;
  std::uint64_t restarts_ = 0;
  MonoTime down_until_{};
  MonoTime loading_until_{};
  std::uint64_t blocked_seq_ = 0;
  std::uint64_t commands_executed_ = 0;
};

}  // namespace nearcached::sim
