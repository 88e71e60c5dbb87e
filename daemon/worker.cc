#include "daemon/worker.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <unordered_set>
#include <utility>

#include "config/broadcast.h"
#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "daemon/command/ascii.h"
#include "daemon/upstream/cluster_replicas.h"
#include "daemon/upstream/replica_set.h"

namespace nearcached {
namespace {

constexpr Duration kTickInterval = std::chrono::milliseconds(100);

// The longest stale_if_error of any rule.
Duration StaleMax(const config::Config& config) {
  Duration longest = config.l1.stale_if_error;
  for (const config::RuleConfig& rule : config.rules) {
    longest = std::max(longest, Duration(rule.stale_if_error.value_or(config::Duration::zero())));
  }
  return longest;
}

// A command is denied by either of its names.
std::unordered_set<std::string> DeniedBy(const config::CommandsConfig& commands,
                                         const RenamedCommands& renamed) {
  std::unordered_set<std::string> denied;
  for (std::string name : commands.deny) {
    std::transform(name.begin(), name.end(), name.begin(), AsciiLower);
    const std::size_t bar = std::min(name.find('|'), name.size());
    if (const auto other = renamed.OtherNameOf(name.substr(0, bar)); !other.empty()) {
      denied.insert(std::string(other) + name.substr(bar));
    }
    denied.insert(std::move(name));
  }
  return denied;
}

// Where clients log in to the upstream themselves, the sidecar does not.
LoginKind LoginOf(const config::Config& config) {
  return config.upstream.identity == "client" ? LoginKind::kNobody : LoginKind::kOwn;
}

// Until replies have come, they are reckoned with as so large that a quarter as many may be on
// their way to one client (Session::bytes_due).
constexpr std::size_t kRepliesAtFirst = 256;

std::unique_ptr<const CachePolicy> MakePolicy(const config::Config& config) {
  return std::make_unique<const CachePolicy>(config.l1, config.rules, config.tracking);
}

}  // namespace

Worker::Worker(const config::Config& config, Scheduler& scheduler, Dialer& dialer,
               std::uint64_t seed)
    : config_(config),
      scheduler_(scheduler),
      hasher_(seed),
      rng_(seed + 1),
      topology_(MakeTopology({scheduler_, dialer, config_.upstream, topology_stats_})),
      maintenance_({scheduler_, dialer, *topology_, config_.upstream},
                   [this](bool on) { OnMaintenance(on); }),
      l1_(L1Options{.bytes_max = config_.l1.bytes,
                    .negative_share = config_.l1.negative_share,
                    .variants_max = config_.l1.variants_max}),
      pool_({.scheduler = scheduler_,
             .dialer = dialer,
             .topology = *topology_,
             .config = config_.upstream,
             .tracking = config_.tracking.mode,
             .rng = rng_,
             .commands = commands_,
             .login = LoginOf(config_),
             .method = config_.tracking.method,
             .broadcast = config::BroadcastPrefixes(config_.rules)}),
      cluster_(MakeCluster(dialer)),
      identities_(MakeIdentities(dialer)),
      coherence_(scheduler_, hasher_, l1_, Fills()),
      replicas_(MakeReplicas(dialer)),
      recent_writes_(replicas_ != nullptr ? std::make_unique<RecentWrites>() : nullptr),
      events_({scheduler_, dialer, config_, rng_, coherence_, l1_, event_stats_},
              [this] { return SubscribeNodes(); }),
      scripts_(config_.limits.scripts_bytes_max),
      adaptive_(rng_, [this](std::int32_t rule, bool stopped) { OnRuleStopped(rule, stopped); }),
      canary_({scheduler_, hasher_, TheUpstream(), Fills(), coherence_}),
      hit_check_({scheduler_, hasher_, TheUpstream(), Fills(), l1_}),
      hit_touch_(TheUpstream()),
      context_{.scheduler = scheduler_,
               .commands = commands_,
               .hasher = hasher_,
               .rng = rng_,
               .l1 = l1_,
               .coherence = coherence_,
               .upstream = TheUpstream(),
               .fills = Fills(),
               .scripts = scripts_,
               .adaptive = adaptive_,
               .hit_check = hit_check_,
               .hit_touch = hit_touch_,
               .stats = session_stats_,
               .logins = identities_.get(),
               .admin = nullptr,
               .routes = replicas_.get(),
               .recent_writes = recent_writes_.get(),
               .config = &config_,
               .policy = MakePolicy(config_),
               .denied = {},
               .cache_enabled = true,
               .no_fill_before = {},
               .reply_size = ReplySize(config_.limits.output_bytes_max / kRepliesAtFirst),
               .known_dbs = {},
               .batch = {}},
      server_(context_) {
  coherence_.SetStaleMax(StaleMax(config_));
  ConfigureAdaptive();
  ConfigureVerify();
  commands_.Rename(config_.commands.rename);
  context_.denied = DeniedBy(config_.commands, commands_.renamed());
  pool_.SetCoherence(coherence_);
  if (cluster_ != nullptr) {
    cluster_->SetCoherence(coherence_);
  }
  coherence_.flights().SetSink(server_);
}

// Each user of the upstream gets links of its own, made as those of the pool are.
std::unique_ptr<Identities> Worker::MakeIdentities(Dialer& dialer) {
  if (LoginOf(config_) != LoginKind::kNobody) {
    return nullptr;
  }
  UserUpstreamMaker make;
  if (cluster_ != nullptr) {
    Cluster::Deps like = ClusterDeps(dialer);
    like.shared_stats = &cluster_->shared_stats();
    make = UserClusters(like, coherence_);
  } else {
    make = UserPools({.scheduler = scheduler_,
                      .dialer = dialer,
                      .topology = *topology_,
                      .config = config_.upstream,
                      .rng = rng_,
                      .commands = commands_,
                      .shared_stats = &pool_.shared_stats()},
                     coherence_);
  }
  return std::make_unique<Identities>(
      config_.upstream, scheduler_, std::move(make), identity_stats_,
      [this](const Upstream& upstream) { server_.CloseUsersOf(upstream); });
}

std::unique_ptr<Replicas> Worker::MakeReplicas(Dialer& dialer) {
  if (config_.upstream.read_from == "primary") {
    return nullptr;
  }
  if (cluster_ != nullptr) {
    return std::make_unique<ClusterReplicas>(
        ClusterReplicas::Deps{scheduler_, dialer, config_.upstream, rng_, commands_, coherence_,
                              *cluster_, replica_stats_});
  }
  return std::make_unique<ReplicaSet>(ReplicaSet::Deps{scheduler_, dialer, *topology_,
                                                       config_.upstream, rng_, commands_,
                                                       coherence_, pool_, replica_stats_});
}

void Worker::ConfigureAdaptive() {
  adaptive_.Configure(config_.l1.adaptive_stop, config_.l1.adaptive_stop_after,
                      config_.rules.size());
  l1_.SetUnreadObserver(adaptive_.on() ? this : nullptr);
}

void Worker::ConfigureVerify() {
  const config::UpstreamConfig& upstream = config_.upstream;
  const Duration bound = pool_.SilenceBound();  // the same of every pool of a cluster
  // Sidecars that share their settings have keys of their own, or they would hear one another.
  std::string canary = config_.verify.canary_key;
  if (!canary.empty()) {
    canary += ":" + std::to_string(rng_.Next());
  }
  canary_.Configure({.key = std::move(canary),
                     .db = upstream.db,
                     .interval = config_.verify.canary_interval,
                     .bound = bound,
                     .timeout = upstream.command_timeout});
  hit_touch_.Configure(config_.l1.touch_rate, upstream.command_timeout);
  hit_check_.Configure(
      {.rate = config_.verify.hit_rate, .bound = bound, .timeout = upstream.command_timeout});
}

void Worker::OnDiedUnread(std::string_view key) {
  adaptive_.NoteDiedUnread(context_.policy->ForKey(key, TrackingState::kArmed).rule);
}

void Worker::OnRuleStopped(std::int32_t rule, bool stopped) {
  std::string fields = "rule=" + Quoted(context_.policy->NameOfRule(rule));
  if (stopped) {
    const Duration left = adaptive_.StoppedFor(rule, scheduler_.Now());
    fields += " why=" + Quoted("its entries died before they were read") +
              " for_ms=" + std::to_string(ToMillis(left));
  }
  Log(LogLevel::kInfo, stopped ? "caching_stopped" : "caching_resumed", fields);
}

// Where what is published is heard, wherever it is published: at the primary, since replicas do not
// publish to it; in a cluster at any node that owns slots.
std::vector<Endpoint> Worker::SubscribeNodes() const {
  if (cluster_ != nullptr) {
    return cluster_->Primaries();
  }
  return topology_->has_primary() ? std::vector{topology_->Primary()} : std::vector<Endpoint>();
}

void Worker::OnMaintenance(bool on) {
  pool_.SetMaintenance(on);
  if (!on) {
    server_.WakeParked();
  }
}

void Worker::OnPrimaryChanged() {
  maintenance_.OnPrimaryChanged();
  pool_.OnPrimaryChanged();
  if (identities_ != nullptr) {
    identities_->OnPrimaryChanged();
  }
  if (replicas_ != nullptr) {
    replicas_->OnPrimaryChanged();
  }
}

std::unique_ptr<Cluster> Worker::MakeCluster(Dialer& dialer) {
  if (config_.upstream.topology != config::TopologyKind::kCluster) {
    return nullptr;
  }
  return std::make_unique<Cluster>(ClusterDeps(dialer));
}

Cluster::Deps Worker::ClusterDeps(Dialer& dialer) {
  return {.scheduler = scheduler_,
          .dialer = dialer,
          .config = config_.upstream,
          .tracking = config_.tracking.mode,
          .fill = config_.l1.enabled,
          .rng = rng_,
          .commands = commands_,
          .hasher = hasher_,
          .stats = cluster_stats_,
          .login = LoginOf(config_),
          .method = config_.tracking.method,
          .broadcast = config::BroadcastPrefixes(config_.rules)};
}

Worker::~Worker() {
  NC_CHECK(stopped_);
}

void Worker::Start() {
  turn_end_ = scheduler_.AtTurnEnd([this] { OnTurnEnd(); });
  tick_ = scheduler_.After(kTickInterval, [this] { OnTick(); });
  if (cluster_ != nullptr) {
    cluster_->Start();
  } else {
    topology_->Start(*this);
    pool_.Start(config_.l1.enabled);
    maintenance_.Start();
  }
  if (replicas_ != nullptr) {
    replicas_->Start();
  }
  events_.Tick();
}

// What a turn gathered leaves here: first what parked clients can now ask for, then requests to the
// upstream, then replies to clients, so that nothing waits for the next turn without need.
void Worker::OnTurnEnd() {
  // Writing may make room for clients that wait to be read; a bound keeps one turn from lasting.
  constexpr int kRounds = 16;
  const std::uint64_t made = upstream_stats().connects_ok.value();
  if (std::exchange(links_made_, made) != made && context_.held) {
    server_.WakeParked();
  }
  for (int round = 0; round == 0 || (round < kRounds && server_.has_resumable()); ++round) {
    server_.ResumeParked();
    hit_check_.Flush();
    if (replicas_ != nullptr) {
      replicas_->Flush();
    }
    if (cluster_ != nullptr) {
      cluster_->Flush();
    } else {
      pool_.Flush();
    }
    if (identities_ != nullptr) {
      identities_->Flush();
    }
    server_.Flush();
    if (context_.paused && !context_.quiet && NothingUnderWay()) {
      context_.quiet = true;
      server_.WakeParked();  // whoever asked for the pause is answered in the next round
    }
  }
  wake_ = server_.has_resumable() ? scheduler_.After(Duration::zero(), [] {}) : nullptr;
  coherence_.Tick(scheduler_.Now());
}

void Worker::OnTick() {
  server_.Tick();
  events_.Tick();
  adaptive_.Judge(scheduler_.Now());
  canary_.Tick();
  hit_check_.Tick();
  hit_touch_.Tick();
  Duration stale{};
  ForEachPool([&](const Pool& pool) { stale = std::max(stale, StaleAtMost(pool)); });
  coherence_.NoteStaleAtMost(stale);
  if (identities_ != nullptr) {
    identities_->Tick();
  }
  if (context_.held) {  // for some the time to wait may be over
    server_.WakeParked();
    context_.held = false;
    server_.ForEach([&](const Session& s) { context_.held = context_.held || s.held(); });
  }
  tick_ = scheduler_.After(kTickInterval, [this] { OnTick(); });
}

void Worker::Reload(const config::Config& config) {
  const bool policy_changed = !(config.l1 == config_.l1) || !(config.rules == config_.rules);
  const bool verify_changed = !(config.verify == config_.verify);
  const bool channels_changed = !(config.invalidation == config_.invalidation);
  config_ = config;
  if (channels_changed) {
    events_.Restart();
  }
  if (verify_changed) {
    ConfigureVerify();
  }
  context_.denied = DeniedBy(config_.commands, commands_.renamed());
  scripts_.SetBytesMax(config_.limits.scripts_bytes_max);
  if (identities_ != nullptr) {
    identities_->Reload();
  }
  if (!policy_changed) {
    return;
  }
  context_.policy = MakePolicy(config_);
  ConfigureAdaptive();
  coherence_.SetStaleMax(StaleMax(config_));
  l1_.SetBytesMax(config_.l1.bytes);
  l1_.SetVariantsMax(config_.l1.variants_max);
  coherence_.Flush(FlushReason::kAdmin);
  // Writes under way were judged by the old rules and hold nothing that only the new ones cache.
  context_.no_fill_before = scheduler_.Now() + Duration(config_.upstream.command_timeout);
}

Duration Worker::StaleAtMost(const Pool& pool) const {
  if (pool.tracking() != TrackingState::kTtlOnly) {
    return pool.SilenceBound();
  }
  Duration longest{};
  for (const config::RuleConfig& rule : config_.rules) {
    longest = std::max(longest, Duration(rule.ttl.value_or(config::Duration::zero())));
  }
  return longest;
}

void Worker::Stop() {
  if (stopped_) {
    return;
  }
  stopped_ = true;
  tick_.reset();
  topology_->Stop();
  maintenance_.Stop();
  events_.Stop();
  server_.CloseAll();
  if (replicas_ != nullptr) {
    replicas_->Stop();
  }
  if (cluster_ != nullptr) {
    cluster_->Shutdown();
  }
  if (identities_ != nullptr) {
    identities_->Shutdown();
  }
  pool_.Shutdown();
  coherence_.ReleaseAll();
  turn_end_.reset();
  wake_.reset();
}

std::size_t Worker::FlushCache(std::string_view prefix) {
  if (prefix.empty()) {
    const auto entries = static_cast<std::size_t>(l1_.entries());
    coherence_.Flush(FlushReason::kAdmin);
    return entries;
  }
  return coherence_.FlushPrefix(prefix);
}

void Worker::SetCacheEnabled(bool on) {
  if (context_.cache_enabled && !on) {
    coherence_.Flush(FlushReason::kAdmin);
  }
  context_.cache_enabled = on;
}

void Worker::SetPaused(bool on) {
  context_.paused = on;
  context_.quiet = false;
  server_.WakeParked();
}

// Requests of clients that have left count too: the pause is for what the server is asked.
bool Worker::NothingUnderWay() const {
  bool quiet = coherence_.flights().open() == 0;
  server_.ForEach([&](const Session& session) { quiet = quiet && !session.busy(); });
  const auto look = [&](const Pool& pool) {
    pool.ForEachShared([&](const Link& link) { quiet = quiet && link.awaited() == 0; });
  };
  ForEachPool(look);
  if (identities_ != nullptr) {
    identities_->ForEachPool(look);
  }
  return quiet;
}

void Worker::ForEachPool(const std::function<void(const Pool&)>& visit) const {
  if (cluster_ != nullptr) {
    cluster_->ForEachPool(visit);
  } else {
    visit(pool_);
  }
}

void Worker::Reconnect() {
  if (cluster_ != nullptr) {
    cluster_->Reconnect();
  } else {
    pool_.Reconnect();
  }
  if (identities_ != nullptr) {
    identities_->Reconnect();
  }
  if (replicas_ != nullptr) {
    replicas_->Reconnect();
  }
}

Explanation Worker::Explain(std::span<const std::string_view> command) {
  const CommandRow& row = commands_.Find(command);
  Explanation explanation = context_.policy->Explain(
      row, command,
      context_.fills.StateFor(CacheKey{.db = config_.upstream.db, .key = {}, .hash = 0}));
  for (Explanation::Key& key : explanation.keys) {
    const Duration left = adaptive_.StoppedFor(key.policy.rule, scheduler_.Now());
    if (!key.policy.cache || left == Duration::zero()) {
      continue;
    }
    key.policy.cache = false;
    key.policy.reason = Reason::kStopped;
    key.why = std::string(ReasonSentence(Reason::kStopped)) + "; it is tried again in " +
              std::to_string(ToMillis(left) / 1000 + 1) + " s";
    if (explanation.cacheable) {
      explanation.cacheable = false;
      explanation.reason = Reason::kStopped;
      explanation.why = key.why;
    }
  }
  return explanation;
}

}  // namespace nearcached
