// The upstream as each of its users that clients have logged in as: upstream.identity client.
//
// One UserUpstream for each user and password: lanes and exclusive links that log in as that user
// and are never anybody else's. Made when the server has accepted a login, kept while clients use
// it and for upstream.pool.idle_timeout after that. When the server refuses the login later (the
// user is deleted, or has another password), whoever uses it is to be closed, as the server does
// it.
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
#include "daemon/upstream/user_upstream.h"

namespace nearcached {

struct IdentityStats {
  Gauge identities;  // users with links of their own
  Counter entered;   // logins that the server accepted
  Counter refused;   // of those, the ones that upstream.identities_max left no room for
  Counter revoked;   // identities whose login the server no longer takes
};

class Identities final : public Logins {
 public:
  // `like`: the upstream's configuration, whose login is replaced. `on_revoked` is told from Flush
  // whose clients are to be closed.
  Identities(const config::UpstreamConfig& like, Scheduler& scheduler, UserUpstreamMaker make,
             IdentityStats& stats, std::function<void(const Upstream&)> on_revoked);
  ~Identities();
  Identities(const Identities&) = delete;
  Identities& operator=(const Identities&) = delete;

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

  void OnRefused(Identity& identity);
  bool MakeRoom();
  void End(std::size_t at);

  const config::UpstreamConfig& like_;
  Scheduler& scheduler_;
  const UserUpstreamMaker make_;
  IdentityStats& stats_;
  const std::function<void(const Upstream&)> on_revoked_;
  std::vector<std::unique_ptr<Identity>> identities_;
};

}  // namespace nearcached
