#include "daemon/admin/health_state.h"

#include <chrono>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using std::chrono::seconds;

MonoTime At(std::int64_t s) {
  return MonoTime(seconds(s));
}
std::int64_t Ns(std::int64_t s) {
  return Duration(seconds(s)).count();
}

TEST_CASE("startup turns OK with the listeners and stays so while draining") {
  HealthState state;
  CHECK_FALSE(AnswerStartup(state).is_ok);
  state.is_listening = true;
  CHECK(AnswerStartup(state).is_ok);
  state.is_draining = true;
  CHECK(AnswerStartup(state).is_ok);
}

TEST_CASE("liveness fails when any one loop is silent, whatever the upstream does") {
  HealthState state;
  Gauge first;
  Gauge second;
  state.heartbeats_ns = {&first, &second};
  first.Set(Ns(100));
  second.Set(Ns(100));
  CHECK(AnswerLiveness(state, At(109), seconds(10)).is_ok);
  first.Set(Ns(115));
  const HealthAnswer stuck = AnswerLiveness(state, At(116), seconds(10));
  CHECK_FALSE(stuck.is_ok);
  CHECK(stuck.body == "worker 1 has not finished a turn for 16000 ms\n");
  second.Set(Ns(116));
  CHECK(AnswerLiveness(state, At(116), seconds(10)).is_ok);
}

TEST_CASE("readiness means taking connections; the upstream's state is only told") {
  HealthState state;
  CHECK_FALSE(AnswerReadiness(state).is_ok);
  CHECK(AnswerReadiness(state).body == "starting\nupstream down\ntracking down\n");
  state.is_listening = true;
  CHECK(AnswerReadiness(state).is_ok);
  state.is_upstream_up = true;
  state.tracking = TrackingState::kArmed;
  CHECK(AnswerReadiness(state).body == "ready\nupstream up\ntracking armed\n");
  state.tracking = TrackingState::kTtlOnly;
  state.is_draining = true;
  CHECK_FALSE(AnswerReadiness(state).is_ok);
  CHECK(AnswerReadiness(state).body == "draining\nupstream up\ntracking ttl_only\n");
}

}  // namespace
}  // namespace nearcached
