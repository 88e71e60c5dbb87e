// Counters of everything that goes on between the sidecar and the upstream. One per worker, written
// by its links and its pool on the loop thread, read by the metrics thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "daemon/base/counter.h"
#include "daemon/base/tracking_state.h"
#include "daemon/upstream/sick_reply.h"

namespace nearcached {

// Of a circuit breaker (dial_gate.h).
enum class BreakerState : std::uint8_t { kClosed, kHalfOpen, kOpen };

struct UpstreamStats {
  Gauge& breaker(BreakerState state) { return breakers[static_cast<std::size_t>(state)]; }
  Counter connects_ok;      // links that finished their handshake
  Counter connects_failed;  // links that did not: refused, timed out, wrong password, loading
  Counter closed_by_peer;   // standing links that the upstream closed or that broke
  Counter closed_silent;    // standing links closed because PINGs stayed unanswered
  Counter closed_protocol;  // standing links closed because the bytes were not what was due
  // Links closed by us, while they stood: exclusive ones, unless it says otherwise.
  Counter closed_demoted;    // the node said that it is a replica
  Counter closed_sick;       // the server said LOADING or MASTERDOWN; also lanes and fill links
  Counter closed_switched;   // another node became the primary
  Counter closed_idle;       // nobody needed it for pool.idle_timeout; also lanes
  Counter closed_returned;   // came back with a client's state on it, or a command under way
  Counter closed_surplus;    // more were idle than pool.max_idle
  Counter closed_room;       // made room for one of another database or protocol
  Counter closed_lifetime;   // pool.max_lifetime; also lanes
  Counter closed_test;       // failed the PING of pool.test_on_borrow
  Counter closed_reconnect;  // NEARCACHE RECONNECT; also lanes and fill links
  Counter opened_demand;     // exclusive links made because a client needed one
  Counter opened_min_idle;   // exclusive links made ahead, for pool.min_idle
  Counter requests;          // requests handed to a link
  Counter replies;           // replies delivered
  Counter bytes_sent;
  Counter bytes_received;
  Counter timeouts;                        // requests answered with a timeout error
  Counter paused;                          // times a link was not read for a moment, for a client
  Counter late_replies;                    // replies that came after that, and were thrown away
  Counter refused_down;                    // requests refused at once because the upstream is away
  Counter refused_full;                    // requests refused because a link's queue is full
  Counter lost;                            // requests whose link was lost before the reply
  Counter repeated;                        // reads sent once more because their connection was lost
  Counter repeated_ok;                     // of those, the ones that were answered
  Counter repeated_failed;                 // and the ones that got an error of ours after all
  std::array<Counter, kSickReplies> sick;  // errors that say something is wrong with the server
  Counter script_loads;                    // SCRIPT LOAD sent ahead of an EVALSHA, see ScriptMemory
  Counter pings;
  Counter exclusive_exhausted;    // times a client found every exclusive link lent
  Counter exclusive_refused;      // of those, the ones that got an error, at once or after max_wait
  Counter breaker_opened;         // times the circuit breaker opened
  Counter dials_delayed;          // times a link waited because dials_max others were connecting
  std::array<Gauge, 3> breakers;  // nodes whose circuit breaker is closed, half-open, open
  Gauge links_ready;              // links whose handshake is done
  Gauge inflight;                 // requests sent and not answered
  Gauge exclusive_active;         // lent to a client
  Gauge exclusive_idle;
  Gauge exclusive_waiting;         // clients in line for one
  Gauge exclusive_oldest_wait_ns;  // how long the first of them has waited, as of the last turn
  Gauge exclusive_limit;           // pool.max_active, of each node
  Gauge tracking_state;            // 0 down, 1 TTL only, 2 armed
  Counter trackers_lost;           // tracking links lost (redirect): what they covered was dropped
  Counter redirects_broken;        // times the server said that a tracking link is gone
  Gauge trackers_ready;            // tracking links that stand and are subscribed
  Gauge up;                        // 1 while the last thing heard of the upstream was good
  Histogram exclusive_wait;  // from asking for an exclusive link to having it or being refused
  Histogram ping_rtt;        // PING to PONG on links that were otherwise idle
  Histogram latency;         // from handing a request to a link to the end of its reply
};

// The value of tracking_state.
constexpr std::int64_t GaugeOf(TrackingState state) {
  switch (state) {
    case TrackingState::kArmed:
    case TrackingState::kArmedUnordered:
      return 2;
    case TrackingState::kTtlOnly:
      return 1;
    case TrackingState::kDown:
      return 0;
  }
  return 0;
}

}  // namespace nearcached
