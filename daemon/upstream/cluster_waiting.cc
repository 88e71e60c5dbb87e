// Requests of a cluster that wait before anything of them has left: for a slot that has just moved,
// for a node that is away, or to be tried again. Requests that concern one key leave in the order
// in which they came: who waits for a lane makes those behind wait, and goes on before them.
#include <algorithm>
#include <utility>

#include "daemon/upstream/cluster.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// How often a node that is away is looked at, and the map asked for.
constexpr Duration kAwayLook = std::chrono::milliseconds(25);

}  // namespace

std::string_view Cluster::Hold(std::deque<OpId>& queue, OpId id) {
  if (static_cast<std::uint64_t>(cluster_stats_.requests_held.value()) >=
          deps_.config.link_queue_max ||
      held_bytes_ + At(id).bytes.size() > deps_.config.link_bytes_max) {
    return proto::kErrOverload;
  }
  held_bytes_ += At(id).bytes.size();
  cluster_stats_.held.Add();
  cluster_stats_.requests_held.Add();
  queue.push_back(id);
  return {};
}

Cluster::NodeLane Cluster::LaneOf(NodeIndex node, const Op& op) const {
  return {node, op.protocol, op.lane % deps_.config.links};
}

bool Cluster::LaneHolds(const NodeLane& lane) {
  auto [node, protocol, seat] = lane;
  return nodes_.pool(node).Lane(0, protocol, seat, false).holding();
}

// Whether what a request would leave on is away for less than max_hold, or others already wait for
// it, which must not be overtaken.
bool Cluster::NodeMakesWait(NodeIndex node, const Op& op) {
  if (op.fill || deps_.config.max_hold == config::Duration::zero()) {
    return false;
  }
  const NodeLane lane = LaneOf(node, op);
  return away_.contains(lane) || LaneHolds(lane);
}

// Nothing of it has left, so it may go wherever the slot is then. The time it waits is not the
// server's.
std::string_view Cluster::HoldForNode(NodeIndex node, OpId id) {
  const auto waiting = away_.try_emplace(LaneOf(node, At(id))).first;
  if (const std::string_view refused = Hold(waiting->second, id); !refused.empty()) {
    if (waiting->second.empty()) {
      away_.erase(waiting);
    }
    return refused;
  }
  At(id).left = At(id).deadline - deps_.scheduler.Now();
  if (away_timer_ == nullptr) {
    OnAwayTimer();
  }
  return {};
}

void Cluster::OnAwayTimer() {
  refresh_.Request(std::nullopt);  // its slots may be another's by now
  away_timer_ = deps_.scheduler.After(kAwayLook, [this] { OnAwayTimer(); });
}

// Once a turn: lets those go on whose node stands again, or has been away for too long, or whose
// slot may be another node's. Those who have to wait on do so, in the same order.
void Cluster::LookAtAway() {
  const bool moved = std::exchange(away_moved_, false);
  const bool ended = std::any_of(away_.begin(), away_.end(),
                                 [this](const auto& waiting) { return !LaneHolds(waiting.first); });
  if (moved || ended) {
    const MonoTime now = deps_.scheduler.Now();
    for (const auto& [lane, queue] : std::exchange(away_, {})) {
      for (const OpId id : queue) {
        At(id).deadline = now + At(id).left;
      }
      GoOn(queue);
    }
  }
  if (away_.empty()) {
    away_timer_.reset();
  }
}

void Cluster::GoOn(const std::deque<OpId>& held) {
  for (const OpId id : held) {
    held_bytes_ -= At(id).bytes.size();
    cluster_stats_.requests_held.Sub();
    const std::string refused(shut_down_ ? proto::kErrDraining : Begin(id));
    if (!refused.empty()) {
      Lose(id, refused, false);
      FreeOp(id);
    }
  }
}

void Cluster::TryLater(OpId id) {
  const MonoTime at = deps_.scheduler.Now() + kTryAgainAfter;
  retries_.emplace_back(at, id);
  if (retry_timer_ == nullptr) {
    retry_timer_ = deps_.scheduler.After(kTryAgainAfter, [this] { OnRetryTimer(); });
  }
}

void Cluster::OnRetryTimer() {
  retry_timer_.reset();
  const MonoTime now = deps_.scheduler.Now();
  while (!retries_.empty() && retries_.front().first <= now) {
    const OpId id = retries_.front().second;
    retries_.pop_front();
    const NodeIndex node = At(id).keyed ? slots_.owner(At(id).slot) : AnyNode(At(id).lane);
    SendAgain(id, node, false);
    if (At(id).finished && At(id).due == 0) {
      FreeOp(id);
    }
  }
  if (!retries_.empty() && retry_timer_ == nullptr) {
    retry_timer_ = deps_.scheduler.After(retries_.front().first - now, [this] { OnRetryTimer(); });
  }
}

}  // namespace nearcached
