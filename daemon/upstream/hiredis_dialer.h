// Opens connections to the upstream: names through the resolver, connecting through hiredis, bytes
// through FdStream.
//
// hiredis connects without blocking and keeps its socket options in one place; once the connection
// stands its descriptor is taken over, because replies are forwarded as bytes and never built as
// hiredis objects (performance.md 4). Owned by app; loop thread only.
#pragma once

#include <memory>

#include "daemon/base/byte_stream.h"
#include "daemon/net/resolver.h"
#include "daemon/net/uv_loop.h"

namespace nearcached {

class HiredisDialer final : public Dialer {
 public:
  // Both outlive the dialer. One address of several may take `address_timeout`.
  HiredisDialer(UvLoop& loop, Resolver& names, Duration address_timeout)
      : loop_(loop), names_(names), address_timeout_(address_timeout) {}

  // The name is looked up each time. Its addresses are tried in the order of the resolver; the
  // handler hears of the last failure only. The last address has no timeout here: the link has one.
  [[nodiscard]] std::unique_ptr<ByteStream> Dial(const Endpoint& to,
                                                 ByteStreamHandler& handler) override;

 private:
  UvLoop& loop_;
  Resolver& names_;
  const Duration address_timeout_;
};

}  // namespace nearcached
