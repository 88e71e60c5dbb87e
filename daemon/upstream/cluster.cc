// The design of the cluster layer. Reading order: cluster_route.h (where a request belongs),
// cluster_slot_table.h (who owns a slot, and when it may go on after it moved), this file (nodes,
// and what they are together), cluster_ownership.cc (maps, what a move or a lost node means for
// L1), cluster_requests.cc (what clients send), cluster_ops.cc (one request and one node),
// cluster_waiting.cc (what has to wait before), cluster_exclusive.cc (transactions, blocking
// commands, subscriptions).
//
// Each node has a Pool of its own, with lanes and fill links as a single upstream has. A client's
// lane is a lane of every node: a request is taken apart once more, its keys give its slot, and it
// goes to the same-numbered lane of the slot's owner. So requests that concern the same key stay in
// one order (R4 asks for no more, see ARCHITECTURE.md), and the session's reply queue puts the
// replies in order, whichever node they come from.
//
// A request is kept (its bytes, in an Op) until it is answered for good, because a node may say
// that it belongs elsewhere. MOVED and ASK prove that the node has not carried it out, so it may be
// sent again, writes too, a bounded number of times and within the deadline that it began with.
// After a loss only reads are sent again, by their link: a write may have been carried out. The
// footprint goes with the request to the link, which settles it when the redirection comes, in the
// same call in which the request is sent again with a new one: no fill can slip in between. The new
// footprint is made from the keys in the request; it may hold keys that no rule caches, which costs
// nothing.
//
// Fills go to the fill link of the slot's owner, and the entry's owner is the slot in its present
// generation. One that is redirected is asked again by a GET on a lane, answers those who wait, and
// fills nothing: the link that was asked is not the one whose tracking would cover it, and what an
// ASK finds is not yet this node's to announce. When a slot changes its owner, or its owner's fill
// link is lost, its generation ends: a step a slot in L1, and other slots keep what they have (a
// table of one row a slot, at most half a MiB, is charged to L1 for it). A
// change of owner is noticed by the first MOVED or by the next map (cluster_refresh_interval),
// whichever is first. Until then positive entries are kept honest by the old owner's pushes, since
// a migration deletes each key there; "no such key" is pushed by nobody, so in a slot that is just
// migrating it may be old by up to l1.negative_ttl. Whatever is redirected, fills too, drops what
// L1 has of its keys before its reply is given, so nobody is told it after he has seen the key.
//
// What names several slots is taken apart where the parts mean the same as the whole but for
// atomicity (MGET, MSET, DEL, EXISTS, UNLINK, TOUCH); else it is refused as a cluster refuses it.
// Rejected: one set of links to all nodes (a Pool knows one topology, and its order and health are
// worth keeping), and answering MOVED to clients (they do not know what a cluster is).
#include "daemon/upstream/cluster.h"

#include <algorithm>
#include <limits>

#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// What comes here has passed the limits of its client's session.
proto::RequestLimits NoLimits() {
  proto::RequestLimits limits;
  limits.args_max = std::numeric_limits<std::int32_t>::max();
  limits.bulk_bytes_max = std::numeric_limits<std::uint32_t>::max();
  limits.request_bytes_max = std::numeric_limits<std::uint32_t>::max();
  limits.inline_bytes_max = std::numeric_limits<std::uint32_t>::max();
  return limits;
}

}  // namespace

Cluster::Cluster(const Deps& deps)
    : deps_(deps),
      principal_(deps.login != LoginKind::kClient),
      own_stats_(deps.shared_stats == nullptr ? std::make_unique<UpstreamStats>() : nullptr),
      stats_(deps.shared_stats == nullptr ? *own_stats_ : *deps.shared_stats),
      cluster_stats_(deps.stats),
      nodes_([this](Topology& topology) { return MakePool(topology); }),
      refresh_(
          {deps.scheduler, deps.dialer, deps.config, deps.rng, cluster_stats_},
          [this](const ClusterMap& map) { OnMap(map); },
          [this](std::string_view why) { OnNoMap(why); }),
      decoder_(NoLimits()) {}

Cluster::~Cluster() {
  NC_CHECK(shut_down_ && exclusives_.empty());
  nodes_.Retire([](NodeIndex) { return false; });
}

std::unique_ptr<Pool> Cluster::MakePool(Topology& topology) {
  auto pool = std::make_unique<Pool>(Pool::Deps{.scheduler = deps_.scheduler,
                                                .dialer = deps_.dialer,
                                                .topology = topology,
                                                .config = deps_.config,
                                                .tracking = deps_.tracking,
                                                .rng = deps_.rng,
                                                .commands = deps_.commands,
                                                .login = deps_.login,
                                                .shared_stats = &stats_,
                                                .parent = this,
                                                .method = deps_.method,
                                                .broadcast = deps_.broadcast});
  pool->SetCoherence(*coherence_);
  pool->Start(deps_.fill);
  return pool;
}

// ---- what nodes say ----------------------------------------------------------------------------

void Cluster::OnLoginRefused(const Pool& /*pool*/) {
  if (deps_.on_login_refused) {
    deps_.on_login_refused();
  }
}

// What holds for the whole is what holds for the least of its nodes.
void Cluster::OnTrackingChanged() {
  if (!principal_) {
    return;
  }
  std::int64_t least = GaugeOf(TrackingState::kArmed);
  nodes_.ForEach([&](NodeIndex node, const Pool& pool) {
    if (std::find(primaries_.begin(), primaries_.end(), node) != primaries_.end()) {
      least = std::min(least, GaugeOf(pool.tracking()));
    }
  });
  stats_.tracking_state.Set(primaries_.empty() ? 0 : least);
}

std::string Cluster::TrackingText() const {
  std::size_t armed = 0;
  std::string armed_text;
  std::string other;
  for (const NodeIndex node : primaries_) {
    const Pool& pool = nodes_.pool(node);
    if (IsArmed(pool.tracking())) {
      ++armed;
      armed_text = pool.TrackingText();
    } else {
      other = pool.TrackingText();
    }
  }
  if (armed == primaries_.size() && armed != 0) {
    return armed_text;
  }
  return other.empty() ? "down"
                       : other + ", armed on " + std::to_string(armed) + " of " +
                             std::to_string(primaries_.size()) + " nodes";
}

// ---- the seams ----------------------------------------------------------------------------------

UpstreamLink& Cluster::Lane(DbIndex /*db*/, proto::Protocol protocol, std::uint64_t& seat,
                            bool /*may_move*/) {
  const std::uint64_t number = seat % deps_.config.links;
  return lanes_.try_emplace({protocol, number}, *this, protocol, number).first->second;
}

ExclusiveLink* Cluster::Borrow(DbIndex db, proto::Protocol protocol, ExclusiveOwner& owner,
                               std::uint64_t session, std::string_view& error_line) {
  error_line = {};
  if (shut_down_) {
    error_line = proto::kErrDraining;
  } else if (db != 0) {
    error_line = "ERR SELECT is not allowed in cluster mode";
  } else if (!mapped_ && !login_needed_) {
    error_line = NoMap();
  }
  if (!error_line.empty()) {
    return nullptr;
  }
  auto link = std::make_unique<ClusterExclusive>(*this, protocol, owner, session);
  ClusterExclusive* const lent = link.get();
  exclusives_.emplace(lent, std::move(link));
  return lent;
}

void Cluster::Return(ExclusiveLink* link, bool reusable) {
  const auto it = exclusives_.find(link);
  NC_CHECK(it != exclusives_.end());
  std::unique_ptr<ClusterExclusive> back = std::move(it->second);
  exclusives_.erase(it);
  back->Release(reusable);
  returned_.push_back(std::move(back));  // may be in the middle of its own callback
}

bool Cluster::speaks_resp3() const {
  return std::all_of(primaries_.begin(), primaries_.end(),
                     [&](NodeIndex node) { return nodes_.pool(node).speaks_resp3(); });
}

std::string_view Cluster::server_version() const {
  for (const NodeIndex node : primaries_) {
    if (!nodes_.pool(node).server_version().empty()) {
      return nodes_.pool(node).server_version();
    }
  }
  return {};
}

TrackingState Cluster::StateFor(const CacheKey& key) {
  const Slot slot = SlotOf(key.key);
  const NodeIndex node = slots_.owner(slot);
  return node == kNoNode || slots_.shut(slot) ? TrackingState::kDown
                                              : nodes_.pool(node).StateFor(key);
}

std::optional<Endpoint> Cluster::PrimaryOf(std::string_view key) const {
  const Slot slot = SlotOf(key);
  const NodeIndex node = slots_.owner(slot);
  return node == kNoNode || slots_.shut(slot) ? std::nullopt : std::optional(nodes_.endpoint(node));
}

std::vector<Endpoint> Cluster::Primaries() const {
  std::vector<Endpoint> endpoints;
  endpoints.reserve(primaries_.size());
  std::ranges::transform(primaries_, std::back_inserter(endpoints),
                         [this](NodeIndex node) { return nodes_.endpoint(node); });
  return endpoints;
}

// Keyless requests of one lane go to one node as long as it stands, so that they stay in order.
NodeIndex Cluster::AnyNode(std::uint64_t session) {
  for (std::size_t i = 0; i < primaries_.size(); ++i) {
    const NodeIndex node = primaries_[(session + i) % primaries_.size()];
    if (nodes_.pool(node).standing()) {
      return node;
    }
  }
  if (!primaries_.empty()) {
    return primaries_[session % primaries_.size()];
  }
  // Any node will do for a login.
  const auto& seeds = deps_.config.nodes;
  return login_needed_ ? nodes_.Ensure(EndpointOf(seeds[session % seeds.size()], deps_.config))
                       : kNoNode;
}

void Cluster::Flush() {
  if (!away_.empty() || away_timer_ != nullptr) {
    LookAtAway();
  }
  Duration oldest_wait{};
  nodes_.ForEach([&](NodeIndex, Pool& pool) {
    pool.Flush();
    oldest_wait = std::max(oldest_wait, pool.exclusive().oldest_wait());
  });
  if (principal_) {
    stats_.exclusive_oldest_wait_ns.Set(oldest_wait.count());
  }
  returned_.clear();
  if (!retire_ || shut_down_) {
    return;
  }
  retire_ = false;
  std::vector<bool> owns(ClusterNodes::kNodesMax);
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    if (const NodeIndex node = slots_.owner(static_cast<Slot>(slot)); node != kNoNode) {
      owns[node] = true;
    }
  }
  nodes_.Retire([&](NodeIndex node) { return static_cast<bool>(owns[node]); });
  std::erase_if(down_, [&](const auto& at) { return !nodes_.has(std::get<NodeIndex>(at.first)); });
  std::erase_if(primaries_, [&](NodeIndex node) { return !owns[node]; });
  if (principal_) {
    cluster_stats_.nodes.Set(static_cast<std::int64_t>(nodes_.size()));
  }
}

void Cluster::Reconnect() {
  nodes_.ForEach([](NodeIndex, Pool& pool) { pool.Reconnect(); });
}

void Cluster::Shutdown() {
  shut_down_ = true;
  refresh_.Stop();
  retry_timer_.reset();
  nodes_.ForEach([](NodeIndex, Pool& pool) { pool.Shutdown(); });
  for (auto& op : std::exchange(unmapped_, {})) {
    cluster_stats_.requests_held.Sub();
    if (op.footprint != nullptr) {
      coherence_->Finish(std::move(op.footprint), Outcome::kAnswered);
    }
    op.sink->OnReplyLost(op.token, proto::kErrDraining, false);
  }
  while (!retries_.empty()) {
    const OpId id = retries_.front().second;
    retries_.pop_front();
    Lose(id, proto::kErrDraining, false);
    FreeOp(id);
  }
  away_timer_.reset();
  for (const auto& [lane, queue] : std::exchange(away_, {})) {
    GoOn(queue);  // refused, one by one
  }
  auto held = std::exchange(held_, {});
  for (auto& [slot, queue] : held) {
    GoOn(queue);
  }
  Flush();
}

}  // namespace nearcached
