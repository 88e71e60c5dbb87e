// Counters of whoever watches where the primary is. One per worker, written on the loop thread,
// read by the metrics thread.
#pragma once

#include "daemon/base/counter.h"
#include "daemon/upstream/control_link.h"

namespace nearcached {

struct TopologyStats {
  ControlStats control;       // questions asked over control links
  Counter switches;           // the primary became another node
  Counter losses;             // the primary was found to be none, and no other was known
  Counter suspicions;         // doubts raised by links
  Counter split_brain;        // rounds in which several nodes said they are primary
  Counter refuted;            // times a node that sentinels call the primary denied it
  Gauge primary_known;        // 1 while a node is believed to be primary
  Gauge nodes;                // nodes that may be primary and are watched
  Gauge sentinels_answering;  // sentinels whose last answer was one
};

}  // namespace nearcached
