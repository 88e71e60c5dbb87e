#include "daemon/upstream/role.h"

#include <string>

#include "proto/wire_errors.h"

namespace nearcached {

Result<NodeRole> ParseRole(const UpstreamReply& reply) {
  if (reply.is_error()) {
    std::string message = "ROLE was answered with: " + proto::Printable(reply.text);
    if (reply.text.starts_with("NOPERM")) {
      message += "; give the user of upstream.username the right to it (ACL SETUSER … +role)";
    } else if (reply.text.starts_with("NOAUTH")) {
      message += "; set upstream.password";
    }
    return Error{Code::kInvalid, std::move(message)};
  }
  const auto& parts = reply.elements;
  NodeRole role;
  if (parts.size() >= 3 && parts[0].text == "master" &&
      parts[1].kind == UpstreamReply::Kind::kInteger &&
      parts[2].kind == UpstreamReply::Kind::kArray) {
    role.primary = true;
    role.offset = parts[1].integer;
    role.replicas = parts[2].elements.size();
    return role;
  }
  if (parts.size() >= 5 && parts[0].text == "slave" &&
      parts[4].kind == UpstreamReply::Kind::kInteger) {
    role.offset = parts[4].integer;
    return role;
  }
  if (!parts.empty() && parts[0].text == "sentinel") {
    return Error{Code::kInvalid,
                 "is a sentinel, not a Redis node: write redis-sentinel:// as upstream.url"};
  }
  return Error{Code::kProtocol, "ROLE was answered with something else"};
}

}  // namespace nearcached
