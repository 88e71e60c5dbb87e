#include "daemon/upstream/user_upstream.h"

#include <utility>

namespace nearcached {
namespace {

class UserPool final : public UserUpstream, private PoolParent {
 public:
  UserPool(Pool::Deps deps, Coherence& coherence, std::function<void()> on_refused)
      : coherence_(coherence),
        on_refused_(std::move(on_refused)),
        pool_(WithParent(std::move(deps), *this)) {
    pool_.SetCoherence(coherence);
    pool_.Start(false);
  }

  Upstream& upstream() override { return pool_; }
  void Flush() override { pool_.Flush(); }
  void OnPrimaryChanged() override { pool_.OnPrimaryChanged(); }
  void Reconnect() override { pool_.Reconnect(); }
  void Shutdown() override { pool_.Shutdown(); }
  void ForEachPool(const std::function<void(const Pool&)>& visit) const override { visit(pool_); }

 private:
  static Pool::Deps WithParent(Pool::Deps deps, PoolParent& parent) {
    deps.parent = &parent;
    return deps;
  }

  void OnFillLinkLost(const Pool& /*pool*/, bool /*away*/) override {}
  void OnNodeBack(const Pool& /*pool*/) override { coherence_.OnUpstreamBack(); }
  void OnTrackingChanged() override {}
  void OnLoginRefused(const Pool& /*pool*/) override { on_refused_(); }

  Coherence& coherence_;
  const std::function<void()> on_refused_;
  Pool pool_;
};

class UserCluster final : public UserUpstream {
 public:
  UserCluster(const Cluster::Deps& deps, Coherence& coherence) : cluster_(deps) {
    cluster_.SetCoherence(coherence);
    cluster_.Start();
  }

  Upstream& upstream() override { return cluster_; }
  void Flush() override { cluster_.Flush(); }
  void OnPrimaryChanged() override {}  // its map says so
  void Reconnect() override { cluster_.Reconnect(); }
  void Shutdown() override { cluster_.Shutdown(); }
  void ForEachPool(const std::function<void(const Pool&)>& visit) const override {
    cluster_.ForEachPool(visit);
  }

 private:
  Cluster cluster_;
};

}  // namespace

UserUpstreamMaker UserPools(const Pool::Deps& like, Coherence& coherence) {
  return [like, &coherence](const config::UpstreamConfig& config,
                            std::function<void()> on_refused) -> std::unique_ptr<UserUpstream> {
    return std::make_unique<UserPool>(Pool::Deps{.scheduler = like.scheduler,
                                                 .dialer = like.dialer,
                                                 .topology = like.topology,
                                                 .config = config,
                                                 .tracking = config::TrackingConfig::Mode::kOff,
                                                 .rng = like.rng,
                                                 .commands = like.commands,
                                                 .login = LoginKind::kClient,
                                                 .shared_stats = like.shared_stats},
                                      coherence, std::move(on_refused));
  };
}

UserUpstreamMaker UserClusters(const Cluster::Deps& like, Coherence& coherence) {
  return [like, &coherence](const config::UpstreamConfig& config,
                            std::function<void()> on_refused) -> std::unique_ptr<UserUpstream> {
    return std::make_unique<UserCluster>(
        Cluster::Deps{.scheduler = like.scheduler,
                      .dialer = like.dialer,
                      .config = config,
                      .tracking = config::TrackingConfig::Mode::kOff,
                      .fill = false,
                      .rng = like.rng,
                      .commands = like.commands,
                      .hasher = like.hasher,
                      .stats = like.stats,
                      .login = LoginKind::kClient,
                      .shared_stats = like.shared_stats,
                      .on_login_refused = std::move(on_refused)},
        coherence);
  };
}

}  // namespace nearcached
