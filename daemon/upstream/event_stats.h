// Counters of the subscription to invalidation channels. One per worker, written on the loop
// thread, read by the metrics thread.
#pragma once

#include "daemon/base/counter.h"
#include "daemon/upstream/control_link.h"

namespace nearcached {

struct EventStats {
  ControlStats control;       // SUBSCRIBE and PING, one question each
  Counter messages_applied;   // messages that named what to drop
  Counter messages_own;       // not acted on: their origin is invalidation.origin
  Counter messages_bad;       // not acted on: they cannot be read
  Counter keys;               // keys named
  Counter prefixes;           // prefixes named
  Counter prefixes_too_wide;  // prefixes for which everything was dropped instead
  Counter subscribed;         // times all channels were subscribed to, each of which drops L1
  Counter lost;               // times that ended, or could not be had
  Gauge channels;             // that are configured
  Gauge channels_subscribed;  // all of them or 0
};

}  // namespace nearcached
