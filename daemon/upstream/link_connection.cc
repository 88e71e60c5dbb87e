// A link's connection: made, shaken hands on, and made anew. How it is lost: link_loss.cc.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "daemon/upstream/link.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

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
  if (state_ == State::kReady || state_ == State::kClosed) {
    return;
  }
  failing_ = false;
  if (state_ == State::kBackoff) {
    StartConnecting();
  }
}

void Link::StartConnecting() {
  state_ = State::kConnecting;
  ++epoch_;
  ++fill_epoch_;
  armed_ = false;
  scanner_.Reset();
  carry_.clear();
  streaming_ = false;
  write_blocked_ = false;
  pause_.reset();
  paused_for_ = {};
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
  if (!holding()) {
    FailRequests(RefusalLine(), Repeat::kNo);
  }
  if (state_ != State::kClosed || !spec_.retry) {
    return;
  }
  const Duration until = context_.gate.retry_at() - context_.scheduler.Now();
  WaitToReconnect(std::max<Duration>(until, context_.config.reconnect_delay_min));
}

void Link::EndDial(DialGate::End end) {
  if (std::exchange(dialling_, false)) {
    context_.gate.OnDialEnded(end, context_.scheduler.Now());
  }
}

void Link::OnOpen() {
  state_ = State::kHandshake;
  const bool fill = spec_.purpose == Purpose::kFill;
  handshake_.emplace(HandshakeTerms{
      .username = context_.config.username,
      .password = context_.config.password,
      .db = spec_.db,
      .protocol = spec_.protocol,
      .fallback_to_resp2 = fill,
      .track = spec_.track,
      .tracking_options = context_.tracking_options,
      .primary_only = context_.topology.changes(),
      .read_only = spec_.read_only,
      .login = context_.login,
      .identify = spec_.purpose == Purpose::kExclusive || spec_.purpose == Purpose::kTracker});
  SendHandshake();
}

void Link::SendHandshake() {
  const std::vector<std::string> command = handshake_->Command();
  const std::vector<std::string_view> views(command.begin(), command.end());
  std::string bytes;
  proto::AppendCommand(bytes, views);
  AppendRequest(handshake_out_, bytes);
  write_blocked_ = !handshake_out_.Flush(*stream_);
}

void Link::OnHandshakeReply(std::string_view frame) {
  if (const auto sick = frame.starts_with('-') ? SickReplyOf(frame) : std::nullopt) {
    NoteSick(*sick);
  }
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
      if (handshake_->login_refused()) {
        context_.observer.OnLoginRefused(*this);
      }
      if (context_.login == LoginKind::kClient || spec_.purpose == Purpose::kExclusive ||
          spec_.db != context_.config.db || spec_.protocol != proto::Protocol::kResp2) {
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
  busy_line_.clear();
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
  if (!known && !down_since_) {
    down_since_ = context_.scheduler.Now();
  }
  // Reads go to the new one, if there is one and nothing but the link stood in their way.
  CloseFor(known ? "another node is the primary now" : "the node is no longer the primary",
           known || holding() ? Repeat::kReads : Repeat::kNo);
  backoff_.Reset();
  if (state_ == State::kClosed && spec_.retry) {
    StartConnecting();
  }
}

}  // namespace nearcached
