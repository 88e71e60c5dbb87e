// Draws what clients ask for: reads, writes, transactions, blocking and odd commands, each with
// the means to judge its reply.
//
// Keys come from a small space, so that clients meet on them: "k*" hold strings with tokens, "n*"
// numbers, "l*" lists. Every value written carries the token of its request, so no two writes are
// alike and a reader can tell whose value it sees.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/env.h"
#include "tests/sim/model_redis.h"
#include "tests/sim/profile.h"
#include "tests/sim/request.h"

namespace nearcached::sim {

class Traffic {
 public:
  // `all_reads`: the product caches other reads than GET, so these are what clients do most.
  Traffic(Env& env, const Profile& profile, const ModelRedis& server, bool all_reads)
      : env_(env),
        profile_(profile),
        server_(server),
        all_reads_(all_reads),
        read_mostly_(env.Chance(0.35)) {}

  // In such worlds writes are rare, so that the cache has something to do.
  [[nodiscard]] bool read_mostly() const { return read_mostly_; }

  // Appends the next request, or the several of a transaction, to `out` and moves the client's
  // state of requests sent accordingly.
  void Next(ClientState& client, std::uint64_t& index, std::vector<Request>& out);

  // The first request of a connection: HELLO 3, a login, or nothing.
  void Greet(ClientState& client, bool resp3, std::uint64_t& index, std::vector<Request>& out);
  void Subscribe(ClientState& client, std::uint64_t& index, std::vector<Request>& out, bool on);
  void Quit(ClientState& client, std::uint64_t& index, std::vector<Request>& out);

  // A write past the sidecar.
  [[nodiscard]] Args DirectWrite(int& db);

 private:
  using Build = void (Traffic::*)(ClientState&, Request&);
  struct Kind {
    double weight;
    Build build;
    bool in_multi;  // may be queued in a transaction
  };

  Request Start(ClientState& client, std::uint64_t& index) const;
  // The server does nothing for who has not logged in, and this one has not.
  [[nodiscard]] bool MustLogIn(const ClientState& client) const {
    return profile_.identity && !client.logged_in && !server_.traits().password.empty();
  }
  void Finish(ClientState& client, Request& request) const;
  const Kind& Draw(bool for_multi);
  void Transaction(ClientState& client, std::uint64_t& index, std::vector<Request>& out);
  // Of a transaction in a cluster: all its keys have one slot.
  void PinTag() { pinned_ = profile_.cluster ? static_cast<int>(env_.rng.Below(kTags)) : kNoTag; }
  static int TagOf(const std::string& key) { return key[key.size() - 2] - '0'; }
  void TakeApart(const ClientState& client, Request& request, std::size_t step) const;
  std::string Key(char space);
  std::string AnyKey();
  std::string Text(const ClientState& client, const Request& request);
  std::string ShortTtl();

  // Each fills in one request.
  void Read(ClientState& client, Request& request);
  void ReadOther(ClientState& client, Request& request);
  void ReadCollection(ClientState& client, Request& request);
  void Collection(ClientState& client, Request& request);
  void Mget(ClientState& client, Request& request);
  void Set(ClientState& client, Request& request);
  void Mset(ClientState& client, Request& request);
  void Count(ClientState& client, Request& request);
  void Append(ClientState& client, Request& request);
  void Remove(ClientState& client, Request& request);
  void Expiry(ClientState& client, Request& request);
  void Remaining(ClientState& client, Request& request);
  void ReadAndChange(ClientState& client, Request& request);
  void Rename(ClientState& client, Request& request);
  void Script(ClientState& client, Request& request);
  void List(ClientState& client, Request& request);
  void BlockingPop(ClientState& client, Request& request);
  void Flush(ClientState& client, Request& request);
  void Select(ClientState& client, Request& request);
  void Greeting(ClientState& client, Request& request);
  void LogIn(ClientState& client, Request& request);
  void Become(ClientState& client, std::uint64_t& index, std::vector<Request>& out);
  void LogInAs(ClientState& client, Request& request, bool resp3, bool hello, bool rightly);
  void Local(ClientState& client, Request& request);
  void Odd(ClientState& client, Request& request);
  void Reset(ClientState& client, Request& request);
  void Publish(ClientState& client, Request& request);

  static constexpr int kTags = 4;  // of a cluster's keys: "k5{1}"
  static constexpr int kNoTag = -1;

  Env& env_;
  const Profile& profile_;
  const ModelRedis& server_;
  const bool all_reads_;
  const bool read_mostly_;
  int pinned_ = kNoTag;
};

}  // namespace nearcached::sim
