// A link's connection: made, shaken hands on, lost, and made again with backoff.
//
// Whatever goes wrong ends in Lose(): the stream is closed first, then the observer is told (a fill
// link's entries go), then the requests; the order matters, because "the write may still be
// executed" ends only when the connection is known closed (consistency.md R3).
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "daemon/upstream/link.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// A link that was lost this soon after it stood counts as a failed attempt, so that a server which
// accepts and hangs up is not dialled in a tight loop.
constexpr Duration kStableAfter = std::chrono::seconds(1);
// A link that found as many others connecting as may asks again after this long.
constexpr Duration kDialAgain = std::chrono::milliseconds(5);

}  // namespace

// ---- connecting ---------------------------------------------------------------------------------

void Link::Open() {
  if (state_ == State::kClosed) {
    StartConnecting();
  }
}

void Link::Wake() {
  if (state_ == State::kBackoff) {
    failing_ = false;
    StartConnecting();
  }
}

void Link::StartConnecting() {
  state_ = State::kConnecting;
  ++epoch_;
  armed_ = false;
  scanner_.Reset();
  carry_.clear();
  streaming_ = false;
  write_blocked_ = false;
  pause_.reset();
  pauses_ = 0;
  handshake_out_.Clear();
  handshake_.reset();
  Dial();
}

// Connects as soon as the gate lets it: requests wait while it is only full. Without a primary
// there is nowhere to dial: OnPrimaryChanged comes back here.
void Link::Dial() {
  if (!context_.topology.has_primary()) {
    timer_ = context_.scheduler.After(context_.config.connect_timeout, [this] {
      Lose(context_.stats.connects_failed, "no node is known to be the primary", {});
    });
    return;
  }
  switch (context_.gate.Ask(context_.scheduler.Now())) {
    case DialGate::Answer::kGo:
      dialling_ = true;
      dial_waits_ = false;
      timer_ = context_.scheduler.After(context_.config.connect_timeout, [this] {
        Lose(context_.stats.connects_failed, "no connection within upstream.connect_timeout", {});
      });
      stream_ = context_.dialer.Dial(context_.topology.Primary(), *this);
      return;
    case DialGate::Answer::kFull:
      if (!std::exchange(dial_waits_, true)) {
        context_.stats.dials_delayed.Add();
      }
      timer_ = context_.scheduler.After(kDialAgain, [this] { Dial(); });
      return;
    case DialGate::Answer::kOpen:
      OnBreakerOpen();
      return;
  }
}

// There was no connection, so nobody but the waiting requests has to be told.
void Link::OnBreakerOpen() {
  state_ = State::kClosed;
  failing_ = true;
  dial_waits_ = false;
  timer_.reset();
  FailRequests(RefusalLine());
  if (state_ != State::kClosed || !spec_.retry) {
    return;
  }
  state_ = State::kBackoff;
  const Duration until = context_.gate.retry_at() - context_.scheduler.Now();
  timer_ = context_.scheduler.After(std::max<Duration>(until, context_.config.reconnect_delay_min),
                                    [this] { StartConnecting(); });
}

void Link::EndDial(DialGate::End end) {
  if (std::exchange(dialling_, false)) {
    context_.gate.OnDialEnded(end, context_.scheduler.Now());
  }
}

void Link::OnOpen() {
  state_ = State::kHandshake;
  const bool fill = spec_.purpose == Purpose::kFill;
  handshake_.emplace(HandshakeTerms{.username = context_.config.username,
                                    .password = context_.config.password,
                                    .db = spec_.db,
                                    .protocol = spec_.protocol,
                                    .fallback_to_resp2 = fill,
                                    .track = spec_.track,
                                    .primary_only = context_.topology.changes(),
                                    .identify = spec_.purpose == Purpose::kExclusive});
  SendHandshake();
}

void Link::SendHandshake() {
  const std::vector<std::string> command = handshake_->Command();
  const std::vector<std::string_view> views(command.begin(), command.end());
  proto::AppendCommand(handshake_out_.Tail(), views);
  write_blocked_ = !handshake_out_.Flush(*stream_);
}

void Link::OnHandshakeReply(std::string_view frame) {
  const auto reply = ParseUpstreamReply(frame);
  if (!reply) {
    Lose(context_.stats.connects_failed, "the upstream's handshake is not RESP", {});
    return;
  }
  switch (handshake_->OnReply(*reply)) {
    case Handshake::Verdict::kNext:
      SendHandshake();
      break;
    case Handshake::Verdict::kDone:
      OnReady();
      break;
    case Handshake::Verdict::kFailed: {
      const std::string why = handshake_->failure();
      // What this database or protocol is refused says nothing about the server: a client that
      // selects databases which are not there must not open the breaker for all.
      if (spec_.purpose == Purpose::kExclusive || spec_.db != context_.config.db ||
          spec_.protocol != proto::Protocol::kResp2) {
        EndDial(DialGate::End::kGivenUp);
      }
      Lose(context_.stats.connects_failed, why, {});
      break;
    }
  }
}

void Link::OnReady() {
  state_ = State::kReady;
  timer_.reset();
  EndDial(DialGate::End::kStands);
  armed_ = handshake_->armed();
  failing_ = false;
  down_since_.reset();
  down_why_.clear();
  ready_since_ = last_received_ = context_.scheduler.Now();
  context_.stats.connects_ok.Add();
  context_.stats.links_ready.Add();
  context_.stats.up.Set(1);
  const config::PoolConfig& pool = context_.config.pool;
  retire_at_ = MonoTime::max();
  if (pool.max_lifetime != config::Duration::zero()) {
    const double share = 1.0 - pool.lifetime_jitter * context_.rng.Unit();
    retire_at_ =
        ready_since_ + std::chrono::duration_cast<Duration>(Duration(pool.max_lifetime) * share);
  }
  MarkDirty();
  context_.observer.OnLinkReady(*this, *handshake_);
}

// ---- renewal ------------------------------------------------------------------------------------

// The old connection is drained first and the new one made then, so that there is never a second
// one for the same requests: their order is kept, and the server sees no more links than
// configured.
void Link::Renew(Counter& reason, std::string_view why) {
  if (state_ != State::kReady || renewing()) {
    return;
  }
  renew_reason_ = &reason;
  renew_why_.assign(why);
  owed_ = requests_.size();
  scripts_known_.clear();
  if (owed_ == 0) {
    FinishRenewal();
  }
}

void Link::FinishRenewal() {
  renew_reason_->Add();
  renew_reason_ = nullptr;
  pause_.reset();
  stream_.reset();
  out_ = std::exchange(held_, {});
  context_.stats.links_ready.Sub();
  context_.gate.OnLinkGone(true, context_.scheduler.Now());
  state_ = State::kClosed;
  closed_by_us_ = true;
  armed_ = false;
  context_.observer.OnLinkDown(*this, renew_why_);
  if (state_ == State::kClosed) {  // nobody sent from there
    StartConnecting();
  }
}

// ---- another primary ----------------------------------------------------------------------------

void Link::OnPrimaryChanged() {
  const bool known = context_.topology.has_primary();
  if (state_ == State::kClosed) {
    return;
  }
  if (state_ == State::kConnecting && stream_ == nullptr) {
    Dial();
    return;
  }
  if (state_ == State::kBackoff) {
    if (known) {
      timer_.reset();
      StartConnecting();
    }
    return;
  }
  if (state_ == State::kReady) {
    context_.stats.closed_switched.Add();
  }
  Close(known ? "another node is the primary now" : "the node is no longer the primary");
  backoff_.Reset();
  if (state_ == State::kClosed && spec_.retry) {
    StartConnecting();
  }
}

// ---- loss ---------------------------------------------------------------------------------------

void Link::OnEnd(const Error& why) {
  const bool standing = state_ == State::kReady;
  Lose(standing ? context_.stats.closed_by_peer : context_.stats.connects_failed, why.message, {});
}

void Link::Close(std::string_view why) {
  if (state_ == State::kClosed) {
    return;
  }
  const bool standing = state_ == State::kReady;
  EndDial(DialGate::End::kGivenUp);
  timer_.reset();
  deadline_timer_.reset();
  stream_.reset();
  state_ = State::kClosed;
  closed_by_us_ = true;
  failing_ = false;
  if (standing) {
    context_.stats.links_ready.Sub();
    context_.gate.OnLinkGone(true, context_.scheduler.Now());
    context_.observer.OnLinkDown(*this, why);
  }
  FailRequests(standing ? std::string(proto::kErrConnectionLost)
                        : proto::UpstreamUnavailable(context_.topology.Primary().ToString(), why));
}

void Link::Lose(Counter& reason, std::string_view why, std::string_view error_line) {
  const bool standing = state_ == State::kReady;
  const std::string error =
      standing ? std::string(error_line.empty() ? proto::kErrConnectionLost : error_line)
               : proto::UpstreamUnavailable(context_.topology.Primary().ToString(), why);
  (standing ? reason : context_.stats.connects_failed).Add();
  down_why_.assign(why);
  closed_by_us_ = false;
  timer_.reset();
  stream_.reset();
  if (standing) {
    context_.stats.links_ready.Sub();
    context_.gate.OnLinkGone(false, context_.scheduler.Now());
  }
  if (!down_since_) {
    down_since_ = context_.scheduler.Now();
  }
  if (!standing && !dialling_) {
    context_.gate.OnNowhere(context_.scheduler.Now());
  }
  EndDial(DialGate::End::kFailed);
  failing_ = !standing || context_.scheduler.Now() - ready_since_ < kStableAfter;
  if (failing_) {
    context_.stats.up.Set(0);
  }
  state_ = State::kClosed;
  armed_ = false;
  context_.observer.OnLinkDown(*this, down_why_);
  FailRequests(error);
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
  state_ = State::kBackoff;
  timer_ = context_.scheduler.After(backoff_.Next(context_.rng), [this] { StartConnecting(); });
}

void Link::FailRequests(std::string_view error_line) {
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
  Ring<Request> lost = std::exchange(requests_, {});
  while (!lost.empty()) {
    Request request = std::move(lost.front());
    lost.PopFront();
    context_.stats.inflight.Sub();
    Settle(request, Outcome::kLost);
    if (request.abandoned) {
      continue;
    }
    context_.stats.lost.Add();
    if (request.own != nullptr) {
      request.own(nullptr);
    } else if (request.sink != nullptr) {
      request.sink->OnReplyLost(request.token, error_line, request.begun);
    }
  }
  if (spec_.purpose == Purpose::kExclusive) {
    spent_ = true;
    if (lent_to_ != nullptr) {
      lent_to_->OnExclusiveLost(lent_session_, error_line);
    }
  }
}

}  // namespace nearcached
