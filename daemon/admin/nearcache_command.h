// The NEARCACHE command as bytes: what its arguments ask, and how each answer is written.
//
// Pure; who carries it out is in nearcache_handler.h. Any thread.
//   NEARCACHE STATS [prefix]        every metric, or those whose name starts so
//   NEARCACHE CONFIG [prefix]       the settings in effect, secrets hidden
//   NEARCACHE EXPLAIN command …     would this be answered from the cache, by which rule, why not
//   NEARCACHE FLUSH [prefix]        forgets the cached keys, or those that start so
//   NEARCACHE INVALIDATE key …      forgets these keys, and what is on its way of them
//   NEARCACHE ENABLE | DISABLE      switches the cache on and off
//   NEARCACHE POOLS | UPSTREAMS | CLIENTS | STATE | TRACKING     what there is, row by row
//   NEARCACHE PAUSE | RESUME        requests wait before the upstream, and go on
//   NEARCACHE RECONNECT             every link is replaced as it becomes idle
//   NEARCACHE KILL id               closes a client
//   NEARCACHE RELOAD | SHUTDOWN     as SIGHUP, as SIGTERM
//   NEARCACHE HELP
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/admin/admin_row.h"
#include "daemon/admin/stat_lines.h"
#include "daemon/base/result.h"
#include "daemon/policy/cache_policy.h"
#include "proto/protocol.h"

namespace nearcached {

struct NearcacheRequest {
  enum class Kind : std::uint8_t {
    kStats,
    kConfig,
    kExplain,
    kFlush,
    kInvalidate,
    kEnable,
    kDisable,
    kPools,
    kUpstreams,
    kClients,
    kState,
    kTracking,
    kPause,
    kResume,
    kReconnect,
    kKill,
    kReload,
    kShutdown,
    kHelp
  };
  Kind kind = Kind::kHelp;
  std::string_view prefix;                    // kStats, kConfig, kFlush; empty: everything
  std::span<const std::string_view> command;  // kExplain: at least a command name
  std::span<const std::string_view> keys;     // kInvalidate: at least one
  std::uint64_t client = 0;                   // kKill: as CLIENT ID and NEARCACHE CLIENTS have it
};

// `args[0]` is NEARCACHE itself; subcommands in any case. The views point into `args`. The error's
// message is a whole error line ("ERR unknown subcommand …"), as Redis words it.
// REQUIRES: args is not empty.
[[nodiscard]] Result<NearcacheRequest> ParseNearcache(std::span<const std::string_view> args);

// Each appends one reply. Maps are maps in RESP3 and flat arrays in RESP2.

// A map of name to number: whole numbers as integers, others as doubles.
void AppendStats(std::string& out, std::span<const StatLine> lines, proto::Protocol protocol);

// A map of the paths that start with `prefix` to their values, both as text.
void AppendConfig(std::string& out, std::span<const std::pair<std::string, std::string>> settings,
                  std::string_view prefix, proto::Protocol protocol);

// A map of "cacheable", "reason", "why" and "keys", an array of maps. Durations in milliseconds.
void AppendExplanation(std::string& out, const Explanation& explanation, proto::Protocol protocol);

// Each row a map of its fields.
void AppendRows(std::string& out, std::span<const AdminRow> rows, proto::Protocol protocol);
// The same for a single row.
void AppendRow(std::string& out, const AdminRow& row, proto::Protocol protocol);

// An array of lines.
void AppendHelp(std::string& out);

}  // namespace nearcached
