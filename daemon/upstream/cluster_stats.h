// Counters of what only a cluster has. One per worker, written on the loop thread, read by the
// metrics thread.
#pragma once

#include "daemon/base/counter.h"
#include "daemon/upstream/control_link.h"

namespace nearcached {

struct ClusterStats {
  Counter moved;             // requests answered MOVED and sent again
  Counter asked;             // requests answered ASK and sent again
  Counter tried_again;       // requests answered TRYAGAIN and sent again
  Counter down;              // requests answered CLUSTERDOWN
  Counter gave_up;           // requests that were redirected too often, or too late
  Counter held;              // requests that waited for their slot to be ready, or for a map
  Counter split;             // requests taken apart for several slots
  Counter fanned_out;        // requests sent to every primary
  Counter cross_slot;        // requests refused because their keys are in several slots
  Counter slots_moved;       // slots whose owner changed
  Counter refreshes;         // slot maps taken in
  Counter refreshes_failed;  // nobody of those asked gave one
  Gauge nodes;               // nodes that connections are kept to
  Gauge slots_covered;       // slots that somebody owns
  Gauge requests_held;       // waiting now
  ControlStats control;      // questions for the map
};

}  // namespace nearcached
