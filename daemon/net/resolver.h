// Resolver: turns a host name into addresses without blocking the loop. UvResolver asks the system;
// cached_resolver.h remembers answers for a moment.
//
// getaddrinfo(3) runs in libuv's thread pool, so /etc/hosts, search domains and the rest of the
// system's rules hold. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/result.h"
#include "daemon/net/socket_address.h"
#include "daemon/net/uv_loop.h"

namespace nearcached {

// A lookup under way. Destroying it means that its callback is never called; the thread that is
// already asking finishes on its own. Safe to destroy inside the callback.
class Lookup {
 public:
  virtual ~Lookup() = default;
};

class Resolver {
 public:
  // At least one address, in the order the system prefers them; or kUnavailable.
  using OnResolved = std::function<void(Result<std::vector<SocketAddress>>)>;

  // Looks up `host` (a name or a numeric address) for TCP; the addresses carry `port`. The callback
  // comes once, from the loop, never before this returns. There is no timeout of its own: the
  // caller has one.
  [[nodiscard]] virtual std::unique_ptr<Lookup> Resolve(const std::string& host, int port,
                                                        OnResolved on_resolved) = 0;

  // The last answer led nowhere: whoever remembers it should not.
  virtual void Forget(const std::string& /*host*/, int /*port*/) {}

 protected:
  ~Resolver() = default;
};

class UvResolver final : public Resolver {
 public:
  explicit UvResolver(UvLoop& loop) : loop_(loop) {}

  [[nodiscard]] std::unique_ptr<Lookup> Resolve(const std::string& host, int port,
                                                OnResolved on_resolved) override;

 private:
  UvLoop& loop_;
};

}  // namespace nearcached
