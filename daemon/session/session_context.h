// What all the sessions of one worker share, and their counters.
//
// Owned by the worker, which outlives its sessions. Loop thread only; counters may be read
// anywhere.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "config/config.h"
#include "daemon/base/counter.h"
#include "daemon/base/hash.h"
#include "daemon/base/rng.h"
#include "daemon/base/scheduler.h"
#include "daemon/cache/l1.h"
#include "daemon/command/command_table.h"
#include "daemon/fetch/coherence.h"
#include "daemon/fetch/fill_channel.h"
#include "daemon/fetch/hit_check.h"
#include "daemon/fetch/hit_touch.h"
#include "daemon/fetch/read_routes.h"
#include "daemon/fetch/recent_writes.h"
#include "daemon/fetch/script_memory.h"
#include "daemon/fetch/upstream.h"
#include "daemon/policy/adaptive_stop.h"
#include "daemon/policy/cache_policy.h"
#include "daemon/session/reply_size.h"
#include "daemon/session/request_batch.h"
#include "proto/protocol.h"

namespace nearcached {

struct SessionStats {
  Counter accepted;
  Counter rejected_full;  // limits.clients_max reached
  Counter rejected_draining;
  Counter closed_by_client;  // includes QUIT
  Counter closed_protocol;   // the bytes were no requests
  Counter closed_output;     // did not read its replies: limits.output_bytes_max
  Counter closed_idle;       // limits.client_idle_timeout
  Counter closed_killed;     // CLIENT KILL by another client
  Counter closed_request;    // half a request, then silence: limits.request_timeout
  Counter closed_upstream;   // lost its exclusive link, or a reply broke off in the middle
  Counter closed_admin;      // NEARCACHE KILL
  Counter closed_revoked;    // the upstream no longer takes the user it has logged in as
  Counter closed_drain;
  Counter requests;
  Counter bytes_received;
  Counter bytes_sent;
  Counter auth_failures;
  Counter denied;              // commands.deny, listeners[].read_only
  Counter parked;              // requests that had to wait for the client's own earlier ones
  Counter held;                // requests that waited for an upstream that had just gone away
  Counter streamed;            // requests handed on as they came: limits.stream_above
  Counter paced;               // requests that waited for large replies on their way
  Counter delayed;             // requests that waited for another client, or for room on a link
  Counter crowded;             // requests that waited because their client had many on a busy link
  Counter reading_paused;      // times a client was not read because it was ahead of itself
  Counter local_errors;        // error replies said in our own name
  Counter hits;                // reads answered from L1, and keys of MGET
  Counter stale_served;        // of an outage: values served though the upstream is away
  Counter misses;              // those that had to be asked for
  Counter bypass_policy;       // cacheable command, key not cached by rule or lock-like
  Counter bypass_own_write;    // read behind the client's own unanswered request of that key
  Counter bypass_identity;     // read by a client that has logged in to the upstream itself
  Counter bypass_transaction;  // read inside MULTI or WATCH
  Counter bypass_not_armed;    // nothing is filled at the moment
  Counter bypass_disabled;     // NEARCACHE DISABLE
  Counter bypass_stopped;      // caching of the key's rule has stopped for a while
  Counter bypass_variants;     // as many reads of the key under way as it may have entries
  Gauge active;
  Gauge resp3;              // active clients that speak RESP3
  Gauge pinned;             // active clients that hold an exclusive link
  Histogram upstream_wait;  // request decoded to reply released, for those the upstream answered
  std::vector<Counter> commands;        // by command id
  std::vector<Counter> command_errors;  // error replies, by command id
  std::vector<Counter> variant_hits;    // of `hits`, those of other reads than GET, by command id
  std::vector<Counter> variant_misses;  // of `misses`
  SessionStats()
      : commands(CommandTable::IdCount()),
        command_errors(CommandTable::IdCount()),
        variant_hits(CommandTable::IdCount()),
        variant_misses(CommandTable::IdCount()) {}
};

// One address clients connect to.
struct ListenerContext {
  config::ListenerConfig config;
  bool admin = false;       // NEARCACHE is answered here
  bool admin_only = false;  // and nothing else is: admin.address
};

// The NEARCACHE command. Implemented by admin.
class AdminHandler {
 public:
  enum class Verdict : std::uint8_t {
    kAnswered,
    kLater,  // nothing was appended: ask again when what is under way has ended (PAUSE)
  };
  struct Request {
    std::span<const std::string_view> args;  // args[0] is NEARCACHE
    proto::Protocol protocol = proto::Protocol::kResp2;
    DbIndex db = 0;
    bool again = false;  // the answer before was kLater
  };
  // Appends exactly one reply, unless it is to be asked again.
  virtual Verdict Handle(const Request& request, std::string& out) = 0;

 protected:
  ~AdminHandler() = default;
};

struct SessionContext {
  Scheduler& scheduler;
  const CommandTable& commands;
  const KeyHasher& hasher;
  Rng& rng;
  L1& l1;
  Coherence& coherence;
  Upstream& upstream;
  FillChannel& fills;
  ScriptMemory& scripts;
  AdaptiveStop& adaptive;
  HitCheck& hit_check;
  HitTouch& hit_touch;
  SessionStats& stats;
  Logins* logins = nullptr;       // null: clients do not log in to the upstream
  AdminHandler* admin = nullptr;  // set before the first client
  // Both, or neither: replicas are not read from.
  ReadRoutes* routes = nullptr;
  RecentWrites* recent_writes = nullptr;

  // Replaced by a reload, between turns.
  const config::Config* config = nullptr;
  std::unique_ptr<const CachePolicy> policy;

  std::unordered_set<std::string> denied;  // commands.deny in lower case

  bool cache_enabled = true;  // NEARCACHE ENABLE / DISABLE
  bool paused = false;        // NEARCACHE PAUSE: requests that need the upstream wait
  bool held = false;          // some requests wait for the upstream to come back (Park::kHeld)
  bool quiet = false;         // and those that were under way have ended
  MonoTime no_fill_before{};  // after a reload: reads are answered, but not stored, until then

  ReplySize reply_size;  // of all clients lately: what a new one starts from

  // Databases that the upstream has been seen to have; at most as many as it has.
  std::unordered_set<DbIndex> known_dbs;

  RequestBatch batch;  // of the session that is processing input right now
};

}  // namespace nearcached
