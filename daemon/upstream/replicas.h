// Replicas that may be read from, of whatever topology: what a worker does with them.
// Implemented by ReplicaSet (one primary) and ClusterReplicas (many). Loop thread only.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/time.h"
#include "daemon/fetch/read_routes.h"

namespace nearcached {

class Replicas : public ReadRoutes {
 public:
  virtual ~Replicas() = default;

  // Begins to look for replicas. REQUIRES: the topology, or the cluster, was started.
  virtual void Start() = 0;
  // Another node is the primary, or none is.
  virtual void OnPrimaryChanged() = 0;
  // Writes what was queued in this turn. Once a turn, before the primary's.
  virtual void Flush() = 0;
  // As Pool's.
  virtual void Reconnect() = 0;
  // Closes everything. What was under way is asked of the primary.
  virtual void Stop() = 0;

  // For people: what is known of each replica.
  struct Report {
    std::string node;
    std::string primary;        // whose copy it is
    std::string why_not;        // why it cannot be read from; empty: it can
    Duration older_than_now{};  // its data, at the most; zero: not known
    Duration round_trip{};      // zero: not known
    std::size_t links = 0;      // that stand
    bool nearest = false;
  };
  [[nodiscard]] virtual std::vector<Report> Reports() const = 0;
  // As that of a Report, of the primary; zero where there are several.
  [[nodiscard]] virtual Duration primary_round_trip() const = 0;
};

}  // namespace nearcached
