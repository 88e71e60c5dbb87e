#include "daemon/policy/adaptive_stop.h"

#include <algorithm>

namespace nearcached {

void AdaptiveStop::Configure(std::string_view scope, std::uint32_t after, std::size_t rules) {
  on_ = scope != "off";
  defaults_too_ = scope == "all";
  after_ = after;
  states_.assign(rules + 1, {});
  stats_.stopped.Set(0);
}

void AdaptiveStop::NoteHits(std::int32_t rule, std::uint32_t hits) {
  if (on_) {
    states_[IndexOf(rule)].hits += hits;
  }
}

void AdaptiveStop::NoteDiedUnread(std::int32_t rule) {
  if (on_) {
    ++states_[IndexOf(rule)].unread;
  }
}

void AdaptiveStop::Judge(MonoTime now) {
  if (!on_) {
    return;
  }
  for (std::size_t i = defaults_too_ ? 0 : 1; i < states_.size(); ++i) {
    JudgeOne(static_cast<std::int32_t>(i) - 1, states_[i], now);
  }
}

void AdaptiveStop::JudgeOne(std::int32_t rule, State& state, MonoTime now) {
  if (state.until > now) {
    return;
  }
  if (state.resting) {  // the trial begins; what died of old entries meanwhile does not count
    state.resting = false;
    state.hits = state.unread = 0;
    stats_.stopped.Sub();
    return;
  }
  const bool trial = state.length > Duration::zero();
  const double share = trial ? kResumeAbove : kStopBelow;
  const auto hits = static_cast<double>(state.hits);
  // Enough even if everything else were to die unread: a trial need not wait for that.
  const bool early =
      trial && hits >= share * static_cast<double>(std::max<std::uint64_t>(after_, state.unread));
  if (state.unread < after_ && !early) {
    return;
  }
  if (hits < share * static_cast<double>(state.unread)) {
    Stop(rule, state, now);
    return;
  }
  state.hits = state.unread = 0;
  if (trial) {
    state.length = Duration::zero();
    stats_.resumptions.Add();
    on_change_(rule, false);
  }
}

void AdaptiveStop::Stop(std::int32_t rule, State& state, MonoTime now) {
  state.length =
      state.length == Duration::zero() ? kShortest : std::min(state.length * 2, kLongest);
  // Many sidecars of one application learn the same at the same time; they do not try at the same.
  const double stretch = 0.75 + 0.5 * rng_.Unit();
  state.until =
      now +
      Duration(static_cast<std::int64_t>(static_cast<double>(state.length.count()) * stretch));
  state.resting = true;
  stats_.stops.Add();
  stats_.stopped.Add();
  on_change_(rule, true);
}

}  // namespace nearcached
