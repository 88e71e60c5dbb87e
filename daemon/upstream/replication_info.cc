#include "daemon/upstream/replication_info.h"

#include <optional>
#include <string_view>

#include "proto/number.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// Calls `visit(name, value)` for each part of `text` between two `separator`s that has a `mark`.
template <typename Visit>
void ForEachPair(std::string_view text, char separator, char mark, const Visit& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (part.ends_with('\r')) {
      part.remove_suffix(1);
    }
    if (const std::size_t at = part.find(mark); at != std::string_view::npos) {
      visit(part.substr(0, at), part.substr(at + 1));
    }
  }
}

// "ip=10.0.0.2,port=6379,state=online,offset=123,lag=0", where that is one in step.
std::optional<config::HostPort> ReplicaOf(std::string_view text) {
  config::HostPort node;
  std::int64_t port = 0;
  bool online = false;
  ForEachPair(text, ',', '=', [&](std::string_view name, std::string_view value) {
    if (name == "ip") {
      node.host.assign(value);
    } else if (name == "port") {
      port = proto::ParseInt64(value).value_or(0);
    } else if (name == "state") {
      online = value == "online";
    }
  });
  if (!online || node.host.empty() || port <= 0 || port > 65'535) {
    return std::nullopt;
  }
  node.port = static_cast<std::uint16_t>(port);
  return node;
}

bool NamesReplica(std::string_view name) {
  return name.starts_with("slave") && proto::ParseInt64(name.substr(5)).has_value();
}

}  // namespace

Result<ReplicationInfo> ParseReplicationInfo(const UpstreamReply& reply) {
  if (reply.is_error()) {
    std::string message = "INFO was answered with: " + proto::Printable(reply.text);
    if (reply.text.starts_with("NOPERM")) {
      message += "; give the user of upstream.username the right to it (ACL SETUSER … +info)";
    } else if (reply.text.starts_with("NOAUTH")) {
      message += "; set upstream.password";
    }
    return Error{Code::kInvalid, std::move(message)};
  }
  ReplicationInfo info;
  std::string_view role;
  std::optional<std::int64_t> own;
  std::optional<std::int64_t> executed;
  ForEachPair(reply.text, '\n', ':', [&](std::string_view name, std::string_view value) {
    if (name == "role") {
      role = value;
    } else if (name == "master_link_status") {
      info.link_up = value == "up";
    } else if (name == "master_replid") {
      info.history.assign(value);
    } else if (name == "master_repl_offset") {
      own = proto::ParseInt64(value);
    } else if (name == "slave_repl_offset") {
      executed = proto::ParseInt64(value);
    } else if (NamesReplica(name)) {
      if (auto replica = ReplicaOf(value)) {
        info.replicas.push_back(std::move(*replica));
      }
    }
  });
  info.primary = role == "master";
  const auto offset = info.primary ? own : executed;
  if ((role != "master" && role != "slave") || info.history.empty() || !offset) {
    return Error{Code::kProtocol, "INFO replication was answered with something else"};
  }
  info.offset = *offset;
  return info;
}

}  // namespace nearcached
