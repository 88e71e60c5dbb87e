// The cluster's knowledge of who has which slot: what maps, redirections and lost links say of it,
// and what follows for L1 and for requests that wait. cluster.cc argues it.
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/log.h"
#include "daemon/upstream/cluster.h"
#include "proto/wire_errors.h"

namespace nearcached {

void Cluster::OnMap(const ClusterMap& map) {
  primaries_.clear();
  for (const Endpoint& endpoint : map.primaries) {
    primaries_.push_back(nodes_.Ensure(endpoint));
  }
  std::vector<std::pair<Slot, NodeIndex>> moves;
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    const std::uint16_t owner = map.owners[slot];
    const NodeIndex node = owner == ClusterMap::kNobody ? kNoNode : primaries_[owner];
    if (slots_.owner(static_cast<Slot>(slot)) != node) {
      moves.emplace_back(static_cast<Slot>(slot), node);
    }
  }
  std::erase(primaries_, kNoNode);
  if (!moves.empty() && principal_) {
    Log(LogLevel::kInfo, "cluster_map",
        "primaries=" + std::to_string(map.primaries.size()) + " slots_covered=" +
            std::to_string(map.covered) + " slots_moved=" + std::to_string(moves.size()));
  }
  MoveSlots(moves);
  retire_ = true;
  mapped_ = true;
  login_needed_ = false;
  no_map_.clear();
  std::deque<Op> waited = std::exchange(unmapped_, {});
  unmapped_bytes_ = 0;
  for (Op& op : waited) {
    cluster_stats_.requests_held.Sub();
    SendRequest request{.bytes = op.bytes,
                        .sink = op.sink,
                        .token = op.token,
                        .footprint = std::move(op.footprint),
                        .timeout = op.deadline - deps_.scheduler.Now(),
                        .repeatable = op.repeatable,
                        .client = op.client,
                        .script = op.script};
    const std::string refused(request.timeout <= Duration::zero()
                                  ? proto::kErrTimeout
                                  : SendOn(op.protocol, op.lane, request));
    if (!refused.empty()) {
      if (request.footprint != nullptr) {
        coherence_->Finish(std::move(request.footprint), Outcome::kAnswered);  // never left
      }
      op.sink->OnReplyLost(op.token, refused, false);
    }
  }
}

void Cluster::OnNoMap(std::string_view why) {
  const std::size_t refusal = why.find("NOAUTH ");
  const bool login_needed =
      deps_.login == LoginKind::kNobody && refusal != std::string_view::npos && !mapped_;
  if (!login_needed || !std::exchange(login_needed_, true)) {
    Log(LogLevel::kWarn, "cluster_map_failed", "why=" + Quoted(why));
  }
  if (mapped_) {
    return;  // the last one serves on; each node says itself whether it is there
  }
  // As the nodes would have said it themselves, or why there is no knowing.
  no_map_ = login_needed ? std::string(why.substr(refusal))
                         : proto::UpstreamUnavailable(EndpointText(), why);
  std::deque<Op> waited = std::exchange(unmapped_, {});
  unmapped_bytes_ = 0;
  for (Op& op : waited) {
    cluster_stats_.requests_held.Sub();
    if (op.footprint != nullptr) {
      coherence_->Finish(std::move(op.footprint), Outcome::kAnswered);
    }
    op.sink->OnReplyLost(op.token, no_map_, false);
  }
}

void Cluster::MoveSlots(const std::vector<std::pair<Slot, NodeIndex>>& moves) {
  std::vector<FillOwner> ended;
  for (const auto& [slot, node] : moves) {
    const bool owned = slots_.owner(slot) != kNoNode;
    if (slots_.Move(slot, node) && owned) {
      ended.push_back(slots_.NextGeneration(slot));
    }
  }
  away_moved_ = true;
  if (!principal_) {
    return;
  }
  if (!ended.empty()) {
    cluster_stats_.slots_moved.Add(ended.size());
    coherence_->OnSlotsMoved(ended);
  }
  cluster_stats_.slots_covered.Set(static_cast<std::int64_t>(slots_.covered()));
  cluster_stats_.nodes.Set(static_cast<std::int64_t>(nodes_.size()));
}

void Cluster::NoteRedirect(const Redirect& redirect) {
  if (redirect.kind == Redirect::Kind::kAsk) {
    cluster_stats_.asked.Add();
    return;  // the slot is still its owner's
  }
  cluster_stats_.moved.Add();
  const NodeIndex node = nodes_.Ensure(redirect.to);
  if (node != kNoNode && !shut_down_) {
    MoveSlots({{redirect.slot, node}});
    refresh_.Request(redirect.to);
  }
}

template <typename Visit>
void Cluster::ForEachSlotOf(const Pool& pool, const Visit& visit) const {
  const NodeIndex node = nodes_.Find(pool);
  for (std::uint32_t slot = 0; slot < kSlots && node != kNoNode; ++slot) {
    if (slots_.owner(static_cast<Slot>(slot)) == node) {
      visit(static_cast<Slot>(slot));
    }
  }
}

std::size_t Cluster::SlotsOf(const Pool& pool) const {
  std::size_t slots = 0;
  ForEachSlotOf(pool, [&](Slot) { ++slots; });
  return slots;
}

void Cluster::OnFillLinkLost(const Pool& pool, bool away) {
  std::vector<FillOwner> ended;
  ForEachSlotOf(pool, [&](Slot slot) { ended.push_back(slots_.NextGeneration(slot)); });
  coherence_->OnFillersLost(ended, away);
  if (!shut_down_) {
    refresh_.Request(std::nullopt);
  }
}

// What was set aside of a slot goes with the slot if it moves meanwhile (MoveSlots), so what there
// is of this node is where it still is the owner.
void Cluster::OnNodeBack(const Pool& pool) {
  if (coherence_->shelf_empty()) {
    return;
  }
  std::vector<FillOwner> back;
  ForEachSlotOf(pool, [&](Slot slot) { back.push_back(slots_.fill_owner(slot)); });
  coherence_->OnFillersBack(back);
}

bool Cluster::AwayFor(std::string_view key) const {
  const NodeIndex node = slots_.owner(SlotOf(key));
  return node != kNoNode && nodes_.pool(node).AwayFor(key);
}

}  // namespace nearcached
