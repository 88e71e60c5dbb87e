// Where the upstream is, and that this may change: something the pool asks each time it dials, is
// told by when the primary is another one, and tells of every doubt.
//
// Loop thread only. Owned by the worker, which outlives neither.
#pragma once

#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

#include "config/config.h"
#include "daemon/base/byte_stream.h"
#include "daemon/base/rng.h"
#include "daemon/base/scheduler.h"
#include "daemon/base/time.h"
#include "daemon/upstream/control_link.h"
#include "daemon/upstream/topology_stats.h"

namespace nearcached {

// However many links have doubts at once, one round of questions in this time settles them.
inline constexpr Duration kDoubtGap = std::chrono::milliseconds(20);

class TopologyObserver {
 public:
  // Another node is the primary now, or, if has_primary() is false, none is known to be. Links to
  // the one before must not be used any more. Never called from inside Suspect or Start.
  virtual void OnPrimaryChanged() = 0;

 protected:
  ~TopologyObserver() = default;
};

class Topology {
 public:
  virtual ~Topology() = default;

  // The node that is believed to be primary. Without one: where it was last, for messages.
  [[nodiscard]] virtual Endpoint Primary() const = 0;
  // False: there is nowhere to dial until OnPrimaryChanged.
  [[nodiscard]] virtual bool has_primary() const { return true; }
  // Whether the primary can be another one tomorrow: then a link asks for ROLE before it is used,
  // and a node that says it is none (READONLY) is left.
  [[nodiscard]] virtual bool changes() const { return false; }

  // Begins to watch. `observer` outlives the watch.
  virtual void Start(TopologyObserver& /*observer*/) {}
  // Hangs up; nothing is left on the scheduler.
  virtual void Stop() {}

  // Something makes it doubtful that the primary still is one (a link lost, a timeout, READONLY):
  // it is verified at once. May be called from anywhere, and as often as one likes.
  virtual void Suspect(std::string_view /*why*/) {}
};

// One primary at one address, whatever happens.
class SingleTopology final : public Topology {
 public:
  explicit SingleTopology(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}
  [[nodiscard]] Endpoint Primary() const override { return endpoint_; }

 private:
  Endpoint endpoint_;
};

// All of it outlives the topology.
struct TopologyContext {
  Scheduler& scheduler;
  Dialer& dialer;
  const config::UpstreamConfig& config;
  TopologyStats& stats;
};

// A node of `config` as something to dial.
[[nodiscard]] Endpoint EndpointOf(const config::HostPort& node,
                                  const config::UpstreamConfig& config);
// The same for a sentinel, whose TLS may be another.
[[nodiscard]] Endpoint SentinelEndpointOf(const config::HostPort& sentinel,
                                          const config::UpstreamConfig& config);

// The topology that `config` names.
[[nodiscard]] std::unique_ptr<Topology> MakeTopology(const TopologyContext& context);

}  // namespace nearcached
