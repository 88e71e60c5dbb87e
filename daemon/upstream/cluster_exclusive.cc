// The life of an exclusive link in a cluster: what is sent on it, and answered. How it comes by its
// node: cluster_binding.cc.
//
// Unbound: nothing has named a key yet; MULTI is answered here. Held (max_hold): the slot is known,
// and its node is away. Bound: the node is known (`node_`),
// and a link of its pool is lent (`link_`) or waited for in that pool's line. Requests that cannot
// be sent yet wait in `queued_`: until the link is there, and, where the node has to be told of a
// MULTI first, until it has said OK; a command that were sent along with a MULTI which fails would
// be carried out at once instead of being queued.
#include "daemon/upstream/cluster_exclusive.h"

#include <utility>

#include "daemon/base/check.h"
#include "daemon/upstream/cluster_redirect.h"
#include "proto/requests.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

constexpr std::string_view kOk = "+OK\r\n";
// In place of a MOVED or ASK that a client without knowledge of clusters could not follow.
constexpr std::string_view kMovedReply =
    "-ERR nearcached: the key's slot is moving to another node of the cluster; begin the "
    "transaction again\r\n";

}  // namespace

ClusterExclusive::~ClusterExclusive() {
  NC_CHECK(node_ == kNoNode && queued_.empty() && local_.empty());
}

std::string_view ClusterExclusive::Send(SendRequest& request) {
  if (request.discard_reply) {
    return link_ != nullptr && queued_.empty() ? link_->Send(request) : std::string_view();
  }
  if (released_ || lost_) {
    return proto::kErrConnectionLost;
  }
  const ClusterView::Taken taken = cluster_.Take(request.bytes);
  const bool multi = taken.name == "multi";
  Request queued;
  queued.sink = request.sink;
  queued.token = request.token;
  if (multi && node_ == kNoNode && !passthrough_) {
    multi_owed_ = bound_by_state_ = true;
    local_.push_back(std::move(queued));
    if (local_timer_ == nullptr) {
      local_timer_ = cluster_.scheduler().After(Duration::zero(), [this] { AnswerMulti(); });
    }
    return {};
  }
  std::string_view refused;
  const NodeIndex node = NodeFor(taken, refused);
  if (refused.empty() && node_ == kNoNode) {
    const bool keyed = taken.route.kind == Route::Kind::kSlot;
    refused = Bind(node, keyed ? std::optional(taken.route.slot) : std::nullopt);
  }
  if (!refused.empty()) {
    return refused;
  }
  bound_by_state_ = bound_by_state_ || multi || taken.name == "watch";
  queued.bytes.assign(request.bytes);
  queued.footprint = std::move(request.footprint);
  queued.footprinted = queued.footprint != nullptr;
  queued.script = request.script;
  queued.timeout = request.timeout;
  queued.answered_by_push = request.answered_by_push;
  queued.free = !bound_by_state_ && !passthrough_;
  if (link_ == nullptr || multi_owed_) {
    queued_.push_back(std::move(queued));
    SendQueued();
    return {};
  }
  refused = SendNow(queued);
  if (!refused.empty()) {
    request.footprint = std::move(queued.footprint);
  }
  return refused;
}

// What a transaction's scripts need: the node that will run the call, and no other, is told. Until
// the transaction is bound that is the owner of the call's slot, which may be another by the time
// it has been told; then what it was told counts for nothing, and the new owner is told.
bool ClusterExclusive::KnowsScript(const Script& script, std::string_view call) {
  if (link_ != nullptr && link_->KnowsScript(script, call)) {
    return true;
  }
  std::string_view refused;
  const NodeIndex node = NodeFor(cluster_.Take(call), refused);
  // One that is refused is never queued, so it does not matter what its node knows.
  return !refused.empty() || (told_script_ == script.id && told_node_ == node);
}

std::string_view ClusterExclusive::TellScript(std::string_view call, UpstreamLink& /*lane*/,
                                              SendRequest& load) {
  std::string_view refused;
  telling_ = NodeFor(cluster_.Take(call), refused);
  return refused.empty() ? cluster_.SendTo(telling_, protocol_, session_, load) : refused;
}

void ClusterExclusive::NoteScript(const Script& script) {
  told_node_ = telling_;
  told_script_ = script.id;
  if (link_ != nullptr && node_ == telling_) {
    link_->NoteScript(script);
  }
}

// The reply being delivered is one of the bound node.
std::string_view ClusterExclusive::SendBack(SendRequest& request) {
  if (link_ == nullptr || released_ || lost_) {
    return proto::kErrConnectionLost;
  }
  Request out;
  out.sink = request.sink;
  out.token = request.token;
  out.bytes.assign(request.bytes);
  out.timeout = request.timeout;
  return SendNow(out);
}

// On an error line, what was to be sent is as it was.
std::string_view ClusterExclusive::SendNow(Request& request) {
  SendRequest out{.bytes = request.bytes,
                  .sink = passthrough_ ? nullptr : this,
                  .token = {},
                  .footprint = std::move(request.footprint),
                  .timeout = request.timeout,
                  .answered_by_push = request.answered_by_push,
                  .script = request.script};
  const std::string_view refused = link_->Send(out);
  if (!refused.empty()) {
    request.footprint = std::move(out.footprint);
    return refused;
  }
  if (!passthrough_) {
    if (!request.free) {
      request.bytes = {};  // it will not be sent again
    }
    sent_.push_back(std::move(request));
  }
  return {};
}

// Called from Send too, so it may tell nobody but through a link or a timer.
void ClusterExclusive::SendQueued() {
  if (link_ == nullptr || multi_asked_) {
    return;
  }
  if (multi_owed_) {
    multi_asked_ = true;
    Request multi;
    multi.kind = Kind::kOwnMulti;
    multi.bytes.assign(proto::kMultiRequest);
    multi.timeout = queued_.empty() ? Duration::zero() : queued_.front().timeout;
    if (const std::string_view refused = SendNow(multi); !refused.empty()) {
      multi_asked_ = false;
      FailLater(refused);
    }
    return;
  }
  while (!queued_.empty()) {
    if (const std::string_view refused = SendNow(queued_.front()); !refused.empty()) {
      FailLater(refused);
      return;
    }
    queued_.pop_front();
  }
}

void ClusterExclusive::FailLater(std::string_view error_line) {
  fail_timer_ = cluster_.scheduler().After(
      Duration::zero(), [this, line = std::string(error_line)] { GiveUp(line); });
}

void ClusterExclusive::FailQueued(std::string_view error_line) {
  const std::string line(error_line);
  for (Request& request : std::exchange(queued_, {})) {
    cluster_.Forget(std::move(request.footprint));
    if (request.sink != nullptr) {
      request.sink->OnReplyLost(request.token, line, false);
    }
  }
}

// What waited to be sent will not be. A subscriber has no slots that could be answered: it is
// closed.
void ClusterExclusive::GiveUp(std::string_view error_line) {
  const std::string line(error_line);
  FailQueued(line);
  if (passthrough_ && !released_) {
    lost_ = true;
    owner_.OnExclusiveLost(session_, line);
  }
}

void ClusterExclusive::AnswerMulti() {
  local_timer_.reset();
  for (const Request& request : std::exchange(local_, {})) {
    request.sink->OnReplyPart(request.token, kOk, {'+', false, -1}, true);
  }
}

// ---- answers ------------------------------------------------------------------------------------

void ClusterExclusive::OnReplyPart(RequestToken /*token*/, std::string_view bytes,
                                   const ReplyInfo& info, bool last) {
  if (!last) {
    if (sent_.front().kind == Kind::kClient) {
      sent_.front().begun = true;
      sent_.front().sink->OnReplyPart(sent_.front().token, bytes, info, false);
    }
    return;
  }
  Request request = std::move(sent_.front());
  sent_.pop_front();
  if (request.kind == Kind::kAsking) {
    return;
  }
  if (request.kind == Kind::kOwnMulti) {
    multi_asked_ = false;
    if (info.type == '-') {
      FailQueued(bytes.substr(1, bytes.size() - 3));
      return;
    }
    multi_owed_ = false;
    SendQueued();
    return;
  }
  if (info.type == '-' && !request.begun && node_ != kNoNode) {
    const Redirect redirect = ParseRedirect(bytes, cluster_.nodes().endpoint(node_));
    const bool elsewhere =
        redirect.kind == Redirect::Kind::kMoved || redirect.kind == Redirect::Kind::kAsk;
    if (elsewhere) {
      cluster_.NoteRedirect(redirect);
      if (Follow(request, redirect)) {
        return;
      }
      bytes = kMovedReply;
    }
  }
  request.sink->OnReplyPart(request.token, bytes, info, true);
}

// A blocking command goes where its key is: nothing that was sent before binds it here.
bool ClusterExclusive::Follow(Request& request, const Redirect& redirect) {
  if (!request.free || !sent_.empty() || !queued_.empty() || released_ ||
      ++request.redirects > kRedirectsMax) {
    return false;
  }
  const NodeIndex node = cluster_.NodeAt(redirect.to);
  if (node == kNoNode) {
    return false;
  }
  Unbind(true);
  const bool moved = redirect.kind == Redirect::Kind::kMoved;
  const std::string refused(Bind(node, moved ? std::optional(redirect.slot) : std::nullopt));
  if (!refused.empty()) {
    request.sink->OnReplyLost(request.token, refused, false);
    return true;
  }
  if (request.footprinted) {
    request.footprint = cluster_.FootprintAgain(request.bytes);
  }
  if (redirect.kind == Redirect::Kind::kAsk) {
    Request asking;
    asking.kind = Kind::kAsking;
    asking.bytes.assign(proto::kAskingRequest);
    asking.timeout = request.timeout;  // deadlines of a link's requests never fall
    asking.script = std::exchange(request.script, nullptr);  // nothing may come between the two
    queued_.push_back(std::move(asking));
  }
  queued_.push_back(std::move(request));
  SendQueued();
  return true;
}

std::size_t ClusterExclusive::Backlog(RequestToken /*token*/) const {
  const bool client = !sent_.empty() && sent_.front().kind == Kind::kClient;
  return client ? sent_.front().sink->Backlog(sent_.front().token) : 0;
}

void ClusterExclusive::OnReplyLost(RequestToken /*token*/, std::string_view error_line,
                                   bool mid_reply) {
  const Request request = std::move(sent_.front());
  sent_.pop_front();
  if (request.kind == Kind::kOwnMulti) {
    multi_asked_ = false;
    FailQueued(error_line);
  } else if (request.kind == Kind::kClient) {
    request.sink->OnReplyLost(request.token, error_line, mid_reply);
  }
}

void ClusterExclusive::OnExclusiveLost(std::uint64_t session, std::string_view error_line) {
  lost_ = true;
  const std::string line(error_line);
  FailQueued(line);
  owner_.OnExclusiveLost(session, line);
}

void ClusterExclusive::SwitchProtocol(proto::Protocol protocol) {
  protocol_ = protocol;
  if (link_ != nullptr) {
    link_->SwitchProtocol(protocol);
  }
}

std::size_t ClusterExclusive::unanswered() const {
  return local_.size() + queued_.size() + (link_ != nullptr ? link_->unanswered() : 0);
}

void ClusterExclusive::Release(bool reusable) {
  released_ = true;
  local_timer_.reset();
  fail_timer_.reset();
  Unbind(reusable && sent_.empty() && queued_.empty());
  FailQueued(proto::kErrConnectionLost);
  for (const Request& request : std::exchange(local_, {})) {
    request.sink->OnReplyLost(request.token, proto::kErrConnectionLost, false);
  }
}

}  // namespace nearcached
