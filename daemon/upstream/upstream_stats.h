// Counters of everything that goes on between the sidecar and the upstream. One per worker, written
// by its links and its pool on the loop thread, read by the metrics thread.
#pragma once

#include "daemon/base/counter.h"

namespace nearcached {

struct UpstreamStats {
  Counter connects_ok;      // links that finished their handshake
  Counter connects_failed;  // links that did not: refused, timed out, wrong password, loading
  Counter closed_by_peer;   // standing links that the upstream closed or that broke
  Counter closed_silent;    // standing links closed because PINGs stayed unanswered
  Counter closed_protocol;  // standing links closed because the bytes were not what was due
  Counter closed_idle;      // closed by us after idle_timeout
  Counter closed_returned;  // exclusive links that could not be used again
  Counter requests;         // requests handed to a link
  Counter replies;          // replies delivered
  Counter bytes_sent;
  Counter bytes_received;
  Counter timeouts;      // requests answered with a timeout error
  Counter late_replies;  // replies that came after that, and were thrown away
  Counter refused_down;  // requests refused at once because the upstream is away
  Counter refused_full;  // requests refused because a link's queue is full
  Counter lost;          // requests whose link was lost before the reply
  Counter pings;
  Counter exclusive_exhausted;  // no exclusive link left to lend
  Gauge links_ready;            // links whose handshake is done
  Gauge inflight;               // requests sent and not answered
  Gauge exclusive_active;       // lent to a client
  Gauge exclusive_idle;
  Gauge tracking_state;  // 0 down, 1 TTL only, 2 armed
  Gauge up;              // 1 while the last thing heard of the upstream was good
  Histogram ping_rtt;    // PING to PONG on links that were otherwise idle
  Histogram latency;     // from handing a request to a link to the end of its reply
};

}  // namespace nearcached
