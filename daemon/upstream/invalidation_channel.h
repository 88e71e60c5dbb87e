// The subscription to the channels of `invalidation.channels`: what is published there drops
// entries of L1 (INVALIDATION.md).
//
// It keeps one control link of its own to a node of the upstream, because a subscription must not
// wait behind anybody's slow command, and looks after it every Tick. Messages reach L1 through
// Coherence only, like the server's own pushes.
//
// Owned by the worker; loop thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "daemon/base/byte_stream.h"
#include "daemon/base/rng.h"
#include "daemon/base/scheduler.h"
#include "daemon/cache/l1.h"
#include "daemon/fetch/coherence.h"
#include "daemon/upstream/backoff.h"
#include "daemon/upstream/control_link.h"
#include "daemon/upstream/event_stats.h"
#include "proto/invalidation_notice.h"

namespace nearcached {

class InvalidationChannel {
 public:
  // A prefix is looked for among so many entries at most, in one tick for all prefixes together:
  // about 25 ms. Where there are more, everything is dropped, which takes no time.
  static constexpr std::uint64_t kWalkMax = 250'000;

  struct Deps {
    Scheduler& scheduler;
    Dialer& dialer;
    const config::Config& config;  // may change between ticks (Reload)
    Rng& rng;
    Coherence& coherence;
    const L1& l1;
    EventStats& stats;
  };
  // The nodes at each of which a subscription hears everything: the primary, or every primary of a
  // cluster. Asked at every tick; a subscription at another node is given up.
  using Nodes = std::function<std::vector<Endpoint>()>;

  InvalidationChannel(const Deps& deps, Nodes nodes);
  ~InvalidationChannel();
  InvalidationChannel(const InvalidationChannel&) = delete;
  InvalidationChannel& operator=(const InvalidationChannel&) = delete;

  // Subscribes, verifies, tries again; called every so often, ten times a second say. Without
  // channels it does nothing.
  void Tick();
  // The settings have changed: the subscription starts afresh.
  void Restart();
  // Hangs up; nothing is left on the scheduler.
  void Stop();

 private:
  void LookAfter();
  void Subscribe();
  void OnSubscribed(const Result<UpstreamReply>& reply);
  void OnPong(const Result<UpstreamReply>& reply);
  void OnMessage(std::string_view channel, std::string_view payload);
  void Apply(const proto::InvalidationNotice& notice);
  void ApplyPrefix(std::string_view prefix);
  void LogBad(std::string_view channel, std::string_view why);
  void Lose();

  const Deps deps_;
  const Nodes nodes_;
  Backoff backoff_;
  std::unique_ptr<ControlLink> link_;
  std::size_t attempt_ = 0;
  std::size_t awaited_ = 0;  // channels whose confirmation has not come
  std::string trouble_;      // why the link is of no use; empty: it is
  std::string told_;         // the trouble that was logged last
  MonoTime dial_at_{};
  MonoTime ping_at_{};
  MonoTime log_bad_at_{};
  std::uint64_t walked_ = 0;  // entries looked at for prefixes since the last tick
};

}  // namespace nearcached
