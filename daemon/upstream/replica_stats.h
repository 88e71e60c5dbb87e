// Counters of reads from replicas. One per worker, written on the loop thread, read by the metrics
// thread.
#pragma once

#include "daemon/base/counter.h"
#include "daemon/upstream/control_link.h"
#include "daemon/upstream/upstream_stats.h"

namespace nearcached {

struct ReplicaStats {
  UpstreamStats links;   // the links to all of them, apart from those to the primary
  ControlStats control;  // questions about replication
  Counter reads;         // sent to a replica
  Counter recent_write;  // to the primary: no replica is known to have the key's last write
  Counter nearer;        // to the primary: nearest, and it is
  Counter none;          // to the primary: no replica can be read
  Counter unfit;    // to the primary: in a cluster, not of a kind that replicas can be trusted with
  Counter refused;  // to nobody: replica, and none can be read
  Counter again;    // sent to a replica, and answered by the primary after all
  Counter left;     // times a replica that could be read could not any more
  Gauge known;      // replicas that are watched
  Gauge readable;   // those that can be read
  Gauge missing;    // primaries of which no replica can be read, though read_from wants to
  std::uint64_t lanes_made = 0;  // not for the metrics: numbers them
};

}  // namespace nearcached
