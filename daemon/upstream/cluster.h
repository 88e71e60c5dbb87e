// A Redis Cluster that looks like one Redis: the upstream of one worker, where there are many.
//
// Implements the same seams as a Pool, over one Pool a node. Sessions, flights and coherence do not
// know. cluster.cc begins with the design.
//
// Owned by the worker; loop thread only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "config/config.h"
#include "daemon/base/hash.h"
#include "daemon/command/command_table.h"
#include "daemon/fetch/coherence.h"
#include "daemon/fetch/fill_channel.h"
#include "daemon/fetch/upstream.h"
#include "daemon/upstream/cluster_exclusive.h"
#include "daemon/upstream/cluster_merge.h"
#include "daemon/upstream/cluster_nodes.h"
#include "daemon/upstream/cluster_redirect.h"
#include "daemon/upstream/cluster_refresh.h"
#include "daemon/upstream/cluster_route.h"
#include "daemon/upstream/cluster_slot_table.h"
#include "daemon/upstream/cluster_stats.h"
#include "daemon/upstream/pool.h"
#include "proto/request_decoder.h"

namespace nearcached {

class Cluster final : public Upstream,
                      public FillChannel,
                      public ClusterView,
                      private ReplySink,
                      private PoolParent {
 public:
  // Borrowed things outlive the cluster. `config` may change between turns (reload).
  struct Deps {
    Scheduler& scheduler;
    Dialer& dialer;
    const config::UpstreamConfig& config;
    config::TrackingConfig::Mode tracking = config::TrackingConfig::Mode::kAuto;
    bool fill = true;  // false where L1 is off
    Rng& rng;
    CommandTable& commands;
    const KeyHasher& hasher;
    ClusterStats& stats;
    // As Pool's. As kClient (identities.h) it fills nothing, and what it learns of slots is neither
    // L1's business nor the metrics'.
    LoginKind login = LoginKind::kOwn;
    UpstreamStats* shared_stats = nullptr;
    std::function<void()> on_login_refused{};
    config::TrackingConfig::Method method = config::TrackingConfig::Method::kAuto;
    std::vector<std::string> broadcast{};  // as Pool's
  };
  explicit Cluster(const Deps& deps);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // As Pool's.
  void SetCoherence(Coherence& coherence) { coherence_ = &coherence; }
  void Start() { refresh_.Start(); }
  void Flush();
  void Reconnect();
  void Shutdown();
  [[nodiscard]] const UpstreamStats& stats() const { return stats_; }
  // For clusters that count together with this one.
  UpstreamStats& shared_stats() { return stats_; }
  // Calls `visit` for the pool of every node that has one.
  void ForEachPool(const std::function<void(const Pool&)>& visit) const { nodes_.Visit(visit); }
  // Every node that owns slots, as the newest map has it; empty before the first.
  [[nodiscard]] std::vector<Endpoint> Primaries() const;
  // The node that owns the key's slot; nothing while it is nobody's, or has just moved and is not
  // settled.
  [[nodiscard]] std::optional<Endpoint> PrimaryOf(std::string_view key) const;
  // How many slots the node of the pool owns.
  [[nodiscard]] std::size_t SlotsOf(const Pool& pool) const;
  [[nodiscard]] std::string TrackingText() const;
  [[nodiscard]] std::string EndpointText() const { return deps_.config.url; }
  [[nodiscard]] bool up() const {
    return login_needed_ || (mapped_ && stats_.links_ready.value() > 0);
  }

  // Upstream
  UpstreamLink& Lane(DbIndex db, proto::Protocol protocol, std::uint64_t& seat,
                     bool may_move) override;
  ExclusiveLink* Borrow(DbIndex db, proto::Protocol protocol, ExclusiveOwner& owner,
                        std::uint64_t session, std::string_view& error_line) override;
  void LeaveLine(std::uint64_t /*session*/) override {}  // they wait behind their link, see there
  void Return(ExclusiveLink* link, bool reusable) override;
  // The node that has the key's slot is; where nobody has it, there is nothing to wait for.
  [[nodiscard]] bool AwayFor(std::string_view key) const override;
  [[nodiscard]] bool holding() const override {
    return false;
  }  // each node for itself, see cluster_waiting.cc
  [[nodiscard]] bool speaks_resp3() const override;
  [[nodiscard]] std::string_view server_version() const override;

  // FillChannel
  std::variant<FillOwner, std::string_view> SendFill(const CacheKey& key, const ReadRequest& read,
                                                     ReplySink& sink,
                                                     std::uint64_t flight) override;
  TrackingState StateFor(const CacheKey& key) override;
  bool Crowded(DbIndex db, std::uint64_t hash, std::size_t own) override {
    return AnyCrowded(own, [&](Pool& pool) { return pool.Crowded(db, hash, own); });
  }

  // ClusterView, for exclusive links.
  Taken Take(std::string_view bytes) override;
  NodeIndex OwnerOf(Slot slot) override { return slots_.owner(slot); }
  NodeIndex AnyNode(std::uint64_t session) override;
  NodeIndex NodeAt(const Endpoint& endpoint) override { return nodes_.Ensure(endpoint); }
  std::string_view SendTo(NodeIndex node, proto::Protocol protocol, std::uint64_t lane,
                          SendRequest& request) override;
  ClusterNodes& nodes() override { return nodes_; }
  void NoteRedirect(const Redirect& redirect) override;
  std::unique_ptr<Footprint> FootprintAgain(std::string_view bytes) override;
  void Forget(std::unique_ptr<Footprint> footprint) override {
    if (footprint != nullptr) {
      coherence_->Finish(std::move(footprint), Outcome::kAnswered);
    }
  }
  [[nodiscard]] bool MakesWait(NodeIndex node) const override;
  void LookForNodes() override;
  void CountHeld(bool waits) override;
  Scheduler& scheduler() override { return deps_.scheduler; }

 private:
  // A client's lane, which ends at whatever node a request belongs to.
  class ClientLane final : public UpstreamLink {
   public:
    ClientLane(Cluster& cluster, proto::Protocol protocol, std::uint64_t number)
        : cluster_(cluster), protocol_(protocol), number_(number) {}
    using UpstreamLink::Send;
    std::string_view Send(SendRequest& request) override {
      return cluster_.SendOn(protocol_, number_, request);
    }
    std::string_view SendBack(SendRequest& request) override {
      return cluster_.answering_ == kNoNode
                 ? Send(request)
                 : cluster_.SendTo(cluster_.answering_, protocol_, number_, request);
    }
    [[nodiscard]] bool StuckAt(MonoTime /*now*/) override { return false; }
    // At whichever node: nobody knows yet where the next request goes.
    [[nodiscard]] bool Crowded(std::size_t own) const override {
      return cluster_.AnyCrowded(
          own, [&](Pool& pool) { return pool.LaneCrowded(0, protocol_, number_, own); });
    }
    [[nodiscard]] bool Full(std::size_t bytes) const override {
      return cluster_.AnyPrimary(
          [&](Pool& pool) { return pool.LaneFull(0, protocol_, number_, bytes); });
    }

   private:
    Cluster& cluster_;
    const proto::Protocol protocol_;
    const std::uint64_t number_;
  };

  // A request that became several, and what has come back of it.
  struct Gather {
    ReplySink* sink = nullptr;
    RequestToken token;
    MergeKind merge = MergeKind::kFirst;
    std::vector<MergePart> parts;
    std::size_t waiting = 0;  // parts unanswered
    std::size_t bytes = 0;
    bool lost = false;                     // some part was
    std::unique_ptr<Footprint> footprint;  // of what goes to every node; else the parts have them
    ScanCursor scan;
    std::uint64_t scan_nodes = 0;
    bool overflow = false;  // more came back than may be kept
  };

  // One request to one node: a client's, a part of one, or a fill.
  struct Op {
    bool used = false;
    ReplySink* sink = nullptr;
    RequestToken token;
    std::shared_ptr<Gather> gather;  // owned by its unanswered parts together
    std::uint32_t part = 0;
    std::string bytes;                     // the request, for another node
    std::unique_ptr<Footprint> footprint;  // until the request is handed to a link
    bool footprinted = false;              // it had one
    ScriptRef script;                      // that it calls
    MonoTime deadline{};
    Duration left{};          // until it, when the op began to wait for its node
    std::uint64_t order = 0;  // rises: of two that wait, the lower goes on first
    proto::Protocol protocol = proto::Protocol::kResp2;
    std::uint64_t lane = 0;
    std::uint64_t client = 0;
    bool repeatable = false;
    bool repeated = false;  // it is sent for the second time, its connection having been lost
    Slot slot = 0;
    bool keyed = false;    // `slot` means something
    bool entered = false;  // counted in the slot table
    bool fill = false;     // a flight's; `token.owner` is the flight
    bool plain = false;    // fill: asked again without hope of filling, the read alone
    bool begun = false;    // pieces were delivered
    bool finished = false;
    bool down = false;  // it waits because a node said CLUSTERDOWN
    NodeIndex node = kNoNode;
    int due = 0;  // answers that links still owe for it
    int redirects = 0;
    int tries = 0;  // TRYAGAIN
  };
  using OpId = std::uint64_t;
  // One lane of one node: what keeps requests in order.
  using NodeLane = std::tuple<NodeIndex, proto::Protocol, std::uint64_t>;
  // A lane on which CLUSTERDOWN was said.
  struct Down {
    MonoTime since;
    bool asked = false;            // whether it still is so
    std::optional<MonoTime> open;  // since when requests may try: there is no knowing
  };

  // What a link answers to, in the low byte of a token's seq; above it is the node.
  static constexpr std::uint64_t kReply = 2;  // 0 and 1 are a fill's value and TTL
  static constexpr std::uint64_t kAsking = 3;
  // How long after TRYAGAIN a request is sent again.
  static constexpr Duration kTryAgainAfter = std::chrono::milliseconds(25);

  // The same as AnyPrimary, for who has `own` requests under way. Who has none waits for nobody, or
  // nobody would wake it.
  template <typename Crowded>
  [[nodiscard]] bool AnyCrowded(std::size_t own, const Crowded& crowded) const {
    return own != 0 && AnyPrimary(crowded);
  }
  // Whether `holds` for the pool of a node that owns slots.
  template <typename Holds>
  [[nodiscard]] bool AnyPrimary(const Holds& holds) const {
    return std::any_of(primaries_.begin(), primaries_.end(),
                       [&](NodeIndex node) { return holds(nodes_.pool(node)); });
  }

  // cluster_requests.cc: what clients send.
  std::string_view SendOn(proto::Protocol protocol, std::uint64_t lane, SendRequest& request);
  std::string_view SendOne(Op op, SendRequest& request);
  std::string_view SendSplit(const Op& like, const Route& route, SendRequest& request);
  std::string_view SendToPrimaries(const Op& like, const Route& route, SendRequest& request);
  std::string_view SendScan(Op op, SendRequest& request);
  std::string_view HoldUnmapped(Op op, SendRequest& request);
  [[nodiscard]] Op MakeOp(proto::Protocol protocol, std::uint64_t lane,
                          const SendRequest& request) const;
  std::string_view BeginParts(const std::shared_ptr<Gather>& gather, std::vector<Op> parts);
  static std::vector<std::unique_ptr<Footprint>> DivideFootprint(
      std::unique_ptr<Footprint> whole, const std::vector<SplitPart>& parts);
  void TakePart(Op& op, std::string_view bytes, bool last);
  void LosePart(Op& op, std::string_view error_line);
  void FinishGather(Gather& gather);

  // cluster_ops.cc: one request and one node.
  OpId NewOp(Op op);
  Op& At(OpId id) { return *ops_[id]; }
  std::string_view Begin(OpId id);
  std::string_view Submit(OpId id, NodeIndex node, bool ask);
  bool Redirected(OpId id, NodeIndex node, const Redirect& redirect);
  void SendAgain(OpId id, NodeIndex node, bool ask);
  void Deliver(OpId id, std::string_view bytes, const ReplyInfo& info, bool last);
  void Lose(OpId id, std::string_view error_line, bool mid_reply);
  void Finish(OpId id);
  void Settle(OpId id, NodeIndex node);
  void OnFillPart(OpId id, std::uint64_t what, std::string_view bytes, const ReplyInfo& info,
                  bool last);
  void FreeOp(OpId id);

  // cluster_waiting.cc: requests that have not left yet.
  std::string_view Hold(std::vector<OpId>& queue, OpId id);
  void Wait(std::vector<OpId>& queue, OpId id);
  [[nodiscard]] proto::Protocol ProtocolOf(NodeIndex node, const Op& op) const;
  [[nodiscard]] NodeLane LaneOf(NodeIndex node, const Op& op) const;
  [[nodiscard]] bool LaneHolds(const NodeLane& lane);
  [[nodiscard]] bool NodeMakesWait(NodeIndex node, const Op& op);
  std::string_view HoldForNode(NodeIndex node, OpId id);
  [[nodiscard]] bool TakeBack(RequestToken token, std::unique_ptr<Footprint>& footprint) override;
  void LeaveSlot(Op& op, std::vector<OpId>& free);
  void ShutBehindFill(const Op& op);
  void LookAtAway();
  void OnAwayTimer();
  [[nodiscard]] bool DownHolds(const Down& down) const;
  bool WaitOutDown(OpId id, NodeIndex node);
  void EndDown(Op& op);
  void NoteServed(OpId id, NodeIndex node);
  void LoseOvertaken(const Op& served);
  void RefuseHeld(const std::vector<OpId>& refused);
  void AskWhetherDown(const NodeLane& lane, Down& down);
  void GoOn(const std::vector<OpId>& held);
  void TryLater(OpId id);
  void OnRetryTimer();

  void OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                   bool last) override;
  [[nodiscard]] std::size_t Backlog(RequestToken token) const override;
  void OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) override;

  // PoolParent
  void OnTrackingChanged() override;
  void OnLoginRefused(const Pool& pool) override;

  // cluster_ownership.cc: who has which slot.
  template <typename Visit>
  void ForEachSlotOf(const Pool& pool, const Visit& visit) const;
  void OnFillLinkLost(const Pool& pool, bool away) override;
  void OnNodeBack(const Pool& pool) override;
  void OnMap(const ClusterMap& map);
  void OnNoMap(std::string_view why);
  void MoveSlots(const std::vector<std::pair<Slot, NodeIndex>>& moves);
  std::string_view NoMap();
  std::unique_ptr<Pool> MakePool(Topology& topology);
  [[nodiscard]] std::uint64_t Shape() const;

  const Deps deps_;
  Coherence* coherence_ = nullptr;
  const bool principal_;  // the one that L1 and the metrics are about, and not a user's
  const std::unique_ptr<UpstreamStats> own_stats_;
  UpstreamStats& stats_;  // of all nodes together
  ClusterStats& cluster_stats_;
  ClusterNodes nodes_;
  SlotTable slots_;
  ClusterRefresh refresh_;
  std::vector<NodeIndex> primaries_;  // those of the last map, in its order
  NodeIndex answering_ = kNoNode;     // whose reply a client is being handed
  bool mapped_ = false;               // there has been a map
  bool login_needed_ = false;         // nobody is told a map there: clients have to log in first
  std::string no_map_;                // why there is none, as an error line; empty: being asked for
  bool retire_ = false;               // some node may be of no use any more
  bool shut_down_ = false;

  std::map<std::pair<proto::Protocol, std::uint64_t>, ClientLane> lanes_;
  std::vector<std::unique_ptr<Op>> ops_;  // by id; stable
  std::vector<OpId> free_ops_;
  std::uint64_t next_order_ = 0;
  std::unordered_map<Slot, std::vector<OpId>> held_;  // by slot that is shut
  std::map<NodeLane, std::vector<OpId>> away_;        // by lane that does not stand (max_hold)
  bool away_moved_ = false;                           // some slot has another owner since
  std::map<NodeLane, Down> down_;                     // max_hold; until the node serves again
  std::size_t down_waiting_ = 0;                      // ops that wait because of one of these
  std::unique_ptr<Timer> away_timer_;
  std::size_t held_bytes_ = 0;  // of the requests in these two
  std::deque<Op> unmapped_;     // until the first map
  std::size_t unmapped_bytes_ = 0;
  std::deque<std::pair<MonoTime, OpId>> retries_;  // TRYAGAIN, in order of time
  std::unique_ptr<Timer> retry_timer_;
  std::unordered_map<ExclusiveLink*, std::unique_ptr<ClusterExclusive>> exclusives_;
  std::vector<std::unique_ptr<ClusterExclusive>> returned_;  // freed at the end of the turn

  proto::RequestDecoder decoder_;
  std::vector<std::string_view> args_;  // reused
  std::vector<KeyVisit> keys_;          // reused
  std::string error_line_;              // the last one made up here
};

}  // namespace nearcached
