#include "tests/sim/model_nodes.h"

#include <algorithm>
#include <utility>

#include "tests/sim/model_commands.h"

namespace nearcached::sim {

using std::chrono::milliseconds;

namespace {

constexpr int kNodePort = 6379;
constexpr int kSentinelPort = 26379;
constexpr Duration kSentinelLagMax = milliseconds(500);
// Clients are watched for this long at a time; what they ask reaches a node within that.
constexpr Duration kAskedWithin = milliseconds(100);
constexpr Duration kOnTheWayMax = milliseconds(300);
// How long a replica may go on following the primary that was replaced.
constexpr Duration kFollowsLateMax = milliseconds(2000);
constexpr std::uint64_t kLost = 1'000'000;
constexpr std::uint64_t kOffset = 1'000 * kLost;

}  // namespace

// A sentinel, and all connections to it.
struct NodeGroup::Sentinel {
  struct Session final : PeerHandler {
    Session(Sentinel& s, SimConnection& c) : owner(s), connection(c) {}
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() = default;

    void OnPeerBytes(std::string_view bytes) override {
      reader.Feed(bytes);
      Args args;
      while (!closed && reader.Next(args)) {
        const Reply reply = owner.Answer(*this, args);
        owner.group.env_.Note(connection.name(), "sentinel " + std::to_string(owner.number) + ": " +
                                                     args.back() + " -> " +
                                                     Printable(Encode(reply, Protocol::kResp2)));
        connection.Send(Encode(reply, Protocol::kResp2));
      }
    }
    void OnPeerClosed() override { closed = true; }

    Sentinel& owner;
    SimConnection& connection;
    CommandReader reader;
    bool subscribed = false;
    bool closed = false;
  };

  Sentinel(NodeGroup& g, std::size_t n, bool l) : group(g), number(n), lies(l) {}

  Reply Answer(Session& session, const Args& args) const {
    const std::string name = Upper(args[0]);
    const std::string what = args.size() > 1 ? Upper(args[1]) : "";
    if (name == "PING") {
      return session.subscribed ? Reply::Array({Reply::Bulk("pong"), Reply::Bulk("")})
                                : Reply::Simple("PONG");
    }
    if (name == "SUBSCRIBE") {
      session.subscribed = true;
      return Reply::Array({Reply::Bulk("subscribe"), Reply::Bulk(args[1]), Reply::Integer(1)});
    }
    if (what == "GET-MASTER-ADDR-BY-NAME") {
      return Reply::Array(
          {Reply::Bulk(group.NameOf(Named())), Reply::Bulk(std::to_string(kNodePort))});
    }
    if (what == "MASTER") {
      return lies ? Reply::Error("NOPERM no permissions")
                  : Reply::Array({Reply::Bulk("config-epoch"), Reply::Bulk(std::to_string(epoch))});
    }
    if (what == "MYID") {
      return Reply::Bulk("id" + std::to_string(number));
    }
    std::vector<Reply> others;
    for (std::size_t i = 0; i < group.sentinels_.size(); ++i) {
      if (i != number) {
        others.push_back(
            Reply::Array({Reply::Bulk("ip"), Reply::Bulk("s" + std::to_string(i)),
                          Reply::Bulk("port"), Reply::Bulk(std::to_string(kSentinelPort))}));
      }
    }
    return Reply::Array(std::move(others));
  }

  // A liar names a replica, whatever it knows.
  [[nodiscard]] std::size_t Named() const {
    return lies ? (believed + 1) % group.nodes_.size() : believed;
  }

  void Learn(std::size_t node, std::uint64_t of_epoch) {
    if (of_epoch <= epoch) {
      return;
    }
    const std::string before = group.NameOf(Named());
    believed = node;
    epoch = of_epoch;
    const std::string port = " " + std::to_string(kNodePort);
    for (const auto& session : sessions) {
      if (session->subscribed && !session->closed) {
        session->connection.Send(Encode(
            Reply::Array({Reply::Bulk("message"), Reply::Bulk("+switch-master"),
                          Reply::Bulk("m " + before + port + " " + group.NameOf(Named()) + port)}),
            Protocol::kResp2));
      }
    }
  }

  NodeGroup& group;
  const std::size_t number;
  const bool lies;
  std::size_t believed = 0;
  std::uint64_t epoch = 1;
  bool down = false;
  std::vector<std::unique_ptr<Session>> sessions;
};

NodeGroup::NodeGroup(Env& env, const Shape& shape, const NodePromises& promises)
    : env_(env), shape_(shape), promises_(promises), nodes_(static_cast<std::size_t>(shape.nodes)) {
  nodes_.front().state = State::kPrimary;
  for (int i = 0; i < shape.sentinels; ++i) {
    sentinels_.push_back(std::make_unique<Sentinel>(*this, static_cast<std::size_t>(i),
                                                    shape.one_lies && i == shape.sentinels - 1));
  }
}

NodeGroup::~NodeGroup() = default;

std::vector<std::string> NodeGroup::Hosts() const {
  std::vector<std::string> hosts;
  if (sentinels_.empty()) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      hosts.push_back(NameOf(i) + ":" + std::to_string(kNodePort));
    }
  }
  for (std::size_t i = 0; i < sentinels_.size(); ++i) {
    hosts.push_back("s" + std::to_string(i) + ":" + std::to_string(kSentinelPort));
  }
  return hosts;
}

std::optional<std::size_t> NodeGroup::NodeOf(const Endpoint& endpoint) const {
  if (endpoint.port != kNodePort) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(endpoint.host.back() - '0');
}

DialOutcome NodeGroup::Dialled(const Endpoint& endpoint) const {
  if (const auto node = NodeOf(endpoint)) {
    const State state = nodes_[*node].state;
    return state == State::kDown     ? DialOutcome::kRefused
           : state == State::kSilent ? DialOutcome::kHangs
                                     : DialOutcome::kAccepted;
  }
  const auto number = static_cast<std::size_t>(endpoint.host.back() - '0');
  return sentinels_[number]->down ? DialOutcome::kRefused : DialOutcome::kAccepted;
}

void NodeGroup::Accepted(SimConnection& connection, const Endpoint& endpoint) {
  if (const auto node = NodeOf(endpoint)) {
    nodes_[*node].connections.push_back(&connection);
    return;
  }
  Sentinel& sentinel = *sentinels_[static_cast<std::size_t>(endpoint.host.back() - '0')];
  sentinel.sessions.push_back(std::make_unique<Sentinel::Session>(sentinel, connection));
  connection.SetPeer(sentinel.sessions.back().get());
}

std::size_t NodeGroup::replicas() const {
  return static_cast<std::size_t>(std::ranges::count(nodes_, State::kReplica, &Node::state));
}

Reply NodeGroup::Role(std::size_t node) const {
  const State state = nodes_[node].state;
  if (state == State::kPrimary || state == State::kStalePrimary) {
    std::vector<Reply> following;
    for (std::size_t i = 0; state == State::kPrimary && i < replicas(); ++i) {
      following.push_back(
          Reply::Array({Reply::Bulk("10.0.0.1"), Reply::Bulk("6379"), Reply::Bulk("1")}));
    }
    return Reply::Array({Reply::Bulk("master"), Reply::Integer(static_cast<std::int64_t>(epoch_)),
                         Reply::Array(std::move(following))});
  }
  return Reply::Array({Reply::Bulk("slave"), Reply::Bulk(NameOf(primary_)),
                       Reply::Integer(kNodePort), Reply::Bulk("connected"), Reply::Integer(1)});
}

std::string NodeGroup::Replication(std::size_t node) const {
  const State state = nodes_[node].state;
  const bool primary = state == State::kPrimary || state == State::kStalePrimary;
  const std::uint64_t op = store_ == nullptr ? 0 : store_->op();
  const std::uint64_t follows = nodes_[node].follows;
  // A history has more behind it than the next one, which does not have what was lost.
  const std::uint64_t offset = (primary ? op : Applied(node)) + kOffset - follows * kLost;
  return std::string(primary ? "role:master\r\nmaster_repl_offset:"
                             : "role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:") +
         std::to_string(offset) + "\r\nmaster_replid:h" + std::to_string(follows) + "\r\n";
}

std::uint64_t NodeGroup::Applied(std::size_t node) const {
  const Node& at = nodes_[node];
  if (store_ != nullptr && at.follows == epoch_ && env_.scheduler.Now() >= at.next_step) {
    at.applied = std::exchange(at.arrived, store_->op());
    at.next_step = env_.scheduler.Now() + env_.Between(milliseconds(1), milliseconds(400));
  }
  return at.applied;
}

// What a replica answers: reads of single keys as of the operation it has come to, and of others
// that it cannot now. A key whose end has come is gone there as well.
Reply NodeGroup::ReadAtReplica(const ModelSession& session, const Args& args) {
  const std::uint64_t applied = Applied(session.node);
  if (Upper(args[0]) == "PTTL") {
    env_.Fail("I8", NameOf(session.node) + " was asked to fill L1, and is a replica");
  }
  if (Upper(args[0]) != "GET" || env_.Chance(0.005)) {
    return env_.Chance(0.5) ? Reply::Error("LOADING Redis is loading the dataset in memory")
                            : Reply::Error("MASTERDOWN Link with MASTER is down");
  }
  ++replica_reads_;
  const KeyId id{session.db, args[1]};
  const Version* version = store_->Before(id, applied + 1);
  const MonoTime now = env_.scheduler.Now();
  if (version != nullptr && version->value.expire_at && *version->value.expire_at <= now) {
    (void)store_->Find(id);
    version = store_->Before(id, store_->op() + 1);
  }
  return RenderRead({"GET"}, version == nullptr ? Value{} : version->value);
}

std::optional<Reply> NodeGroup::Instead(const ModelSession& session, const ModelCommand& command,
                                        const Args& args) {
  if (!command.write && !command.readonly) {
    return std::nullopt;
  }
  const std::size_t node = session.node;
  Node& at = nodes_[node];
  const MonoTime now = env_.scheduler.Now();
  if (at.state == State::kPrimary) {
    at.used = now;
    return std::nullopt;
  }
  if (store_ != nullptr && at.state == State::kReplica && command.readonly && now > at.grace_end) {
    return ReadAtReplica(session, args);
  }
  // What had arrived before it went down may still be executed.
  if (at.state != State::kDown && at.state != State::kSilent && now > at.grace_end) {
    env_.Fail("I8", std::string(command.name) + " was sent to " + NameOf(node) +
                        ", which is no primary, and this should have been known since " +
                        FormatTime(at.grace_end));
  }
  if (at.state == State::kReplica && command.write) {
    return Reply::Error("READONLY You can't write against a read only replica.");
  }
  return std::nullopt;
}

void NodeGroup::Become(std::size_t node, State state, Duration grace) {
  static constexpr const char* kNames[] = {"the primary", "a replica",
                                           "a primary that was replaced", "down", "silent"};
  env_.Note(NameOf(node), std::string("is ") + kNames[static_cast<std::size_t>(state)]);
  nodes_[node].state = state;
  nodes_[node].grace_end = env_.scheduler.Now() + grace;
  if (state == State::kPrimary || state == State::kReplica) {
    nodes_[node].follows = epoch_;
  }
  std::vector<SimConnection*> connections;
  if (state == State::kDown || state == State::kSilent) {
    connections = std::exchange(nodes_[node].connections, {});
  }
  for (SimConnection* connection : connections) {
    if (connection->product_open() && !connection->dead()) {
      if (state == State::kDown) {
        connection->Reset(env_.Chance(0.5));
      } else {
        connection->Blackhole();
      }
    }
  }
}

// Each sentinel hears of the new primary in its own time; one may be away meanwhile.
void NodeGroup::Teach() {
  const std::size_t node = primary_;
  const std::uint64_t epoch = epoch_;
  const std::size_t leader = env_.rng.Below(sentinels_.size());
  for (const auto& sentinel : sentinels_) {
    Sentinel* const pupil = sentinel.get();
    const bool leads = pupil->number == leader;
    env_.scheduler.Post(leads ? Duration::zero() : env_.Between(Duration::zero(), kSentinelLagMax),
                        [pupil, node, epoch] { pupil->Learn(node, epoch); });
  }
  if (env_.Chance(0.3)) {
    Sentinel* const away = sentinels_[env_.rng.Below(sentinels_.size())].get();
    away->down = true;
    env_.Note("sentinel", std::to_string(away->number) + " goes away");
    for (const auto& session : away->sessions) {
      if (!session->closed && session->connection.product_open()) {
        session->connection.Reset(true);
      }
    }
    env_.scheduler.Post(env_.Between(milliseconds(100), milliseconds(2000)),
                        [away] { away->down = false; });
  }
}

void NodeGroup::Promote(std::size_t next, Duration grace, Duration bound, const Asked& asked) {
  // The node that was replaced and still takes itself for the primary may be believed until now.
  for (Node& node : nodes_) {
    if (node.state == State::kStalePrimary) {
      node.grace_end = env_.scheduler.Now() + grace;
    }
  }
  primary_ = next;
  const std::uint64_t epoch = ++epoch_;
  Become(next, State::kPrimary, Duration::zero());
  for (Node& node : nodes_) {
    if (store_ != nullptr && node.state == State::kReplica) {
      env_.scheduler.Post(env_.Between(Duration::zero(), kFollowsLateMax),
                          [&node, epoch] { node.follows = std::max(node.follows, epoch); });
    }
  }
  if (!sentinels_.empty()) {
    Teach();
  }
  const MonoTime promoted = env_.scheduler.Now();
  env_.scheduler.Post(bound,
                      [this, next, promoted, asked] { JudgeService(next, promoted, asked); });
}

// The bound is over: who asks from now on is served by the new primary. As long as nobody asks
// there is nothing to be seen.
void NodeGroup::JudgeService(std::size_t node, MonoTime promoted, const Asked& asked) {
  const auto before = asked();
  if (!before || !IsUnused(node, promoted)) {
    return;
  }
  env_.scheduler.Post(kAskedWithin, [this, node, promoted, asked, before] {
    if (asked() == before) {
      JudgeService(node, promoted, asked);
      return;
    }
    env_.scheduler.Post(kOnTheWayMax, [this, node, promoted, asked] {
      if (asked() && IsUnused(node, promoted)) {
        env_.Fail("I8", NameOf(node) + " is the primary since " + FormatTime(promoted) +
                            " and has been asked nothing yet, though clients ask");
      }
    });
  });
}

void NodeGroup::ChangePrimary(const Asked& asked) {
  if (std::exchange(changing_, true)) {
    return;
  }
  ++changes_;
  const std::size_t old = primary_;
  const std::size_t next = (old + 1 + env_.rng.Below(nodes_.size() - 1)) % nodes_.size();
  const Duration leave = promises_.leave_max;
  const double way = env_.rng.Unit();
  Duration pause = env_.Between(Duration::zero(), Duration(milliseconds(800)));
  Duration bound = promises_.return_max;
  const bool can_be_told = !sentinels_.empty() || nodes_.size() > 2;  // two that claim it are a tie
  if (way < 0.35) {
    Become(old, State::kDown, Duration::zero());
  } else if (way < 0.55) {
    Become(old, State::kSilent, Duration::zero());
    bound = promises_.silent_max;
  } else if (way < 0.8 || !can_be_told) {
    Become(old, State::kReplica, leave);
  } else {
    Become(old, State::kStalePrimary, leave);  // it is the only one yet; Promote begins its grace
    nodes_[old].grace_end = MonoTime::max();
    pause = Duration::zero();
  }
  env_.scheduler.Post(pause,
                      [this, next, leave, bound, asked] { Promote(next, leave, bound, asked); });
  env_.scheduler.Post(pause + bound, [this, old, leave, can_be_told] {
    changing_ = false;
    const bool away = nodes_[old].state == State::kDown || nodes_[old].state == State::kSilent;
    if (away && can_be_told && env_.Chance(0.4)) {
      Become(old, State::kStalePrimary, Duration::zero());  // nobody follows it any more
      // With a list nobody could tell it from one that was promoted, should the primary go now.
      changing_ = sentinels_.empty();
      env_.scheduler.Post(milliseconds(700), [this, old] {
        changing_ = changing_ && !sentinels_.empty();
        if (nodes_[old].state == State::kStalePrimary) {
          Become(old, State::kReplica, Duration::zero());
        }
      });
    } else if (nodes_[old].state != State::kReplica) {
      Become(old, State::kReplica, away ? Duration::zero() : leave);
    }
  });
}

}  // namespace nearcached::sim
