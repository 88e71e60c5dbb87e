#include "daemon/net/tls_dialer.h"

#include <utility>

#include "daemon/base/check.h"

namespace nearcached {

std::unique_ptr<ByteStream> TlsDialer::Dial(const Endpoint& to, ByteStreamHandler& handler) {
  if (!to.tls) {
    return beneath_.Dial(to, handler);
  }
  NC_CHECK(credentials_ != nullptr);
  TlsPeer peer;
  peer.context = credentials_->current();
  const std::string& name = peer.context->options().server_name;
  peer.host = name.empty() ? to.host : name;
  peer.session_key = peer.host + " " + to.ToString();
  return std::make_unique<TlsStream>(
      std::move(peer), environment_, handler,
      [&](ByteStreamHandler& stream) { return beneath_.Dial(to, stream); });
}

}  // namespace nearcached
