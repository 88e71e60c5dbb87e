// CachedResolver: remembers answers for a short while, so that many links dialled at once ask once,
// and a name server is not asked in a tight loop while an upstream is away.
//
// getaddrinfo(3) does not tell for how long an answer is good, so the bound is a setting. A failure
// is never remembered, and addresses that led nowhere are forgotten at once (Forget): failover by
// DNS must be seen by the next attempt. Owned by app; loop thread only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/counter.h"
#include "daemon/base/scheduler.h"
#include "daemon/net/resolver.h"

namespace nearcached {

struct ResolverStats {
  Counter resolved;  // the system was asked, and knew
  Counter failed;    // it was asked, and did not
  Counter cached;    // it was not asked
};

class CachedResolver final : public Resolver {
 public:
  // `source` and `scheduler` outlive this object, which outlives its lookups. `ttl` zero: nothing
  // is remembered.
  CachedResolver(Resolver& source, Scheduler& scheduler, Duration ttl)
      : source_(source), scheduler_(scheduler), ttl_(ttl) {}
  ~CachedResolver() = default;
  CachedResolver(const CachedResolver&) = delete;
  CachedResolver& operator=(const CachedResolver&) = delete;

  [[nodiscard]] std::unique_ptr<Lookup> Resolve(const std::string& host, int port,
                                                OnResolved on_resolved) override;
  void Forget(const std::string& host, int port) override { answers_.erase({host, port}); }

  [[nodiscard]] const ResolverStats& stats() const { return stats_; }

  static constexpr std::size_t kAnswersMax = 256;

 private:
  struct Answer {
    std::vector<SocketAddress> addresses;
    MonoTime until{};
  };

  void Remember(const std::pair<std::string, int>& name, const std::vector<SocketAddress>& found);

  Resolver& source_;
  Scheduler& scheduler_;
  const Duration ttl_;
  std::map<std::pair<std::string, int>, Answer> answers_;
  ResolverStats stats_;
};

}  // namespace nearcached
