// One request and one node: sent, redirected, answered.
//
// An Op lives until it is finished (its answer was handed on) and no link owes anything for it: an
// ASKING before it, or the TTL of a fill whose value was redirected, may be answered after that.
// Nothing here calls a sink from within Send or SendFill.
#include <algorithm>
#include <array>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/upstream/cluster.h"
#include "daemon/upstream/cluster_redirect.h"
#include "proto/encode.h"
#include "proto/requests.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// A slot whose keys are half moved: how often to try again.
constexpr int kTriesMax = 40;

constexpr std::string_view kErrGoingRound =
    "ERR nearcached: the nodes of the cluster send this request from one to the other; try again";
// What a flight hears in place of a TTL when its value must not be stored.
constexpr std::string_view kNoTtl = "-ERR redirected\r\n";

}  // namespace

Cluster::OpId Cluster::NewOp(Op op) {
  if (free_ops_.empty()) {
    free_ops_.push_back(ops_.size());
    ops_.push_back(std::make_unique<Op>());
  }
  const OpId id = free_ops_.back();
  free_ops_.pop_back();
  *ops_[id] = std::move(op);
  ops_[id]->used = true;
  ops_[id]->order = ++next_order_;
  return id;
}

// For one that is finished, or was never begun.
void Cluster::FreeOp(OpId id) {
  NC_CHECK(At(id).used && At(id).due == 0 && !At(id).entered);
  *ops_[id] = Op{};
  free_ops_.push_back(id);
}

// Sends an op for the first time, or lets it wait for its slot. An error line when neither can be
// done: then the op is as it was.
std::string_view Cluster::Begin(OpId id) {
  Op& op = At(id);
  if (!op.keyed) {
    const NodeIndex node = op.node != kNoNode ? op.node : AnyNode(op.lane);
    return node == kNoNode ? kErrSlotNotServed : Submit(id, node, false);
  }
  if (slots_.shut(op.slot)) {
    return Hold(held_[op.slot], id);
  }
  const NodeIndex node = slots_.owner(op.slot);
  if (node == kNoNode) {
    refresh_.Request(std::nullopt);
    return kErrSlotNotServed;
  }
  if (NodeMakesWait(node, op)) {
    return HoldForNode(node, id);
  }
  slots_.Enter(op.slot);
  op.entered = true;
  const std::string_view refused = Submit(id, node, false);
  if (!refused.empty()) {
    op.entered = false;
    (void)slots_.Leave(op.slot);  // it was open: nobody waits
  }
  return refused;
}

std::string_view Cluster::Submit(OpId id, NodeIndex node, bool ask) {
  if (shut_down_) {
    return proto::kErrDraining;
  }
  Op& op = At(id);
  EndDown(op);
  const Duration left = op.deadline - deps_.scheduler.Now();
  if (left <= Duration::zero()) {
    return proto::kErrTimeout;
  }
  std::uint64_t seat = op.lane;
  UpstreamLink& link = nodes_.pool(node).Lane(0, ProtocolOf(node, op), seat, false);
  const std::uint64_t at = std::uint64_t{node} << 8U;
  if (ask) {
    SendRequest asking{.bytes = proto::kAskingRequest,
                       .sink = this,
                       .token = {id, at | kAsking},
                       .footprint = nullptr,
                       .timeout = left,
                       .script = op.script};  // what comes behind it must be the request itself
    if (const std::string_view refused = link.Send(asking); !refused.empty()) {
      return refused;
    }
    ++op.due;
    nodes_.AddUser(node);
  }
  // A fill that is asked on a lane is a read past L1 like any other (R15): a node that says ASK for
  // a key announces nothing of it, and what L1 has of it may be older than what comes now.
  const bool again = op.fill || (op.footprinted && op.footprint == nullptr);
  SendRequest request{.bytes = op.bytes,
                      .sink = this,
                      .token = {id, at | kReply},
                      .footprint = again ? FootprintAgain(op.bytes) : std::move(op.footprint),
                      .timeout = left,
                      .repeatable = op.repeatable && !op.repeated && !ask,
                      .repeated = op.repeated,
                      .client = op.client,
                      .follows = ask,
                      .script = ask ? nullptr : op.script};
  const std::string_view refused = link.Send(request);
  if (refused.empty()) {
    ++op.due;
    nodes_.AddUser(node);
    return {};
  }
  op.footprint = std::move(request.footprint);
  refresh_.Request(std::nullopt);  // a node that is not there may have been replaced
  return refused;
}

std::variant<FillOwner, std::string_view> Cluster::SendFill(const CacheKey& key,
                                                            const ReadRequest& read,
                                                            ReplySink& sink, std::uint64_t flight) {
  if (shut_down_ || !mapped_) {
    return shut_down_ ? proto::kErrDraining : NoMap();
  }
  Op op;
  op.sink = &sink;
  op.token = {flight, 0};
  op.fill = true;
  op.keyed = true;
  op.slot = SlotOf(key.key);
  op.lane = key.hash;  // should it have to be asked on a lane: all reads of a key on the same one
  op.deadline = deps_.scheduler.Now() + Duration(deps_.config.command_timeout);
  op.node = slots_.owner(op.slot);
  if (read.bytes.empty()) {
    const std::array<std::string_view, 2> get = {"GET", key.key};
    proto::AppendCommand(op.bytes, get);
  } else {
    op.bytes.assign(read.bytes);
  }
  const Slot slot = op.slot;
  const NodeIndex node = op.node;
  const OpId id = NewOp(std::move(op));
  std::string_view refused;
  if (slots_.shut(slot)) {
    At(id).plain = true;
    refused = Hold(held_[slot], id);
  } else if (node == kNoNode) {
    refused = kErrSlotNotServed;
  } else {
    const auto sent = nodes_.pool(node).SendFill(key, read, *this, id);
    if (const auto* line = std::get_if<std::string_view>(&sent)) {
      refused = *line;
    } else {
      slots_.Enter(slot);
      At(id).entered = true;
      At(id).due = 2;
      nodes_.AddUser(node);
      nodes_.AddUser(node);
    }
  }
  if (!refused.empty()) {
    FreeOp(id);
    refresh_.Request(std::nullopt);
    return refused;
  }
  return slots_.fill_owner(slot);
}

// ---- answers ------------------------------------------------------------------------------------

void Cluster::OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                          bool last) {
  const OpId id = token.owner;
  const std::uint64_t what = token.seq & 0xffU;
  const NodeIndex node =
      what == kReply || what == kAsking ? static_cast<NodeIndex>(token.seq >> 8U) : At(id).node;
  if (what == FillChannel::kValue || what == FillChannel::kTtl) {
    OnFillPart(id, what, bytes, info, last);
  } else if (what == kReply) {
    Redirect redirect;
    if (info.type == '-' && last && !At(id).begun) {
      redirect = ParseRedirect(bytes, nodes_.endpoint(node));
    }
    const bool heed = !down_.empty() || down_waiting_ != 0;
    if (heed && redirect.kind != Redirect::Kind::kClusterDown) {
      NoteServed(id, node);
    }
    if (!Redirected(id, node, redirect)) {
      answering_ = node;
      Deliver(id, bytes, info, last);
      answering_ = kNoNode;
    }
  }
  if (last) {
    Settle(id, node);
  }
}

void Cluster::OnFillPart(OpId id, std::uint64_t what, std::string_view bytes, const ReplyInfo& info,
                         bool last) {
  Op& op = At(id);
  Redirect redirect;
  if (info.type == '-' && last && !op.begun) {
    redirect = ParseRedirect(bytes, nodes_.endpoint(op.node));
  }
  const bool elsewhere =
      redirect.kind == Redirect::Kind::kMoved || redirect.kind == Redirect::Kind::kAsk;
  if (what == FillChannel::kValue && elsewhere) {
    op.plain = true;
    (void)Redirected(id, op.node, redirect);
    return;
  }
  if (op.plain) {
    return;  // the TTL that belonged to a value which comes from elsewhere
  }
  const bool down =
      redirect.kind == Redirect::Kind::kClusterDown || redirect.kind == Redirect::Kind::kUnserved;
  if (what == FillChannel::kValue && down && Redirected(id, op.node, redirect)) {
    return;  // it waits; else it is an answer like any other
  }
  if (what == FillChannel::kValue && !down) {
    LoseOvertaken(op);
  }
  op.begun = op.begun || what == FillChannel::kValue;
  op.sink->OnReplyPart({op.token.owner, what}, bytes, info, last);
  if (what == FillChannel::kTtl && last) {
    Finish(id);
  }
}

// What `node` answered. True when the op is taken care of; else the answer is its answer.
bool Cluster::Redirected(OpId id, NodeIndex node, const Redirect& redirect) {
  Op& op = At(id);
  const MonoTime now = deps_.scheduler.Now();
  switch (redirect.kind) {
    case Redirect::Kind::kNone:
      return false;
    case Redirect::Kind::kClusterDown:
    case Redirect::Kind::kUnserved:
      cluster_stats_.down.Add();
      refresh_.Request(std::nullopt);
      return redirect.kind == Redirect::Kind::kClusterDown && WaitOutDown(id, node);
    case Redirect::Kind::kTryAgain:
      if (++op.tries > kTriesMax || now + kTryAgainAfter >= op.deadline || shut_down_) {
        cluster_stats_.gave_up.Add();
        return false;
      }
      cluster_stats_.tried_again.Add();
      op.redirects = 0;  // it begins anew; how often it may is bounded by itself
      TryLater(id);
      return true;
    case Redirect::Kind::kMoved:
    case Redirect::Kind::kAsk:
      break;
  }
  NoteRedirect(redirect);
  const NodeIndex next = shut_down_ ? kNoNode : nodes_.Ensure(redirect.to);
  if (++op.redirects > kRedirectsMax || next == kNoNode) {
    cluster_stats_.gave_up.Add();
    Lose(id, kErrGoingRound, false);
    return true;
  }
  SendAgain(id, next, redirect.kind == Redirect::Kind::kAsk);
  return true;
}

void Cluster::SendAgain(OpId id, NodeIndex node, bool ask) {
  const std::string refused(node == kNoNode ? kErrSlotNotServed : Submit(id, node, ask));
  if (!refused.empty()) {
    Lose(id, refused, false);
  }
}

void Cluster::Deliver(OpId id, std::string_view bytes, const ReplyInfo& info, bool last) {
  Op& op = At(id);
  op.begun = true;
  if (op.gather != nullptr) {
    TakePart(op, bytes, last);
  } else if (op.fill) {
    op.sink->OnReplyPart({op.token.owner, FillChannel::kValue}, bytes, info, last);
    if (last) {
      op.sink->OnReplyPart({op.token.owner, FillChannel::kTtl}, kNoTtl, {'-', false, -1}, true);
    }
  } else {
    op.sink->OnReplyPart(op.token, bytes, info, last);
  }
  if (last) {
    Finish(id);
  }
}

// There will be no answer. The caller frees the op if no link owes anything for it.
void Cluster::Lose(OpId id, std::string_view error_line, bool mid_reply) {
  Op& op = At(id);
  EndDown(op);
  if (op.footprint != nullptr) {
    coherence_->Finish(std::move(op.footprint), Outcome::kAnswered);  // it is with no link
  }
  if (op.gather != nullptr) {
    LosePart(op, error_line);
  } else if (op.fill) {
    op.sink->OnReplyLost({op.token.owner, FillChannel::kValue}, error_line, mid_reply);
    op.sink->OnReplyLost({op.token.owner, FillChannel::kTtl}, error_line, false);
  } else {
    op.sink->OnReplyLost(op.token, error_line, mid_reply);
  }
  Finish(id);
}

void Cluster::OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) {
  const OpId id = token.owner;
  const std::uint64_t what = token.seq & 0xffU;
  Op& op = At(id);
  const NodeIndex node =
      what == kReply || what == kAsking ? static_cast<NodeIndex>(token.seq >> 8U) : op.node;
  if (!shut_down_) {
    refresh_.Request(std::nullopt);
  }
  if (what == kReply) {
    Lose(id, error_line, mid_reply);
  } else if (what != kAsking && !op.plain) {
    op.sink->OnReplyLost({op.token.owner, what}, error_line, mid_reply);
    if (what == FillChannel::kTtl) {
      Finish(id);
    }
  }
  Settle(id, node);
}

std::size_t Cluster::Backlog(RequestToken token) const {
  const Op& op = *ops_[token.owner];
  const bool through = op.gather == nullptr && !op.finished && (token.seq & 0xffU) != kAsking;
  if (!through) {
    return 0;
  }
  return op.sink->Backlog(op.fill ? RequestToken{op.token.owner, FillChannel::kValue} : op.token);
}

// The answer was handed on. Whoever waited for the slot goes on.
void Cluster::Finish(OpId id) {
  Op& op = At(id);
  NC_CHECK(!op.finished);
  op.finished = true;
  std::vector<OpId> free;
  LeaveSlot(op, free);
  GoOn(free);
}

// A link owes one answer less.
void Cluster::Settle(OpId id, NodeIndex node) {
  nodes_.RemoveUser(node);
  Op& op = At(id);
  --op.due;
  if (op.finished && op.due == 0) {
    FreeOp(id);
  }
}

}  // namespace nearcached
