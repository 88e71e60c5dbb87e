// The upstream as each of its users that clients have logged in as: upstream.identity client.
//
// One pool for each user and password, with lanes and exclusive links that log in as that user and
// are never anybody else's. Made when the server has accepted a login, kept while clients use it
// and for upstream.pool.idle_timeout after that. When the server refuses the login later (the user
// is deleted, or has another password), whoever uses it is to be closed, as the server does it.
//
// Owned by the worker; loop thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "daemon/base/counter.h"
#include "daemon/fetch/upstream.h"
#include "daemon/upstream/pool.h"

namespace nearcached {

struct IdentityStats {
  Gauge identities;  // users with links of their own
  Counter entered;   // logins that the server accepted
  Counter refused;   // of those, the ones that upstream.identities_max left no room for
  Counter revoked;   // identities whose login the server no longer takes
};

class Identities final : public Logins, private PoolParent {
 public:
  // `like`: how a pool is made; its configuration's login is replaced, its parent and shared stats
  // are set here. `on_revoked` is told from Flush whose clients are to be closed.
  Identities(const Pool::Deps& like, UpstreamStats& upstream_stats, IdentityStats& stats,
             std::function<void(const Upstream&)> on_revoked);
  ~Identities();
  Identities(const Identities&) = delete;
  Identities& operator=(const Identities&) = delete;

  void SetCoherence(Coherence& coherence) { coherence_ = &coherence; }

  // Logins
  Upstream* Enter(std::string_view user, std::string_view password,
                  std::string_view& error_line) override;
  void Leave(const Upstream& upstream) override;

  // As Pool's, for all of them.
  void Flush();
  void OnPrimaryChanged();
  void Reconnect();
  void Shutdown();
  // Ends what nobody has used for a while. Now and then, and not from inside a callback of a link.
  void Tick();
  // The configuration was read again.
  void Reload();
  void ForEachPool(const std::function<void(const Pool&)>& visit) const;

 private:
  struct Identity;

  void OnFillLinkLost(const Pool& /*pool*/) override {}
  void OnTrackingChanged() override {}
  void OnLoginRefused(const Pool& pool) override;

  bool MakeRoom();
  void End(std::size_t at);

  const Pool::Deps like_;
  UpstreamStats& upstream_stats_;
  IdentityStats& stats_;
  const std::function<void(const Upstream&)> on_revoked_;
  Coherence* coherence_ = nullptr;
  std::vector<std::unique_ptr<Identity>> identities_;
};

}  // namespace nearcached
