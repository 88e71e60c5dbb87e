// How a link loses its connection, and what becomes of the requests that were on it.
//
// Whatever goes wrong ends in Lose(): the stream is closed first, then the observer is told (a fill
// link's entries go), then the requests; the order matters, because "the write may still be
// executed" ends only when the connection is known closed (consistency.md R3).
//
// A write is never sent twice: nobody can know whether the server has carried it out. A read can be
// sent once more, and is, over the next connection, within the deadline it began with. Three things
// have to be kept then:
// - order (R4). Requests of one client about one key must not overtake each other, and a link does
//   not know keys. So a read is repeated only if whatever the same client sent behind it is
//   repeated too, in the order they had. What is sent from now on comes behind them.
// - the halves of a fill (GET and PTTL) go together or not at all: a value of the old connection
//   with a TTL from the new one would be stored though its invalidation was missed. The pair that
//   is repeated answers those who wait, and is refused by L1 where the server tracks, since its
//   owner is the old connection (R6).
// - a client that has heard the beginning of a reply gets no second one.
// What was never sent at all is kept instead while the loss is young (upstream.max_hold), or when
// the primary is another one: then writes too.
#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "daemon/upstream/link.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// A link that was lost this soon after it stood counts as a failed attempt, so that a server which
// accepts and hangs up is not dialled in a tight loop.
constexpr Duration kStableAfter = std::chrono::seconds(1);

}  // namespace

// ---- the connection -----------------------------------------------------------------------------

void Link::OnEnd(const Error& why) {
  const bool standing = state_ == State::kReady;
  Lose(standing ? context_.stats.closed_by_peer : context_.stats.connects_failed, why.message, {});
}

void Link::Close(std::string_view why) {
  CloseFor(why, Repeat::kNo);
}

void Link::CloseFor(std::string_view why, Repeat repeat) {
  if (state_ == State::kClosed) {
    return;
  }
  const bool standing = state_ == State::kReady;
  EndDial(DialGate::End::kGivenUp);
  timer_.reset();
  stream_.reset();
  state_ = State::kClosed;
  closed_by_us_ = true;
  failing_ = false;
  if (standing) {
    context_.stats.links_ready.Sub();
    context_.gate.OnLinkGone(true, context_.scheduler.Now());
    context_.observer.OnLinkDown(*this, why);
  } else if (repeat != Repeat::kNo && spec_.retry) {
    return;  // nothing was sent: all of it waits for the next connection
  }
  FailRequests(standing ? std::string(proto::kErrConnectionLost)
                        : proto::UpstreamUnavailable(context_.topology.Primary().ToString(), why),
               repeat);
}

void Link::Lose(Counter& reason, std::string_view why, std::string_view error_line) {
  const bool standing = state_ == State::kReady;
  const MonoTime now = context_.scheduler.Now();
  busy_line_ = !standing && handshake_ ? handshake_->busy_line() : std::string();
  const std::string refusal =
      busy_line_.empty() ? proto::UpstreamUnavailable(context_.topology.Primary().ToString(), why)
                         : busy_line_;
  const std::string error =
      standing ? std::string(error_line.empty() ? proto::kErrConnectionLost : error_line) : refusal;
  (standing ? reason : context_.stats.connects_failed).Add();
  down_why_.assign(why);
  closed_by_us_ = false;
  timer_.reset();
  stream_.reset();
  if (standing) {
    context_.stats.links_ready.Sub();
    context_.gate.OnLinkGone(false, now);
  } else if (!dialling_) {
    context_.gate.OnNowhere(now);
  }
  EndDial(DialGate::End::kFailed);
  if (!down_since_) {
    down_since_ = now;
  }
  failing_ = !standing || now - ready_since_ < kStableAfter;
  // (A user that may not log in says nothing about the server.)
  if (failing_ && context_.login != LoginKind::kClient) {
    context_.stats.up.Set(0);
  }
  state_ = State::kClosed;
  armed_ = false;
  context_.observer.OnLinkDown(*this, down_why_);
  if (standing) {
    FailRequests(error, !failing_ || holding() ? Repeat::kReads : Repeat::kNo);
  } else if (!holding() || !spec_.retry) {
    FailRequests(error, Repeat::kNo);
  }
  Reconnect();
}

void Link::Reconnect() {
  if (state_ != State::kClosed || !spec_.retry) {
    return;  // somebody opened it from a callback, or will when it is needed
  }
  if (!failing_) {
    backoff_.Reset();
    StartConnecting();  // the first attempt after a good connection is immediate
    return;
  }
  if (!busy_line_.empty()) {
    backoff_.Reset();  // the server is there, and asking it now and then is no burden
  }
  WaitToReconnect(backoff_.Next(context_.rng));
}

// An attempt is made when a hold ends: whoever waits has that chance, and then the answer.
void Link::WaitToReconnect(Duration delay) {
  if (holding()) {
    const MonoTime end = *down_since_ + Duration(context_.config.max_hold);
    delay = std::min(delay, end - context_.scheduler.Now());
  }
  state_ = State::kBackoff;
  timer_ = context_.scheduler.After(delay, [this] { StartConnecting(); });
}

// ---- the requests -------------------------------------------------------------------------------

// By position: which of them may be sent once more.
std::vector<bool> Link::Repeatable() const {
  std::vector<bool> again(requests_.size());
  std::unordered_set<std::uint64_t> barred;
  for (std::size_t i = requests_.size(); i-- > 0;) {
    const Request& request = requests_[i];
    again[i] = request.MayRepeat() && !barred.contains(request.client);
    if (!again[i] && request.client != 0) {
      barred.insert(request.client);
    }
  }
  for (std::size_t i = 0; i < again.size(); ++i) {
    if (requests_[i].follows && (i == 0 || again[i - 1] != again[i])) {
      again[i] = false;
      again[i == 0 ? 0 : i - 1] = false;
    }
  }
  return again;
}

void Link::QueueAgain(Request&& request, std::string_view bytes) {
  request.repeated = true;
  context_.stats.repeated.Add();
  out_.Append(bytes);
  (void)replay_.Keep(bytes);  // it was there before
  request_bytes_ += request.bytes;
  requests_.PushBack(std::move(request));
  MarkDirty();
}

// Whether who sent it sends it again, not necessarily by this link: the slots of a cluster's node
// may be another's before this one stands again.
bool Link::TakenBack(Request& request) {
  if (request.sink == nullptr || !request.sink->TakeBack(request.token, request.footprint)) {
    return false;
  }
  context_.stats.repeated.Add();
  context_.stats.inflight.Sub();
  return true;
}

void Link::FailRequest(Request& request, std::string_view error_line) {
  context_.stats.inflight.Sub();
  Settle(request, Outcome::kLost);
  if (request.abandoned) {
    return;
  }
  context_.stats.lost.Add();
  context_.stats.repeated_failed.Add(request.repeated ? 1 : 0);
  if (request.own != nullptr) {
    request.own(nullptr);
  } else if (request.sink != nullptr) {
    request.sink->OnReplyLost(request.token, error_line, request.begun);
  }
}

// Those that may be repeated are queued first: whoever is told of a loss may send something, which
// comes behind them.
void Link::FailRequests(std::string_view error_line, Repeat repeat) {
  const std::vector<bool> again =
      repeat == Repeat::kReads ? Repeatable() : std::vector<bool>(requests_.size());
  deadline_timer_.reset();
  pause_.reset();
  first_waiting_ = 0;
  request_bytes_ = 0;
  renew_reason_ = nullptr;
  held_.Clear();
  out_.Clear();
  scripts_known_.clear();
  carry_.clear();
  streaming_ = false;
  Ring<Request> before = std::exchange(requests_, {});
  const ReplayLog log = std::exchange(replay_, {});
  std::string_view bytes = log.view();
  Ring<Request> failed;
  for (std::size_t i = 0; i < again.size(); ++i) {
    Request request = std::move(before.front());
    before.PopFront();
    const std::string_view own = bytes.substr(0, request.kept);
    bytes.remove_prefix(request.kept);
    if (!again[i]) {
      failed.PushBack(std::move(request));
    } else if (!TakenBack(request)) {
      QueueAgain(std::move(request), own);
    }
  }
  for (; !failed.empty(); failed.PopFront()) {
    FailRequest(failed.front(), error_line);
  }
  if (spec_.purpose == Purpose::kExclusive) {
    spent_ = true;
    if (lent_to_ != nullptr) {
      lent_to_->OnExclusiveLost(lent_session_, error_line);
    }
  }
}

}  // namespace nearcached
