// The judge: compares every reply with what the model server held and executed.
//
// I1 and I2 of ARCHITECTURE.md, from consistency.md G1-G5 and G7:
//  - a reply to a cacheable read must equal a version of that key in that database whose life
//    reaches beyond (a) every write of the key acknowledged to any client before the read was
//    sent, (b) the newest version this connection has seen, its own writes included, and (c) the
//    staleness horizon: the oldest thing the server has sent that the product has not been handed,
//    and (d) the last message about the key that the product has been handed (announcements.h);
//  - every other reply must be the result of exactly one execution at the server, inside the
//    request's life, that no other client has been given; executions keep the connection's order;
//  - a version written by a later request of the same connection must not be seen;
//  - a transaction that succeeded under WATCH saw what was current when it executed.
// I3: no second tracked read of a key is sent while the reply to the first is still on its way and
//    nothing has happened to the key.
// I10: nobody is shown the value of a key that its user could not read at any moment of the
//    request's life. (What L1 holds is the default user's, who may be shown it until it ends.)
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/announcements.h"
#include "tests/sim/env.h"
#include "tests/sim/model_redis.h"
#include "tests/sim/request.h"
#include "tests/sim/sim_network.h"

namespace nearcached::sim {

// What the product promises in this world.
struct Promises {
  bool no_faults = false;     // every error that the server did not make is a violation
  bool tracking = true;       // false: staleness is bounded by l1_ttl only
  bool coalescing = true;     // equal reads at the same time become one (I3)
  bool order_by_key = false;  // requests for different keys may be executed out of order
  bool only_moves = false;    // slots move and nothing breaks: only what is bound to one node fails
  bool replicas = false;      // a client may see a key go back, though never behind its own writes
  bool slots_move = false;    // several keys of a slot on its way may have to wait for one another
  Duration unpushed_max{};    // how long a change may stay unseen that nobody tells the product of
  Duration push_delay{};      // how long the server may take to send what it pushes
  Duration absence_max{};     // how old "no such key" may be; zero: as any other value
  Duration l1_ttl{};          // longest life of an L1 entry
  Duration stale_max{};       // with tracking: until a silently dead link is dropped
  Duration request_timeout{};
  Duration stale_if_error{};  // how long into an outage a value may be served
};

class Checker {
 public:
  Checker(Env& env, ModelRedis& model, const SimNetwork& network, Promises promises);

  // Fixes the floors and horizons of a request at the moment it is sent.
  void Sent(ClientState& client, Request& request);
  // Judges a reply; requests are handed over in the order they were sent.
  void Answered(ClientState& client, const Request& request, const RawReply& reply);
  // A push or channel message that belongs to no request.
  void OutOfBand(ClientState& client, const RawReply& reply, bool subscribed);
  // The model executed a tracked read for the product.
  void TrackedRead(const SimConnection& connection, const KeyId& id);
  // Something happened to a key, or to all (empty name), that permits a new fetch of it.
  void Disturbed(const std::string& key);
  // Another client of the server has sent SCRIPT FLUSH: NOSCRIPT may rightly be seen from now on.
  void ScriptsFlushed() { scripts_flushed_ = true; }
  // How many values the product says it has served in outages: replies of requests in whose life
  // that number rose may be stale by Promises::stale_if_error more.
  void SetStaleServed(std::function<std::uint64_t()> count) { stale_served_ = std::move(count); }
  // What the product was told outside of tracking. Borrowed.
  void SetAnnouncements(Announcements& announcements) { announcements_ = &announcements; }
  // At the end of a run.
  void Finish();

  [[nodiscard]] const Promises& promises() const { return promises_; }
  [[nodiscard]] std::uint64_t replies() const { return replies_; }
  [[nodiscard]] std::uint64_t errors() const { return errors_; }

 private:
  struct Fetch {
    const SimConnection* connection = nullptr;
    std::uint64_t reply_offset = 0;
    MonoTime at;
  };

  bool JudgeRead(ClientState& client, const Request& request, std::size_t i, const Args& read,
                 const std::string& bytes);
  [[nodiscard]] bool MayHaveWrongEnd(const std::vector<Version>& versions, std::size_t n) const;
  bool JudgeMget(ClientState& client, const Request& request, const RawReply& reply);
  // Executions before this cannot be the request's: of what the client has been answered before.
  [[nodiscard]] std::uint64_t OrderFloor(ClientState& client, const Request& request,
                                         const std::vector<KeyId>& keys) const;
  // A request that may be carried out after later ones of its client (ARCHITECTURE.md 4: TRYAGAIN).
  [[nodiscard]] bool MayRunLate(const Request& request) const;
  void Raise(ClientState& client, const Request& request, const KeyId& id, std::uint64_t op) const;
  bool JudgeParts(ClientState& client, const Request& request, const RawReply& reply);
  bool JudgeEveryNode(const Request& request, const RawReply& reply);
  void AcknowledgeFlush(const Request& request);
  bool JudgeExecuted(ClientState& client, const Request& request, const RawReply& reply);
  void JudgeTransaction(ClientState& client, const Request& request, const Executed& executed,
                        const RawReply& reply);
  void NoteScripts(ClientState& client, Request& request) const;
  void JudgeScript(ClientState& client, const Request& request, const RawReply& reply);
  bool JudgeRefusal(ClientState& client, const Request& request, const RawReply& reply) const;
  void JudgeRights(const ClientState& client, const Request& request, const RawReply& reply);
  void JudgeError(ClientState& client, const Request& request, const RawReply& reply);
  bool JudgeHello(const Request& request, const RawReply& reply) const;
  [[nodiscard]] std::string Candidates(ClientState& client, const Request& request) const;
  void Acknowledge(ClientState& client, const Request& request, const Executed& executed);
  [[nodiscard]] std::string Explain(const Request& request, const KeyId& id, const Args& read,
                                    const std::string& bytes, std::uint64_t floor) const;
  void Fail(std::string_view invariant, const ClientState& client, const Request& request,
            const RawReply& reply, const std::string& why);
  [[nodiscard]] static bool SeesLaterWrite(const ClientState& client, const Request& request,
                                           const KeyId& id, const std::string& bytes);

  Env& env_;
  ModelRedis& model_;
  const SimNetwork& network_;
  std::function<std::uint64_t()> stale_served_ = [] { return 0; };
  Announcements* announcements_ = nullptr;
  Promises promises_;
  std::map<KeyId, std::uint64_t> acknowledged_;  // newest write whose reply a client has received
  std::uint64_t acknowledged_all_ = 0;
  std::map<KeyId, Fetch> fetches_;
  std::map<std::string, MonoTime> disturbed_;
  MonoTime disturbed_all_{};
  std::set<std::string> shown_;  // scripts that an EVAL was answered for, by SHA1
  bool scripts_flushed_ = false;
  std::uint64_t replies_ = 0;
  std::uint64_t errors_ = 0;
};

// The token that marks values written by a request: "c<connection>.<index>;".
[[nodiscard]] std::string TokenOf(int connection, std::uint64_t index);

}  // namespace nearcached::sim
