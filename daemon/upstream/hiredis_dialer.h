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
  explicit HiredisDialer(UvLoop& loop) : loop_(loop), resolver_(loop) {}

  // Addresses of a name are tried in the order of the resolver; the handler hears of the last
  // failure only. There is no timeout here: the link has one.
  [[nodiscard]] std::unique_ptr<ByteStream> Dial(const Endpoint& to,
                                                 ByteStreamHandler& handler) override;

 private:
  UvLoop& loop_;
  Resolver resolver_;
};

}  // namespace nearcached
