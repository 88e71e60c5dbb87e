// What the health endpoints look at, and what they answer.
//
// HealthState is owned by app, written by its loop threads and read by the HTTP threads.
//
// The answers follow what a sidecar needs (survey.md 5.2): liveness never depends on the upstream,
// or an outage of Redis would restart every application next to it; and readiness means "we take
// connections", not "the upstream is up", or the same outage would take them all out of service.
// The state of the upstream is in the body, for people.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "daemon/base/counter.h"
#include "daemon/base/time.h"
#include "daemon/base/tracking_state.h"

namespace nearcached {

struct HealthState {
  std::atomic<bool> is_listening{false};  // every listener is open; stays true while draining
  std::atomic<bool> is_draining{false};
  std::atomic<bool> is_upstream_up{false};
  std::atomic<TrackingState> tracking{TrackingState::kDown};

  // When each worker's loop last finished a turn, nanoseconds of the steady clock
  // (LoopStats::heartbeat_ns). Set before the HTTP threads start; what it points to outlives them.
  std::vector<const Gauge*> heartbeats_ns;
};

struct HealthAnswer {
  bool is_ok = false;  // 200, otherwise 503
  std::string body;    // lines of text for people
};

// OK once all listeners are open, and from then on.
[[nodiscard]] HealthAnswer AnswerStartup(const HealthState& state);

// OK while every loop has finished a turn less than `silence_max` before `now`.
[[nodiscard]] HealthAnswer AnswerLiveness(const HealthState& state, MonoTime now,
                                          Duration silence_max);

// OK while connections are taken: listening and not draining.
[[nodiscard]] HealthAnswer AnswerReadiness(const HealthState& state);

}  // namespace nearcached
