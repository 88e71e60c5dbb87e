// An exclusive link to a cluster: it is not known to which node until the client names a key.
//
// MULTI is answered here at once; the node gets it when the first command that names a key shows
// which node that is. From then on everything goes to that node, until the link is returned. What
// belongs elsewhere is refused, as a cluster does, since a transaction has one node. Blocking
// commands are not bound by anything sent before, so those follow redirections.
//
// Owned by the cluster; loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/scheduler.h"
#include "daemon/fetch/upstream.h"
#include "daemon/upstream/cluster_nodes.h"
#include "daemon/upstream/cluster_redirect.h"
#include "daemon/upstream/cluster_route.h"

namespace nearcached {

// What an exclusive link needs to know of its cluster.
class ClusterView {
 public:
  struct Taken {
    std::string_view name;  // of the command, from its row
    Route route;
  };
  // Takes a request apart.
  virtual Taken Take(std::string_view bytes) = 0;
  virtual NodeIndex OwnerOf(Slot slot) = 0;
  // A node for what any node can answer; kNoNode when there is none.
  virtual NodeIndex AnyNode(std::uint64_t session) = 0;
  virtual NodeIndex NodeAt(const Endpoint& endpoint) = 0;
  // Sends a request over a shared lane of that node, whatever its keys.
  virtual std::string_view SendTo(NodeIndex node, proto::Protocol protocol, std::uint64_t lane,
                                  SendRequest& request) = 0;
  virtual ClusterNodes& nodes() = 0;
  // A node has redirected somebody.
  virtual void NoteRedirect(const Redirect& redirect) = 0;
  // The footprint of a request that is sent again, its first act done. Null where L1 is off.
  virtual std::unique_ptr<Footprint> FootprintAgain(std::string_view bytes) = 0;
  // upstream.max_hold: what is for this node waits, since it is away, or down, for less than that.
  [[nodiscard]] virtual bool MakesWait(NodeIndex node) const = 0;
  // Asks whether that has changed. Whoever waits does so every kAwayLook.
  virtual void LookForNodes() = 0;
  // A request begins, or ceases, to wait so.
  virtual void CountHeld(bool waits) = 0;
  // Ends a footprint whose request never left.
  virtual void Forget(std::unique_ptr<Footprint> footprint) = 0;
  virtual Scheduler& scheduler() = 0;

 protected:
  ~ClusterView() = default;
};

// How often a node that is away is looked at, and the map asked for.
inline constexpr Duration kAwayLook = std::chrono::milliseconds(25);

class ClusterExclusive final : public ExclusiveLink, private ExclusiveOwner, private ReplySink {
 public:
  ClusterExclusive(ClusterView& cluster, proto::Protocol protocol, ExclusiveOwner& owner,
                   std::uint64_t session)
      : cluster_(cluster), protocol_(protocol), owner_(owner), session_(session) {}
  ~ClusterExclusive();
  ClusterExclusive(const ClusterExclusive&) = delete;
  ClusterExclusive& operator=(const ClusterExclusive&) = delete;

  using UpstreamLink::Send;
  std::string_view Send(SendRequest& request) override;
  void StartPassthrough() override { passthrough_ = true; }
  // A replica's stream has one node; sessions do not ask for it in a cluster.
  void StartTunnel() override {}
  void SendRaw(std::string_view /*bytes*/) override {}
  // A request that may have to be sent to another node is kept whole: sessions gather it.
  void EndRest(Duration /*timeout*/) override {}
  [[nodiscard]] std::size_t unsent() const override { return 0; }
  void SwitchProtocol(proto::Protocol protocol) override;
  [[nodiscard]] bool StuckAt(MonoTime /*now*/) override { return false; }
  [[nodiscard]] std::uint32_t subscriptions() const override {
    return link_ != nullptr ? link_->subscriptions() : 0;
  }
  [[nodiscard]] bool mid_message() const override {
    return link_ != nullptr && link_->mid_message();
  }
  // Ids are a node's own, and mean nothing to another.
  [[nodiscard]] std::int64_t upstream_client_id() const override { return -1; }
  [[nodiscard]] std::size_t unanswered() const override;
  [[nodiscard]] bool KnowsScript(const Script& script, std::string_view call) override;
  std::string_view TellScript(std::string_view call, UpstreamLink& lane,
                              SendRequest& load) override;
  void NoteScript(const Script& script) override;
  std::string_view SendBack(SendRequest& request) override;

  // The client is done with it.
  void Release(bool reusable);

 private:
  enum class Kind : std::uint8_t { kClient, kOwnMulti, kAsking };
  // What has been sent, or will be once there is a link.
  struct Request {
    Kind kind = Kind::kClient;
    ReplySink* sink = nullptr;
    RequestToken token;
    std::string bytes;
    std::unique_ptr<Footprint> footprint;
    bool footprinted = false;
    ScriptRef script;
    Duration timeout{};
    bool answered_by_push = false;
    bool free = false;  // bound by nothing that was sent before: it may follow a redirection
    int redirects = 0;
    bool begun = false;  // pieces of the reply were delivered
  };

  void OnPassthrough(std::uint64_t session, std::string_view bytes, bool push) override {
    owner_.OnPassthrough(session, bytes, push);
  }
  [[nodiscard]] std::size_t PassthroughBacklog(std::uint64_t session) const override {
    return owner_.PassthroughBacklog(session);
  }
  void OnSubscriptionsEnded(std::uint64_t session) override {
    owner_.OnSubscriptionsEnded(session);
  }
  void OnExclusiveLost(std::uint64_t session, std::string_view error_line) override;
  void OnMayBorrow(std::uint64_t session) override;
  void OnLinkExchanged(std::uint64_t /*session*/, ExclusiveLink& link) override { link_ = &link; }

  void OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                   bool last) override;
  [[nodiscard]] std::size_t Backlog(RequestToken token) const override;
  void OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) override;

  NodeIndex NodeFor(const ClusterView::Taken& taken, std::string_view& error_line);
  std::string_view Bind(NodeIndex node, std::optional<Slot> slot);
  void LookAtHeld();
  void EndHold();
  std::string_view SendNow(Request& request);
  void SendQueued();
  void FailLater(std::string_view error_line);
  void FailQueued(std::string_view error_line);
  void GiveUp(std::string_view error_line);
  void AnswerMulti();
  bool Follow(Request& request, const Redirect& redirect);
  void Unbind(bool reusable);

  ClusterView& cluster_;
  proto::Protocol protocol_;
  ExclusiveOwner& owner_;
  const std::uint64_t session_;

  NodeIndex node_ = kNoNode;
  ExclusiveLink* link_ = nullptr;  // null while unbound, or waiting in the node's line
  std::optional<Slot> held_slot_;  // it waits for the node that has it, see Bind
  std::unique_ptr<Timer> held_timer_;
  bool passthrough_ = false;
  bool released_ = false;
  bool lost_ = false;
  bool multi_owed_ = false;      // the client was told OK, the node has not said it
  bool multi_asked_ = false;     // it is being asked
  bool bound_by_state_ = false;  // MULTI or WATCH: nothing may follow a redirection
  NodeIndex telling_ = kNoNode;  // the node that TellScript was last called for
  NodeIndex told_node_ = kNoNode;
  std::uint64_t told_script_ = 0;  // which told_node_ has been told
  std::deque<Request> queued_;     // until there is a link
  std::deque<Request> sent_;       // in order
  std::deque<Request> local_;      // MULTI that are answered here, at the next turn
  std::unique_ptr<Timer> local_timer_;
  std::unique_ptr<Timer> fail_timer_;
  std::string error_line_;
};

}  // namespace nearcached
