// Requests of a cluster that wait: for a slot that has just moved, for a node that is away, or to
// be tried again. Requests that concern one key leave in the order in which they came: who waits
// for a lane makes those behind wait, and goes on before them.
//
// Mostly nothing of them has left yet. A read that was with a node when its connection was lost
// waits here as well (TakeBack): it is asked wherever its slot is then, and does not keep the slot
// shut for those behind it until the old node stands again.
#include <algorithm>
#include <utility>

#include "daemon/upstream/cluster.h"
#include "daemon/upstream/hiredis_reply.h"
#include "proto/wire_errors.h"

namespace nearcached {
std::string_view Cluster::Hold(std::vector<OpId>& queue, OpId id) {
  if (static_cast<std::uint64_t>(cluster_stats_.requests_held.value()) >=
          deps_.config.link_queue_max ||
      held_bytes_ + At(id).bytes.size() > deps_.config.link_bytes_max) {
    return proto::kErrOverload;
  }
  Wait(queue, id);
  return {};
}

void Cluster::Wait(std::vector<OpId>& queue, OpId id) {
  held_bytes_ += At(id).bytes.size();
  cluster_stats_.held.Add();
  cluster_stats_.requests_held.Add();
  // Mostly at the end; one that was sent before comes before what has waited for it.
  const auto before = std::find_if(queue.rbegin(), queue.rend(),
                                   [&](OpId other) { return At(other).order < At(id).order; });
  queue.insert(before.base(), id);
}

// All reads of a key that fill travel on one lane, GET and others, or a client that has several
// under way could be told the older last. Their replies are RESP3 where the node speaks it, as on
// its fill links, and are put into RESP2 by the flight.
proto::Protocol Cluster::ProtocolOf(NodeIndex node, const Op& op) const {
  if (!op.fill) {
    return op.protocol;
  }
  return nodes_.pool(node).speaks_resp3() ? proto::Protocol::kResp3 : proto::Protocol::kResp2;
}

Cluster::NodeLane Cluster::LaneOf(NodeIndex node, const Op& op) const {
  return {node, ProtocolOf(node, op), op.lane % deps_.config.links};
}

// It does not stand, for now: it would take requests that it cannot send, and keep their slots shut
// although the next map may say that they are another node's.
bool Cluster::LaneHolds(const NodeLane& lane) {
  const auto [node, protocol, seat] = lane;
  if (nodes_.pool(node).LaneHolds(0, protocol, seat)) {
    return true;
  }
  const auto down = down_.find(lane);
  return down != down_.end() && DownHolds(down->second);
}

// Whether what a request would leave on is away for less than max_hold, or others wait who must not
// be overtaken: for the same lane, or, since slots have moved, possibly about the same slot.
bool Cluster::NodeMakesWait(NodeIndex node, const Op& op) {
  if (away_.empty() && deps_.config.max_hold == config::Duration::zero()) {
    return false;
  }
  const NodeLane lane = LaneOf(node, op);
  return away_.contains(lane) || (!away_.empty() && away_moved_) || LaneHolds(lane);
}

// It may go wherever the slot is when it goes on. The time it waits is not the server's.
std::string_view Cluster::HoldForNode(NodeIndex node, OpId id) {
  const auto waiting = away_.try_emplace(LaneOf(node, At(id))).first;
  if (const std::string_view refused = Hold(waiting->second, id); !refused.empty()) {
    if (waiting->second.empty()) {
      away_.erase(waiting);
    }
    return refused;
  }
  Op& op = At(id);
  op.left = op.deadline - deps_.scheduler.Now();
  if (op.fill && !std::exchange(op.entered, true)) {
    slots_.Enter(op.slot);
  }
  ShutBehindFill(op);
  if (away_timer_ == nullptr) {
    OnAwayTimer();
  }
  return {};
}

// Of a fill nothing but the read is asked again: what it fills ended with its link.
bool Cluster::TakeBack(RequestToken token, std::unique_ptr<Footprint>& footprint) {
  const OpId id = token.owner;
  const std::uint64_t what = token.seq & 0xffU;
  Op& op = At(id);
  if (shut_down_ || !op.keyed || what == kAsking) {
    return false;
  }
  const NodeIndex node =
      op.fill && what != kReply ? op.node : static_cast<NodeIndex>(token.seq >> 8U);
  if (what != FillChannel::kTtl) {
    Wait(away_[LaneOf(node, op)], id);  // whatever waits already: it was within its link's bounds
    op.left = op.deadline - deps_.scheduler.Now();
    op.repeated = true;
    op.plain = op.fill;
    op.footprint = std::move(footprint);
    ShutBehindFill(op);
  } else if (!op.plain) {
    return false;
  }
  if (away_timer_ == nullptr) {
    OnAwayTimer();
  }
  Settle(id, node);
  return true;
}

// Reads that fill travel on another lane than what their clients send otherwise. As long as one
// that is asked again has not been answered, what comes behind it in its slot waits.
void Cluster::ShutBehindFill(const Op& op) {
  if (op.used && op.fill && op.entered) {
    slots_.Shut(op.slot);
  }
}

// It counts no more among what its slot's owner has. Those who waited for the slot may be free now.
void Cluster::LeaveSlot(Op& op, std::vector<OpId>& free) {
  if (!std::exchange(op.entered, false) || !slots_.Leave(op.slot)) {
    return;
  }
  if (const auto waiting = held_.extract(op.slot); !waiting.empty()) {
    free.insert(free.end(), waiting.mapped().begin(), waiting.mapped().end());
  }
}

void Cluster::LookForNodes() {
  refresh_.Request(std::nullopt);  // their slots may be another's by now
  for (auto& [lane, down] : down_) {
    AskWhetherDown(lane, down);
  }
}

void Cluster::OnAwayTimer() {
  LookForNodes();
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
    std::vector<OpId> waited;
    std::vector<OpId> refused;
    for (const auto& [lane, queue] : std::exchange(away_, {})) {
      const auto down = down_.find(lane);
      const bool over = down != down_.end() && !down->second.open && !DownHolds(down->second);
      for (const OpId id : queue) {
        LeaveSlot(At(id), waited);  // here, so that those it lets go on do so in their turn
        if (over && At(id).down) {
          refused.push_back(id);
          continue;
        }
        At(id).deadline = now + At(id).left;
        waited.push_back(id);
      }
    }
    std::sort(waited.begin(), waited.end(),
              [this](OpId a, OpId b) { return At(a).order < At(b).order; });
    RefuseHeld(refused);
    GoOn(waited);
  }
  if (away_.empty()) {
    away_timer_.reset();
  }
}

void Cluster::GoOn(const std::vector<OpId>& held) {
  for (const OpId id : held) {
    held_bytes_ -= At(id).bytes.size();
    cluster_stats_.requests_held.Sub();
    const std::string refused(shut_down_ ? proto::kErrDraining : Begin(id));
    if (!refused.empty()) {
      stats_.repeated_failed.Add(At(id).repeated ? 1 : 0);
      Lose(id, refused, false);
      FreeOp(id);
    }
    ShutBehindFill(At(id));
  }
}

// ---- CLUSTERDOWN --------------------------------------------------------------------------------
//
// A node that says so has not carried out what it was asked, and mostly will serve again soon: by
// default every node refuses everything from the moment when a primary counts as dead until its
// replica has taken over (cluster-require-full-coverage). With max_hold that is a pause: what was
// refused waits, and what comes behind it on its lane too. CLUSTER INFO, asked on the same lane,
// tells when it is over; its answer comes behind those of all that was under way there, so nothing
// of that is overtaken. Without that answer nothing is asked again: when max_hold is over, what was
// refused is refused.

bool Cluster::DownHolds(const Down& down) const {
  return !down.open && deps_.scheduler.Now() - down.since < Duration(deps_.config.max_hold);
}

// False: the answer is for the client.
bool Cluster::WaitOutDown(OpId id, NodeIndex node) {
  Op& op = At(id);
  const Duration max_hold = deps_.config.max_hold;
  if (shut_down_ || !op.keyed || max_hold == Duration::zero()) {
    return false;
  }
  const MonoTime now = deps_.scheduler.Now();
  const NodeLane lane = LaneOf(node, op);
  Down& down = down_.try_emplace(lane, Down{now, false, std::nullopt}).first->second;
  if (down.open && now - *down.open >= max_hold) {
    down.since = now;  // nothing was heard of it for that long: another time
  }
  down.open.reset();
  if (!DownHolds(down)) {
    return false;
  }
  op.down = true;
  ++down_waiting_;
  op.plain = op.fill;
  op.left = op.deadline - now;
  Wait(away_[lane], id);  // whatever waits already: it was within its link's bounds
  ShutBehindFill(op);
  if (away_timer_ == nullptr) {
    away_timer_ = deps_.scheduler.After(kAwayLook, [this] { OnAwayTimer(); });
  }
  return true;
}

void Cluster::EndDown(Op& op) {
  down_waiting_ -= std::exchange(op.down, false) ? 1 : 0;
}

void Cluster::AskWhetherDown(const NodeLane& lane, Down& down) {
  if (down.asked || down.open) {
    return;
  }
  const auto [node, protocol, seat] = lane;
  down.asked = nodes_.pool(node).AskOnLane(
      0, protocol, seat, {"CLUSTER", "INFO"}, [this, lane](const UpstreamReply* reply) {
        nodes_.RemoveUser(std::get<NodeIndex>(lane));
        const auto asked = down_.find(lane);
        if (asked == down_.end()) {
          return;
        }
        const std::string_view state = reply == nullptr ? std::string_view() : reply->text;
        asked->second.asked = false;
        if (state.find("cluster_state:ok") != std::string_view::npos) {
          down_.erase(asked);
        } else if (state.find("cluster_state:fail") == std::string_view::npos) {
          asked->second.open = deps_.scheduler.Now();  // it may not say
        }
      });
  if (down.asked) {
    nodes_.AddUser(node);
  } else {
    down.open = deps_.scheduler.Now();  // a lane that does not stand is waited for as such
  }
}

// The node serves again. Where something waits on the lane, CLUSTER INFO has to say so: behind what
// was refused there may be more under way that will be served, as this was.
void Cluster::NoteServed(OpId id, NodeIndex node) {
  const Op& served = At(id);
  if (!served.keyed) {
    return;
  }
  LoseOvertaken(served);
  if (const NodeLane lane = LaneOf(node, served); !away_.contains(lane)) {
    down_.erase(lane);
  }
}

// What was refused a moment ago must not be asked again, there or wherever the slot is now, behind
// a later request of the same lane that has been carried out by now.
void Cluster::LoseOvertaken(const Op& served) {
  if (down_waiting_ == 0) {
    return;
  }
  std::vector<OpId> overtaken;
  const auto take_overtaken = [&](std::vector<OpId>& queue) {
    std::erase_if(queue, [&](OpId other) {
      const Op& op = At(other);
      const bool late = op.down && op.slot == served.slot && op.lane == served.lane &&
                        op.fill == served.fill && op.order < served.order;
      if (late) {
        overtaken.push_back(other);
      }
      return late;
    });
  };
  for (auto& [lane, queue] : away_) {
    take_overtaken(queue);
  }
  if (const auto shut = held_.find(served.slot); shut != held_.end()) {
    take_overtaken(shut->second);
  }
  std::erase_if(away_, [](const auto& waiting) { return waiting.second.empty(); });
  RefuseHeld(overtaken);
}

// Their first answer is their answer.
void Cluster::RefuseHeld(const std::vector<OpId>& refused) {
  for (const OpId id : refused) {
    held_bytes_ -= At(id).bytes.size();
    cluster_stats_.requests_held.Sub();
    Lose(id, kErrClusterDown, false);
    if (At(id).due == 0) {
      FreeOp(id);
    }
  }
}

bool Cluster::MakesWait(NodeIndex node) const {
  if (deps_.config.max_hold == config::Duration::zero()) {
    return false;
  }
  return nodes_.pool(node).holding() ||
         std::any_of(down_.begin(), down_.end(), [&](const auto& at) {
           return std::get<NodeIndex>(at.first) == node && DownHolds(at.second);
         });
}

void Cluster::CountHeld(bool waits) {
  if (waits) {
    cluster_stats_.held.Add();
    cluster_stats_.requests_held.Add();
  } else {
    cluster_stats_.requests_held.Sub();
  }
}

// ---- TRYAGAIN -----------------------------------------------------------------------------------

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
