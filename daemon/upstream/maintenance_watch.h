// Watches for `upstream.maintenance_key`: while that key exists on the primary, the primary counts
// as away, so that an operator takes the load off a server without stopping it: SET the key, wait
// until what is under way is done, work, DEL the key (or let it expire). The same contract as that
// of Envoy's Redis health checker, `EXISTS <key>`.
//
// Asked over a control link of its own every `upstream.health_interval`, and at once when the
// primary is another node. Only an answer changes anything: a server of which nothing is heard, or
// that is loading after a restart, is the business of the links' own probes; and a question that is
// refused (no permission) is said loudly, and leaves the server in service.
//
// Knows a primary and nothing of clusters, where a key lives on one node only. Owned by the worker;
// loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "config/config.h"
#include "daemon/base/counter.h"
#include "daemon/base/scheduler.h"
#include "daemon/upstream/control_link.h"
#include "daemon/upstream/topology.h"

namespace nearcached {

struct MaintenanceStats {
  ControlStats control;  // questions after the key
  Gauge active;          // 1 while the key exists
  Counter entered;
};

class MaintenanceWatch {
 public:
  // Borrowed things outlive the watch. `config` may change between turns (reload).
  struct Deps {
    Scheduler& scheduler;
    Dialer& dialer;
    Topology& topology;
    const config::UpstreamConfig& config;
  };
  // `on_change` is called from the loop when maintenance begins (true) and when it is over.
  MaintenanceWatch(const Deps& deps, std::function<void(bool)> on_change)
      : deps_(deps), on_change_(std::move(on_change)) {}

  void Start() { OnTick(); }
  // Hangs up; nothing is left on the scheduler.
  void Stop();
  // Another node is the primary, or none is known to be: what was found out is of no use.
  void OnPrimaryChanged();

  [[nodiscard]] const MaintenanceStats& stats() const { return stats_; }

 private:
  void OnTick();
  void Ask();
  void OnAnswer(const Result<UpstreamReply>& answer);
  void OnRefusal(const UpstreamReply& reply);
  void Enter();
  void Leave();

  const Deps deps_;
  const std::function<void(bool)> on_change_;
  bool active_ = false;
  MaintenanceStats stats_;
  std::unique_ptr<ControlLink> link_;              // null: nothing to ask, or nobody
  std::optional<UpstreamReply> refused_database_;  // what SELECT said to the open question
  std::string refused_;                            // the refusal that was logged last
  std::unique_ptr<Timer> tick_;
};

}  // namespace nearcached
