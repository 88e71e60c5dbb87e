#include "daemon/session/hello_reply.h"

#include "proto/encode.h"

namespace nearcached {

void AppendHelloReply(std::string& out, proto::Protocol protocol, std::string_view version,
                      std::uint64_t client_id) {
  proto::AppendMapHeader(out, 7, protocol);
  proto::AppendBulk(out, "server");
  proto::AppendBulk(out, "redis");
  proto::AppendBulk(out, "version");
  proto::AppendBulk(out, version.empty() ? std::string_view("unknown") : version);
  proto::AppendBulk(out, "proto");
  proto::AppendInteger(out, protocol == proto::Protocol::kResp3 ? 3 : 2);
  proto::AppendBulk(out, "id");
  proto::AppendInteger(out, static_cast<std::int64_t>(client_id));
  proto::AppendBulk(out, "mode");
  proto::AppendBulk(out, "standalone");
  proto::AppendBulk(out, "role");
  proto::AppendBulk(out, "master");
  proto::AppendBulk(out, "modules");
  proto::AppendArrayHeader(out, 0);
}

}  // namespace nearcached
