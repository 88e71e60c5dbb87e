// The upstream of one worker: lanes that many clients share, links that fill L1, and links lent to
// one client at a time.
//
// Per (database, protocol) there are `links` lanes; a client always travels on the same one. Per
// database there are `fill_links` fill links, chosen by the key's hash, so that all fills and
// pushes of one key have one order (R15). Nothing is opened before it is needed. The pool asks the
// topology where to connect, and the server which commands it knows.
//
// Owned by the worker; loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "daemon/command/command_table.h"
#include "daemon/fetch/coherence.h"
#include "daemon/fetch/fill_channel.h"
#include "daemon/fetch/upstream.h"
#include "daemon/upstream/dial_gate.h"
#include "daemon/upstream/exclusive_pool.h"
#include "daemon/upstream/link.h"
#include "daemon/upstream/redirected_tracking.h"
#include "daemon/upstream/topology.h"
#include "daemon/upstream/upstream_stats.h"

namespace nearcached {

// Whoever keeps several pools, one for each node of a cluster.
class PoolParent {
 public:
  // A fill link of the pool is lost, and with it the tracking of what it filled: that is to be
  // dropped, or set aside if the node is `away`. Not called where the server does not track:
  // entries end by their TTL there.
  virtual void OnFillLinkLost(const class Pool& pool, bool away) = 0;
  // A link of the pool stands, whichever: its node is there.
  virtual void OnNodeBack(const class Pool& pool) = 0;
  // The pool's tracking() may have changed.
  virtual void OnTrackingChanged() = 0;
  // The server does not take the login of the pool's links.
  virtual void OnLoginRefused(const class Pool& /*pool*/) {}

 protected:
  ~PoolParent() = default;
};

// "lane", "fill", "tracker", "exclusive".
[[nodiscard]] std::string_view PurposeText(Link::Purpose purpose);

class Pool final : public Upstream,
                   public FillChannel,
                   public TopologyObserver,
                   private LinkObserver,
                   private LinkYard,
                   private RedirectionOwner {
 public:
  // Borrowed things outlive the pool. `config` may change between turns (reload).
  struct Deps {
    Scheduler& scheduler;
    Dialer& dialer;
    Topology& topology;
    const config::UpstreamConfig& config;
    config::TrackingConfig::Mode tracking = config::TrackingConfig::Mode::kAuto;
    Rng& rng;
    CommandTable& commands;
    LoginKind login = LoginKind::kOwn;
    // One of several: shares their counters, and leaves to the parent what goes beyond one pool.
    UpstreamStats* shared_stats = nullptr;
    PoolParent* parent = nullptr;
    config::TrackingConfig::Method method = config::TrackingConfig::Method::kAuto;
    std::vector<std::string> broadcast{};  // kBcast: the prefixes; empty: every key
  };
  explicit Pool(const Deps& deps);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // The coherence and the pool know each other; the worker ties the knot once, before first use.
  void SetCoherence(Coherence& coherence);

  // Connects a lane and a fill link of the default database, so that trouble shows at the start.
  // `fill`: false where L1 is off.
  void Start(bool fill);

  // Upstream
  UpstreamLink& Lane(DbIndex db, proto::Protocol protocol, std::uint64_t& seat,
                     bool may_move) override;
  ExclusiveLink* Borrow(DbIndex db, proto::Protocol protocol, ExclusiveOwner& owner,
                        std::uint64_t session, std::string_view& error_line) override;
  void LeaveLine(std::uint64_t session) override { exclusive_.LeaveLine(session); }
  void Return(ExclusiveLink* link, bool reusable) override { exclusive_.Return(link, reusable); }
  [[nodiscard]] bool AwayFor(std::string_view /*key*/) const override { return gate_.away(); }
  [[nodiscard]] bool holding() const override { return gate_.holding(deps_.scheduler.Now()); }
  [[nodiscard]] bool speaks_resp3() const override { return speaks_resp3_; }
  [[nodiscard]] std::string_view server_version() const override { return server_version_; }

  // FillChannel
  std::variant<FillOwner, std::string_view> SendFill(const CacheKey& key, const ReadRequest& read,
                                                     ReplySink& sink,
                                                     std::uint64_t flight) override;
  TrackingState StateFor(const CacheKey& key) override;
  bool Crowded(DbIndex db, std::uint64_t hash, std::size_t own) override {
    return FillLink(db, hash).Crowded(own);
  }

  // Link::Crowded() of a client's lane; false while there is none.
  [[nodiscard]] bool LaneFull(DbIndex db, proto::Protocol protocol, std::uint64_t seat,
                              std::size_t bytes) const;
  [[nodiscard]] bool LaneCrowded(DbIndex db, proto::Protocol protocol, std::uint64_t seat,
                                 std::size_t own) const;

  // Who could go elsewhere should wait rather than queue on that lane, which is opened: it does not
  // stand yet, or was lost less than upstream.max_hold ago, as everything else may have been.
  [[nodiscard]] bool LaneHolds(DbIndex db, proto::Protocol protocol, std::uint64_t seat);

  // Sends a command of the daemon's own on a lane, behind what clients have sent there; `done` gets
  // the reply, or null. False, and nothing happens, when that lane does not stand.
  bool AskOnLane(DbIndex db, proto::Protocol protocol, std::uint64_t seat,
                 const std::vector<std::string>& command,
                 std::function<void(const UpstreamReply*)> done);

  // Writes what was queued in this turn, and frees links that were given up. Once a turn.
  void Flush();

  // TopologyObserver: leaves the primary of before at once, and forgets what it said (R7). What was
  // under way there gets one error; only reads are sent again, to the new one.
  void OnPrimaryChanged() override;
  // Whether an operator wants nothing to be sent.
  void SetMaintenance(bool on) { gate_.SetMaintenance(on, deps_.scheduler.Now()); }

  // Replaces every connection, each as soon as nothing is unanswered on it.
  void Reconnect();

  // Closes every link; whoever waits is told. Nothing is opened afterwards.
  void Shutdown();

  [[nodiscard]] const UpstreamStats& stats() const { return stats_; }
  // For pools that count together with this one.
  UpstreamStats& shared_stats() { return stats_; }
  [[nodiscard]] const ExclusivePool& exclusive() const { return exclusive_; }
  [[nodiscard]] const DialGate& gate() const { return gate_; }
  // Calls `visit` for every shared link: the lanes, the fill links, the tracking link.
  void ForEachShared(const std::function<void(const Link&)>& visit) const;
  // For people: "armed", "armed (redirect)", "ttl-only (ERR unknown subcommand)", "down".
  [[nodiscard]] std::string TrackingText() const;
  // How long after invalidations stop arriving L1 may serve what they would have ended (G3), while
  // the server tracks. Where it does not, the ttl of each entry is the bound.
  [[nodiscard]] Duration SilenceBound() const;
  // The tracking link that fill links redirect to stands and is subscribed.
  [[nodiscard]] bool redirection_ready() const { return redirection_.ready(); }
  [[nodiscard]] std::string EndpointText() const { return deps_.topology.Primary().ToString(); }
  // Whether any fill link is armed.
  [[nodiscard]] TrackingState tracking() const;
  // Whether one of its lanes stands. (`up` speaks for all that share the counters.)
  [[nodiscard]] bool standing() const;
  // Why a link was lost, or could not be made, the last time; empty: never.
  [[nodiscard]] const std::string& last_failure() const { return last_failure_; }
  // True while a connection of any kind stands.
  [[nodiscard]] bool up() const { return stats_.links_ready.value() > 0; }

 private:
  using LaneKey = std::pair<DbIndex, proto::Protocol>;

  void OnLinkReady(Link& link, const Handshake& handshake) override;
  void OnLoginRefused(Link& /*link*/) override {
    if (deps_.parent != nullptr) {
      deps_.parent->OnLoginRefused(*this);
    }
  }
  void OnLinkDown(Link& link, std::string_view why) override;
  void OnLinkPush(Link& link, std::string_view frame) override;
  void OnLinkDirty(Link& link) override { dirty_.push_back(&link); }

  std::unique_ptr<Link> MakeLink(const Link::Spec& spec) override;
  std::vector<std::unique_ptr<Link>>& LanesOf(DbIndex db, proto::Protocol protocol);
  void GiveUp(std::unique_ptr<Link> link, std::string_view why) override;
  Link& FillLink(DbIndex db, std::uint64_t hash);
  std::size_t EncodeFill(const CacheKey& key, const ReadRequest& read);
  void OnFillLinkReady(Link& link, const Handshake& handshake);
  void OnRedirectionArmed(Link& fill) override;
  void OnRedirectionRefused(std::string_view why) override { OnTrackingRefused(why); }
  void OnTrackerLost(std::span<const FillOwner> owners, bool away) override;
  void OnTrackingRefused(std::string_view why);
  [[nodiscard]] TrackingState StateOf(const Link& link) const;
  [[nodiscard]] bool broadcasts() const {
    return deps_.method == config::TrackingConfig::Method::kBcast;
  }
  void ForEachFill(const std::function<void(Link&)>& visit);
  void SetTtlOnly(bool ttl_only, std::string_view why);
  void UpdateTrackingGauge();
  void SayHoldAfterLoss();
  void LearnCommands(Link& link);
  void WakeRecovered();
  void OnTick();
  void TickLanes(const LaneKey& key, std::vector<std::unique_ptr<Link>>& lanes);

  const Deps deps_;
  Coherence* coherence_ = nullptr;
  std::unique_ptr<UpstreamStats> own_stats_;  // null when they are shared
  UpstreamStats& stats_;
  DialGate gate_;

  std::map<LaneKey, std::vector<std::unique_ptr<Link>>> lanes_;
  std::map<DbIndex, std::vector<std::unique_ptr<Link>>> fill_;
  const std::vector<std::string> tracking_options_;
  RedirectedTracking redirection_;
  std::uint16_t next_fill_id_ = 1;
  ExclusivePool exclusive_;
  std::vector<std::unique_ptr<Link>> given_up_;  // freed at the end of the turn
  std::vector<Link*> dirty_;

  bool shut_down_ = false;
  bool speaks_resp3_ = true;  // until it says otherwise
  std::string server_version_;
  std::string last_failure_;
  std::string borrow_refusal_;  // what the last refused Borrow said
  bool commands_asked_ = false;
  // The server does not track (or is not asked to). Remembered over a loss of the link: what L1
  // holds then is still good until its TTL.
  bool ttl_only_ = false;
  std::string ttl_only_why_;
  std::uint32_t ttl_only_epoch_ = 0;
  std::vector<std::string_view> push_keys_;  // reused
  std::string fill_request_;                 // reused
  std::unique_ptr<Timer> tick_;
};

}  // namespace nearcached
