// The upstream as one of its users: links that log in as that user and are never anybody else's
// (upstream.identity client). Whatever the topology, it fills nothing.
//
// Owned by Identities; loop thread only.
#pragma once

#include <functional>
#include <memory>

#include "config/config.h"
#include "daemon/fetch/upstream.h"
#include "daemon/upstream/cluster.h"
#include "daemon/upstream/pool.h"

namespace nearcached {

class UserUpstream {
 public:
  virtual ~UserUpstream() = default;

  [[nodiscard]] virtual Upstream& upstream() = 0;
  // As Pool's.
  virtual void Flush() = 0;
  virtual void OnPrimaryChanged() = 0;
  virtual void Reconnect() = 0;
  virtual void Shutdown() = 0;
  virtual void ForEachPool(const std::function<void(const Pool&)>& visit) const = 0;
};

// The user and password to log in with are those of `config`, which outlives what is made.
// `on_refused` is told when the server does not take them any more, from inside a callback of a
// link.
using UserUpstreamMaker = std::function<std::unique_ptr<UserUpstream>(
    const config::UpstreamConfig& config, std::function<void()> on_refused)>;

// Links as those of `like`, of which login and configuration are replaced. Both makers borrow
// `coherence`, which outlives what they make.
UserUpstreamMaker UserPools(const Pool::Deps& like, Coherence& coherence);
UserUpstreamMaker UserClusters(const Cluster::Deps& like, Coherence& coherence);

}  // namespace nearcached
