#include "daemon/upstream/dial_gate.h"

#include <algorithm>
#include <string>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/base/log.h"

namespace nearcached {

DialGate::DialGate(const config::UpstreamConfig& config, Rng& rng, UpstreamStats& stats)
    : config_(config),
      rng_(rng),
      stats_(stats),
      delay_(config.reconnect_delay_min, config.reconnect_delay_max) {
  stats_.breaker(state_).Add();
}

DialGate::~DialGate() {
  stats_.breaker(state_).Sub();
}

// ---- connecting ---------------------------------------------------------------------------------

DialGate::Answer DialGate::Ask(MonoTime now) {
  if (refuses(now)) {
    return Answer::kOpen;
  }
  if (dials_ >= config_.dials_max) {
    return Answer::kFull;
  }
  if (state_ != State::kClosed) {
    BeginTrial(now);
  }
  ++dials_;
  return Answer::kGo;
}

void DialGate::OnDialEnded(End end, MonoTime now) {
  NC_CHECK(dials_ > 0);
  --dials_;
  switch (end) {
    case End::kStands:
      ++standing_;
      Close();
      break;
    case End::kFailed:
      NoteDown(now);
      OnFailure(now);
      break;
    case End::kGivenUp:
      if (state_ == State::kHalfOpen) {
        retry_at_ = now;  // whoever comes next may try
        Enter(State::kOpen);
      }
      break;
  }
}

void DialGate::OnLinkGone(bool ours, MonoTime now) {
  NC_CHECK(standing_ > 0);
  --standing_;
  if (!ours) {
    NoteDown(now);
  }
}

void DialGate::OnNowhere(MonoTime now) {
  NoteDown(now);
}

void DialGate::OnOtherServer() {
  failures_ = 0;
  delay_.Reset();
  Enter(State::kClosed);
}

// ---- requests -----------------------------------------------------------------------------------

void DialGate::OnTimeout(MonoTime now) {
  if (state_ != State::kOpen) {
    OnFailure(now);
  }
}

bool DialGate::AdmitTrial(MonoTime now) {
  if (refuses(now)) {
    return false;
  }
  BeginTrial(now);
  return true;
}

// ---- the breaker --------------------------------------------------------------------------------

void DialGate::BeginTrial(MonoTime now) {
  retry_at_ = now + std::max(Duration(config_.connect_timeout), Duration(config_.command_timeout));
  Enter(State::kHalfOpen);
}

void DialGate::OnFailure(MonoTime now) {
  ++failures_;
  if (state_ == State::kHalfOpen || (state_ == State::kClosed && config_.breaker_failures != 0 &&
                                     failures_ >= config_.breaker_failures)) {
    Open(now);
  }
}

void DialGate::Open(MonoTime now) {
  if (state_ == State::kClosed) {
    stats_.breaker_opened.Add();
    Log(LogLevel::kWarn, "breaker_open", "failures=" + std::to_string(failures_));
  }
  retry_at_ = now + delay_.Next(rng_);
  Enter(State::kOpen);
}

// The upstream has answered, or a link to it stands.
void DialGate::Close() {
  if (state_ != State::kClosed) {
    Log(LogLevel::kInfo, "breaker_closed", {});
  }
  recovered_ = recovered_ || state_ != State::kClosed || (down_ && standing_ != 0);
  failures_ = 0;
  delay_.Reset();
  if (standing_ != 0) {
    down_ = false;
    EndHold();
  }
  Enter(State::kClosed);
}

void DialGate::Enter(State state) {
  stats_.breaker(state_).Sub();
  state_ = state;
  stats_.breaker(state_).Add();
}

// ---- the outage ---------------------------------------------------------------------------------

void DialGate::NoteDown(MonoTime now) {
  if (standing_ == 0) {
    down_ = true;
    BeginHold(now);
  }
}

void DialGate::SetMaintenance(bool on, MonoTime now) {
  maintenance_ = on;
  if (on) {
    BeginHold(now);
  } else {
    EndHold();
  }
}

// An outage that goes on as maintenance, or the other way round, is one: nobody is held twice.
void DialGate::BeginHold(MonoTime now) {
  if (!hold_since_) {
    hold_since_ = now;
  }
}

void DialGate::EndHold() {
  if (!down_ && !maintenance_) {
    hold_since_.reset();
  }
}

bool DialGate::TakeRecovered() {
  return std::exchange(recovered_, false);
}

}  // namespace nearcached
