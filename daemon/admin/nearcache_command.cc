#include "daemon/admin/nearcache_command.h"

#include <array>
#include <cmath>
#include <cstddef>

#include "daemon/command/ascii.h"
#include "proto/encode.h"
#include "proto/number.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

using Kind = NearcacheRequest::Kind;
using proto::Protocol;

struct Subcommand {
  std::string_view name;       // in lower case
  std::string_view full_name;  // as Redis writes it in an arity error
  Kind kind;
  std::size_t args_min;  // with NEARCACHE and the subcommand itself
  std::size_t args_max;
};

constexpr std::size_t kAnyNumber = SIZE_MAX;

constexpr std::array<Subcommand, 19> kSubcommands = {{
    {"stats", "nearcache|stats", Kind::kStats, 2, 3},
    {"config", "nearcache|config", Kind::kConfig, 2, 3},
    {"explain", "nearcache|explain", Kind::kExplain, 3, kAnyNumber},
    {"flush", "nearcache|flush", Kind::kFlush, 2, 3},
    {"invalidate", "nearcache|invalidate", Kind::kInvalidate, 3, kAnyNumber},
    {"enable", "nearcache|enable", Kind::kEnable, 2, 2},
    {"disable", "nearcache|disable", Kind::kDisable, 2, 2},
    {"pools", "nearcache|pools", Kind::kPools, 2, 2},
    {"upstreams", "nearcache|upstreams", Kind::kUpstreams, 2, 2},
    {"clients", "nearcache|clients", Kind::kClients, 2, 2},
    {"state", "nearcache|state", Kind::kState, 2, 2},
    {"tracking", "nearcache|tracking", Kind::kTracking, 2, 2},
    {"pause", "nearcache|pause", Kind::kPause, 2, 2},
    {"resume", "nearcache|resume", Kind::kResume, 2, 2},
    {"reconnect", "nearcache|reconnect", Kind::kReconnect, 2, 2},
    {"kill", "nearcache|kill", Kind::kKill, 3, 3},
    {"reload", "nearcache|reload", Kind::kReload, 2, 2},
    {"shutdown", "nearcache|shutdown", Kind::kShutdown, 2, 2},
    {"help", "nearcache|help", Kind::kHelp, 2, 2},
}};

constexpr std::array<std::string_view, 39> kHelpLines = {
    "NEARCACHE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "STATS [<prefix>]",
    "    Show every metric, or those whose name starts with <prefix>.",
    "CONFIG [<prefix>]",
    "    Show the settings in effect, or those whose path starts with <prefix>.",
    "EXPLAIN <command> [<arg> ...]",
    "    Tell whether the command would be answered from the cache, by which rule, or why not.",
    "FLUSH [<prefix>]",
    "    Forget every cached key, or those that start with <prefix>. Nothing changes upstream.",
    "INVALIDATE <key> [<key> ...]",
    "    Forget these keys, in every database. Nothing changes upstream.",
    "ENABLE",
    "    Use the cache.",
    "DISABLE",
    "    Forward everything and cache nothing until ENABLE or a restart.",
    "POOLS",
    "    Show the links to the upstream by kind: how many, how busy, who waits.",
    "UPSTREAMS",
    "    Show the server behind, whether it is reached, and why not.",
    "CLIENTS",
    "    Show the clients: where from, what they hold, what they wait for.",
    "STATE",
    "    Show whether requests are taken, and by what version since when.",
    "TRACKING",
    "    Show what keeps the cache coherent, link by link.",
    "PAUSE",
    "    Let requests wait before the upstream. Answers when those under way have ended.",
    "RESUME",
    "    Let them go on.",
    "RECONNECT",
    "    Replace every link to the upstream as it becomes idle. Loses no request.",
    "KILL <client-id>",
    "    Close the connection of a client.",
    "RELOAD",
    "    Read the configuration again, as SIGHUP does.",
    "SHUTDOWN",
    "    Let clients finish and end, as SIGTERM does.",
    "HELP",
    "    Print this help.",
};

bool IsWhole(double value) {
  constexpr double kExactMax = 9007199254740992.0;  // 2^53: beyond, doubles skip integers
  return std::floor(value) == value && std::fabs(value) <= kExactMax;
}

void AppendPair(std::string& out, std::string_view name, std::string_view value) {
  proto::AppendBulk(out, name);
  proto::AppendBulk(out, value);
}

void AppendPair(std::string& out, std::string_view name, std::int64_t value) {
  proto::AppendBulk(out, name);
  proto::AppendInteger(out, value);
}

void AppendFlag(std::string& out, std::string_view name, bool value, Protocol protocol) {
  proto::AppendBulk(out, name);
  proto::AppendBool(out, value, protocol);
}

void AppendKey(std::string& out, const Explanation::Key& key, Protocol protocol) {
  const KeyPolicy& policy = key.policy;
  proto::AppendMapHeader(out, 11, protocol);
  AppendPair(out, "key", key.key);
  AppendFlag(out, "write", key.write, protocol);
  AppendFlag(out, "cacheable", policy.cache, protocol);
  AppendPair(out, "reason", ReasonName(policy.reason));
  AppendPair(out, "why", key.why);
  AppendPair(out, "rule", key.rule);
  AppendPair(out, "ttl_ms", ToMillis(policy.ttl));
  AppendPair(out, "negative_ttl_ms", ToMillis(policy.negative_ttl));
  AppendPair(out, "stale_if_error_ms", ToMillis(policy.stale_if_error));
  proto::AppendBulk(out, "ttl_jitter");
  proto::AppendDouble(out, policy.ttl_jitter, protocol);
  AppendPair(out, "entry_bytes_max", static_cast<std::int64_t>(policy.entry_bytes_max));
}

}  // namespace

Result<NearcacheRequest> ParseNearcache(std::span<const std::string_view> args) {
  if (args.size() < 2) {
    return Error{Code::kInvalid, proto::WrongArity("nearcache")};
  }
  for (const Subcommand& row : kSubcommands) {
    if (!EqualsIgnoringCase(args[1], row.name)) {
      continue;
    }
    if (args.size() < row.args_min || args.size() > row.args_max) {
      return Error{Code::kInvalid, proto::WrongArity(row.full_name)};
    }
    NearcacheRequest request;
    request.kind = row.kind;
    if (row.kind == Kind::kExplain) {
      request.command = args.subspan(2);
    } else if (row.kind == Kind::kInvalidate) {
      request.keys = args.subspan(2);
    } else if (row.kind == Kind::kKill) {
      const auto id = proto::ParseInt64(args[2]);
      if (!id || *id <= 0) {
        return Error{Code::kInvalid, proto::OwnError("KILL takes the id of a client, as "
                                                     "NEARCACHE CLIENTS shows it")};
      }
      request.client = static_cast<std::uint64_t>(*id);
    } else if (args.size() > 2) {
      request.prefix = args[2];
    }
    return request;
  }
  return Error{Code::kInvalid, proto::UnknownSubcommand("NEARCACHE", args[1])};
}

void AppendStats(std::string& out, std::span<const StatLine> lines, Protocol protocol) {
  proto::AppendMapHeader(out, lines.size(), protocol);
  for (const StatLine& line : lines) {
    if (IsWhole(line.value)) {
      AppendPair(out, line.name, static_cast<std::int64_t>(line.value));
    } else {
      proto::AppendBulk(out, line.name);
      proto::AppendDouble(out, line.value, protocol);
    }
  }
}

void AppendConfig(std::string& out, std::span<const std::pair<std::string, std::string>> settings,
                  std::string_view prefix, Protocol protocol) {
  std::size_t count = 0;
  std::string body;
  for (const auto& [path, value] : settings) {
    if (path.starts_with(prefix)) {
      AppendPair(body, path, value);
      ++count;
    }
  }
  proto::AppendMapHeader(out, count, protocol);
  out += body;
}

void AppendExplanation(std::string& out, const Explanation& explanation, Protocol protocol) {
  proto::AppendMapHeader(out, 4, protocol);
  AppendFlag(out, "cacheable", explanation.cacheable, protocol);
  AppendPair(out, "reason", ReasonName(explanation.reason));
  AppendPair(out, "why", explanation.why);
  proto::AppendBulk(out, "keys");
  proto::AppendArrayHeader(out, explanation.keys.size());
  for (const Explanation::Key& key : explanation.keys) {
    AppendKey(out, key, protocol);
  }
}

void AppendRow(std::string& out, const AdminRow& row, Protocol protocol) {
  proto::AppendMapHeader(out, row.size(), protocol);
  for (const auto& [name, value] : row) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      AppendPair(out, name, *number);
    } else {
      AppendPair(out, name, std::string_view(std::get<std::string>(value)));
    }
  }
}

void AppendRows(std::string& out, std::span<const AdminRow> rows, Protocol protocol) {
  proto::AppendArrayHeader(out, rows.size());
  for (const AdminRow& row : rows) {
    AppendRow(out, row, protocol);
  }
}

void AppendHelp(std::string& out) {
  proto::AppendArrayHeader(out, kHelpLines.size());
  for (const std::string_view line : kHelpLines) {
    proto::AppendSimple(out, line);
  }
}

}  // namespace nearcached
