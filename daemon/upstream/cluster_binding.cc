// How an exclusive link in a cluster comes by its node, and leaves it.
#include <optional>
#include <string_view>
#include <utility>

#include "daemon/upstream/cluster_exclusive.h"
#include "daemon/upstream/cluster_redirect.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

constexpr std::string_view kErrCrossSlot = "CROSSSLOT Keys in request don't hash to the same slot";

}  // namespace

// The node that a request belongs to, which is the one that is bound, if any.
NodeIndex ClusterExclusive::NodeFor(const ClusterView::Taken& taken, std::string_view& error_line) {
  switch (taken.route.kind) {
    case Route::Kind::kRefused:
      error_line_ = taken.route.error;
      error_line = error_line_;
      return kNoNode;
    case Route::Kind::kSplit:
      error_line = kErrCrossSlot;
      return kNoNode;
    case Route::Kind::kPrimaries:
    case Route::Kind::kScan:
      error_line_ = proto::NotSupported(
          taken.name,
          "with a cluster it concerns every node, so send it outside MULTI, WATCH and "
          "subscriptions");
      error_line = error_line_;
      return kNoNode;
    case Route::Kind::kAny:
    case Route::Kind::kSlot:
      break;
  }
  const bool any = taken.route.kind == Route::Kind::kAny;
  if (any && node_ != kNoNode) {
    return node_;
  }
  const NodeIndex node = any ? cluster_.AnyNode(session_) : cluster_.OwnerOf(taken.route.slot);
  if (node == kNoNode) {
    error_line = kErrSlotNotServed;
  } else if (node_ != kNoNode && node != (held_slot_ ? cluster_.OwnerOf(*held_slot_) : node_)) {
    error_line = kErrCrossSlot;
  }
  return node;
}

// Takes a link of the node, or a place in its line. With a slot it waits first, if it has to, for
// whoever has that slot in the end.
std::string_view ClusterExclusive::Bind(NodeIndex node, std::optional<Slot> slot) {
  if (slot && cluster_.MakesWait(node)) {
    node_ = node;
    cluster_.nodes().AddUser(node);
    held_slot_ = slot;
    held_timer_ = cluster_.scheduler().After(kAwayLook, [this] { LookAtHeld(); });
    cluster_.CountHeld(true);
    return {};
  }
  std::string_view refused;
  link_ = cluster_.nodes().pool(node).Borrow(0, protocol_, *this, session_, refused);
  if (link_ == nullptr && !refused.empty()) {
    return refused;
  }
  node_ = node;
  cluster_.nodes().AddUser(node);
  if (link_ != nullptr && passthrough_) {
    link_->StartPassthrough();
  }
  return {};
}

void ClusterExclusive::LookAtHeld() {
  const NodeIndex owner = cluster_.OwnerOf(*held_slot_);
  if (cluster_.MakesWait(owner == kNoNode ? node_ : owner)) {
    cluster_.LookForNodes();
    held_timer_ = cluster_.scheduler().After(kAwayLook, [this] { LookAtHeld(); });
    return;
  }
  EndHold();
  cluster_.nodes().RemoveUser(std::exchange(node_, kNoNode));
  const std::string_view refused = owner == kNoNode ? kErrSlotNotServed : Bind(owner, std::nullopt);
  if (refused.empty()) {
    SendQueued();
  } else {
    GiveUp(refused);
  }
}

void ClusterExclusive::EndHold() {
  if (held_slot_) {
    held_slot_.reset();
    held_timer_.reset();
    cluster_.CountHeld(false);
  }
}

void ClusterExclusive::Unbind(bool reusable) {
  if (node_ == kNoNode) {
    return;
  }
  EndHold();
  Pool& pool = cluster_.nodes().pool(node_);
  if (link_ != nullptr) {
    pool.Return(std::exchange(link_, nullptr), reusable);
  } else {
    pool.LeaveLine(session_);
  }
  cluster_.nodes().RemoveUser(std::exchange(node_, kNoNode));
}

void ClusterExclusive::OnMayBorrow(std::uint64_t session) {
  if (released_ || node_ == kNoNode || link_ != nullptr || held_slot_) {
    return;
  }
  std::string_view refused;
  link_ = cluster_.nodes().pool(node_).Borrow(0, protocol_, *this, session, refused);
  if (link_ == nullptr) {
    if (!refused.empty()) {
      cluster_.nodes().RemoveUser(std::exchange(node_, kNoNode));
      GiveUp(refused);
    }
    return;
  }
  if (passthrough_) {
    link_->StartPassthrough();
  }
  SendQueued();
}

}  // namespace nearcached
