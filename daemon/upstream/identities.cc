#include "daemon/upstream/identities.h"

#include <algorithm>
#include <string>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "daemon/base/secret.h"

namespace nearcached {
namespace {

constexpr std::string_view kErrTooMany =
    "ERR nearcached: as many upstream users are logged in as upstream.identities_max allows; raise "
    "it, or log in as fewer";

}  // namespace

struct Identities::Identity {
  // The upstream's, but for the login.
  static config::UpstreamConfig ConfigOf(const config::UpstreamConfig& like, std::string_view user,
                                         std::string_view password) {
    config::UpstreamConfig config = like;
    config.username.assign(user);
    config.password.assign(password);
    config.pool.min_idle = 0;
    return config;
  }

  Identity(const config::UpstreamConfig& like, std::string_view user, std::string_view password)
      : config(ConfigOf(like, user, password)) {}
  ~Identity() { Wipe(config.password); }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  config::UpstreamConfig config;  // the password, for as long as links may have to be made again
  std::unique_ptr<UserUpstream> links;
  std::size_t clients = 0;
  MonoTime unused_since{};
  bool revoked = false;  // the server refuses the login; not entered any more
  bool told = false;     // its clients have been closed
};

Identities::Identities(const config::UpstreamConfig& like, Scheduler& scheduler,
                       UserUpstreamMaker make, IdentityStats& stats,
                       std::function<void(const Upstream&)> on_revoked)
    : like_(like),
      scheduler_(scheduler),
      make_(std::move(make)),
      stats_(stats),
      on_revoked_(std::move(on_revoked)) {}

Identities::~Identities() {
  NC_CHECK(identities_.empty());
}

Upstream* Identities::Enter(std::string_view user, std::string_view password,
                            std::string_view& error_line) {
  for (const auto& identity : identities_) {
    if (!identity->revoked && identity->config.username == user &&
        SameSecret(password, identity->config.password)) {
      ++identity->clients;
      stats_.entered.Add();
      return &identity->links->upstream();
    }
  }
  if (!MakeRoom()) {
    stats_.refused.Add();
    error_line = kErrTooMany;
    return nullptr;
  }
  auto& identity = *identities_.emplace_back(std::make_unique<Identity>(like_, user, password));
  identity.links = make_(identity.config, [this, &identity] { OnRefused(identity); });
  identity.clients = 1;
  stats_.entered.Add();
  stats_.identities.Add();
  return &identity.links->upstream();
}

// Ends the one that has been unused longest, where there are as many as may be.
bool Identities::MakeRoom() {
  if (identities_.size() < like_.identities_max) {
    return true;
  }
  std::size_t oldest = identities_.size();
  for (std::size_t i = 0; i < identities_.size(); ++i) {
    if (identities_[i]->clients == 0 &&
        (oldest == identities_.size() ||
         identities_[i]->unused_since < identities_[oldest]->unused_since)) {
      oldest = i;
    }
  }
  if (oldest == identities_.size()) {
    return false;
  }
  End(oldest);
  return true;
}

void Identities::Leave(const Upstream& upstream) {
  for (const auto& identity : identities_) {
    if (&identity->links->upstream() == &upstream) {
      NC_CHECK(identity->clients > 0);
      --identity->clients;
      identity->unused_since = scheduler_.Now();
      return;
    }
  }
  NC_CHECK(false);
}

void Identities::End(std::size_t at) {
  identities_[at]->links->Shutdown();
  identities_.erase(identities_.begin() + static_cast<std::ptrdiff_t>(at));
  stats_.identities.Sub();
}

void Identities::OnRefused(Identity& identity) {
  if (!std::exchange(identity.revoked, true)) {
    stats_.revoked.Add();
    Log(LogLevel::kInfo, "identity_revoked",
        "effect=\"its clients are closed\" user=" + Quoted(identity.config.username));
  }
}

void Identities::Flush() {
  // Clients that are closed leave, which takes nothing out of the list.
  for (const auto& identity : identities_) {
    if (identity->revoked && !std::exchange(identity->told, true)) {
      on_revoked_(identity->links->upstream());
    }
    identity->links->Flush();
  }
}

void Identities::Tick() {
  const MonoTime now = scheduler_.Now();
  for (std::size_t i = identities_.size(); i-- > 0;) {
    const Identity& identity = *identities_[i];
    const bool stale = now - identity.unused_since >= Duration(identity.config.pool.idle_timeout);
    if (identity.clients == 0 && (stale || identity.told)) {
      End(i);
    }
  }
}

void Identities::OnPrimaryChanged() {
  for (const auto& identity : identities_) {
    identity->links->OnPrimaryChanged();
  }
}

void Identities::Reconnect() {
  for (const auto& identity : identities_) {
    identity->links->Reconnect();
  }
}

void Identities::Reload() {
  for (const auto& identity : identities_) {
    config::UpstreamConfig& config = identity->config;
    const std::string user = std::move(config.username);
    std::string password = config.password;
    Wipe(config.password);
    config = Identity::ConfigOf(like_, user, password);
    Wipe(password);
  }
}

void Identities::ForEachPool(const std::function<void(const Pool&)>& visit) const {
  for (const auto& identity : identities_) {
    identity->links->ForEachPool(visit);
  }
}

void Identities::Shutdown() {
  while (!identities_.empty()) {
    End(identities_.size() - 1);
  }
}

}  // namespace nearcached
