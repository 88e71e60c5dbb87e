// Rules whose entries die before they are read stop being cached for a while.
//
// An entry costs a read with its TTL, a place in the server's tracking table and, when the key
// changes, a message; it pays when it is read. Keys that are written as often as they are read, or
// whose expiry slides, or that are read once, never pay. What is not cached is not asked for on a
// fill link, so the server does not track it either.
//
// Each rule (and the defaults of l1) is judged by itself, by what its entries brought: hits, and
// reads that joined another's, against entries that died unread. Below one for kStopBelow of them
// it is stopped; then, after a time with jitter, it is tried, and goes on if it brings
// kResumeAbove: more than it was stopped for, so that it does not swing. Stopped again, it stays so
// for twice as long.
//
// No clock and no I/O; owned by the worker, loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "daemon/base/counter.h"
#include "daemon/base/rng.h"
#include "daemon/base/time.h"

namespace nearcached {

struct AdaptiveStats {
  Counter stops;
  Counter resumptions;
  Gauge stopped;  // rules that are stopped now
};

class AdaptiveStop {
 public:
  static constexpr double kStopBelow = 0.1;    // hits for each entry that died unread
  static constexpr double kResumeAbove = 0.3;  // the same, in a trial
  static constexpr Duration kShortest = std::chrono::seconds(30);
  static constexpr Duration kLongest = std::chrono::minutes(10);
  // Hits are many: one in this many is looked at, and counts for all of them.
  static constexpr std::uint32_t kSampleEvery = 64;

  // `stopped`, or on again.
  using OnChange = std::function<void(std::int32_t rule, bool stopped)>;
  AdaptiveStop(Rng& rng, OnChange on_change) : rng_(rng), on_change_(std::move(on_change)) {}

  // `scope` as l1.adaptive_stop has it: "off", "rules" or "all". A rule is judged each time `after`
  // of its entries have died unread. Everything that was learned is forgotten.
  void Configure(std::string_view scope, std::uint32_t after, std::size_t rules);

  // Rules are called by KeyPolicy::rule: -1 is the defaults of l1.
  [[nodiscard]] bool Stopped(std::int32_t rule, MonoTime now) const {
    return on_ && StateOf(rule).until > now;
  }
  // How much longer; zero: it is not.
  [[nodiscard]] Duration StoppedFor(std::int32_t rule, MonoTime now) const {
    return Stopped(rule, now) ? StateOf(rule).until - now : Duration::zero();
  }

  // Whether this hit is one of those that are looked at; if so it counts for kSampleEvery.
  [[nodiscard]] bool Samples() { return on_ && ++hits_seen_ % kSampleEvery == 0; }
  void NoteHits(std::int32_t rule, std::uint32_t hits);
  void NoteDiedUnread(std::int32_t rule);
  [[nodiscard]] bool on() const { return on_; }

  // Decides. Every so often, ten times a second say.
  void Judge(MonoTime now);

  [[nodiscard]] const AdaptiveStats& stats() const { return stats_; }

 private:
  struct State {
    std::uint64_t hits = 0;    // since it was judged last
    std::uint64_t unread = 0;  // the same
    MonoTime until{};          // the end of the latest stop
    Duration length{};         // how long that was, without jitter; zero: never stopped, or well
    bool resting = false;      // stopped, as far as Judge knows
  };
  [[nodiscard]] const State& StateOf(std::int32_t rule) const { return states_[IndexOf(rule)]; }
  static std::size_t IndexOf(std::int32_t rule) {
    return static_cast<std::size_t>(rule) + 1;  // -1 wraps around to 0, as it should
  }
  void JudgeOne(std::int32_t rule, State& state, MonoTime now);
  void Stop(std::int32_t rule, State& state, MonoTime now);

  Rng& rng_;
  const OnChange on_change_;
  bool on_ = false;
  bool defaults_too_ = false;
  std::uint32_t after_ = 0;
  std::uint32_t hits_seen_ = 0;
  std::vector<State> states_;  // [0] the defaults of l1, [i + 1] rule i
  AdaptiveStats stats_;
};

}  // namespace nearcached
