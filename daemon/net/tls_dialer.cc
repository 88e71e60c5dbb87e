#include "daemon/net/tls_dialer.h"

#include <utility>

#include "daemon/base/check.h"

namespace nearcached {

std::unique_ptr<ByteStream> TlsDialer::Dial(const Endpoint& to, ByteStreamHandler& handler) {
  if (to.tls == TlsUse::kNone) {
    return beneath_.Dial(to, handler);
  }
  const TlsCredentials* const credentials = to.tls == TlsUse::kUpstream ? upstream_ : sentinels_;
  NC_CHECK(credentials != nullptr);
  TlsPeer peer;
  peer.context = credentials->current();
  const std::string& name = peer.context->options().server_name;
  peer.host = name.empty() ? to.host : name;
  peer.session_key = peer.host + " " + to.ToString();
  return std::make_unique<TlsStream>(
      std::move(peer), environment_, handler,
      [&](ByteStreamHandler& stream) { return beneath_.Dial(to, stream); });
}

}  // namespace nearcached
