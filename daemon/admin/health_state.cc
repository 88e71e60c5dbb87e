#include "daemon/admin/health_state.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace nearcached {
namespace {

std::string_view TrackingName(TrackingState state) {
  switch (state) {
    case TrackingState::kArmed:
    case TrackingState::kArmedUnordered:
      return "armed";
    case TrackingState::kTtlOnly:
      return "ttl_only";
    case TrackingState::kDown:
      break;
  }
  return "down";
}

}  // namespace

HealthAnswer AnswerStartup(const HealthState& state) {
  const bool is_listening = state.is_listening.load(std::memory_order_acquire);
  return {is_listening, is_listening ? "started\n" : "starting\n"};
}

HealthAnswer AnswerLiveness(const HealthState& state, MonoTime now, Duration silence_max) {
  for (std::size_t worker = 0; worker < state.heartbeats_ns.size(); ++worker) {
    const MonoTime beat{Duration(state.heartbeats_ns[worker]->value())};
    if (now - beat >= silence_max) {
      return {false, "worker " + std::to_string(worker) + " has not finished a turn for " +
                         std::to_string(ToMillis(now - beat)) + " ms\n"};
    }
  }
  return {true, "alive\n"};
}

HealthAnswer AnswerReadiness(const HealthState& state) {
  const bool is_listening = state.is_listening.load(std::memory_order_acquire);
  const bool is_draining = state.is_draining.load(std::memory_order_acquire);
  std::string body = is_draining ? "draining\n" : is_listening ? "ready\n" : "starting\n";
  body +=
      state.is_upstream_up.load(std::memory_order_relaxed) ? "upstream up\n" : "upstream down\n";
  body += "tracking ";
  body += TrackingName(state.tracking.load(std::memory_order_relaxed));
  body += '\n';
  return {is_listening && !is_draining, std::move(body)};
}

}  // namespace nearcached
