// What the links of one upstream know together of whether it can be reached, and what follows for
// each: whether a link may connect now, whether a request may be sent, whether requests had better
// wait.
//
// The circuit breaker. Closed: links connect as they like, `upstream.dials_max` at once, and
// requests are sent. After `upstream.breaker_failures` failures in a row (connections that could
// not be made, requests that timed out while nothing at all was answered) it is open: requests are
// refused at once and nobody connects, so that a server in trouble is not kept there by a fleet of
// sidecars. After a delay with jitter, which doubles each time, it is half-open: one link may try
// to connect, or one request is sent on a link that still stands. If that succeeds the breaker is
// closed, if not it is open again. Any byte from the server closes it too. A trial of which nothing
// is heard any more does not stand in the way of the next.
//
// The outage. From the moment when no link stands any more, requests may be held for
// `upstream.max_hold` in the hope that it is a restart or a failover.
//
// Maintenance. While an operator wants no requests sent, they are held and refused as in an outage;
// links that stand are kept, and lost ones made anew, so that what L1 holds stays coherent.
// Who finds out is maintenance_watch.h.
//
// The pattern: Nygard, "Release It!", 2007, "Circuit Breaker". Owned by the pool; loop thread only.
// Knows no clock: callers give `now`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "config/config.h"
#include "daemon/base/rng.h"
#include "daemon/base/time.h"
#include "daemon/upstream/backoff.h"
#include "daemon/upstream/upstream_stats.h"

namespace nearcached {

class DialGate {
 public:
  using State = BreakerState;
  enum class Answer : std::uint8_t {
    kGo,    // OnDialEnded must follow, once
    kFull,  // as many as may connect do: ask again soon
    kOpen,  // not before retry_at()
  };
  enum class End : std::uint8_t {
    kStands,  // OnLinkGone must follow, once
    kFailed,
    kGivenUp,  // not wanted any more, or refused for what it asked: says nothing of the server
  };

  // All borrowed, and outlive the gate. `config` may change between turns (reload).
  DialGate(const config::UpstreamConfig& config, Rng& rng, UpstreamStats& stats);
  ~DialGate();
  DialGate(const DialGate&) = delete;
  DialGate& operator=(const DialGate&) = delete;

  // A link wants to connect.
  Answer Ask(MonoTime now);
  // How it ended for one that was told kGo.
  void OnDialEnded(End end, MonoTime now);
  // A link that stood does not any more. `ours`: because we closed it.
  void OnLinkGone(bool ours, MonoTime now);
  // There is nowhere to connect to: no node is known to be the primary.
  void OnNowhere(MonoTime now);
  // Another server is the upstream now: what is known of the one before counts no more.
  void OnOtherServer();

  // A request was not answered in time; or something came, whatever it was.
  void OnTimeout(MonoTime now);
  void OnBytes() {
    if (failures_ != 0) {
      Close();
    }
  }

  // Whether a request may be sent on a link that stands. It may be the trial that decides.
  bool Admit(MonoTime now) { return state_ == State::kClosed || AdmitTrial(now); }
  // Requests that need a link which does not stand have no chance: nobody may connect.
  [[nodiscard]] bool refuses(MonoTime now) const {
    return state_ != State::kClosed && now < retry_at_;
  }
  // No link stands, or the upstream is in maintenance, or one after the other, for less than
  // upstream.max_hold: what needs it should wait.
  [[nodiscard]] bool holding(MonoTime now) const {
    return hold_since_.has_value() && now - *hold_since_ < Duration(config_.max_hold);
  }
  // Nothing can be had from the upstream: no link stands, or the breaker is open, or it is in
  // maintenance.
  [[nodiscard]] bool away() const { return hold_since_.has_value() || state_ != State::kClosed; }
  // Nothing more should be sent, whatever stands. (Who has begun something may end it.)
  void SetMaintenance(bool on, MonoTime now);
  [[nodiscard]] bool maintenance() const { return maintenance_; }
  // True once after each time when the upstream was away, or the breaker open, and is not any more:
  // links that wait to try again need not.
  bool TakeRecovered();

  [[nodiscard]] State state() const { return state_; }
  // Open: when the next trial may begin. Half-open: when another one may.
  [[nodiscard]] MonoTime retry_at() const { return retry_at_; }

 private:
  bool AdmitTrial(MonoTime now);
  void BeginTrial(MonoTime now);
  void OnFailure(MonoTime now);
  void NoteDown(MonoTime now);
  void BeginHold(MonoTime now);
  void EndHold();
  void Open(MonoTime now);
  void Close();
  void Enter(State state);

  const config::UpstreamConfig& config_;
  Rng& rng_;
  UpstreamStats& stats_;
  Backoff delay_;
  State state_ = State::kClosed;
  MonoTime retry_at_{};
  std::uint32_t failures_ = 0;  // in a row
  std::size_t dials_ = 0;       // under way
  std::size_t standing_ = 0;
  bool down_ = false;
  bool maintenance_ = false;
  std::optional<MonoTime> hold_since_;  // since when one or the other
  bool recovered_ = false;
};

}  // namespace nearcached
