// The product under test: daemon/worker.h, composed as daemon/app.cc composes it.
#include "tests/sim/product.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "config/config.h"
#include "daemon/worker.h"
#include "tests/sim/announcements.h"

namespace nearcached::sim {
namespace {

config::Duration Millis(Duration d) {
  return std::chrono::duration_cast<config::Duration>(d);
}

config::Config MakeConfig(const ProductSetup& setup) {
  config::Config config;
  config::UpstreamConfig& upstream = config.upstream;
  upstream.password = setup.password;
  upstream.identity = setup.identity ? "client" : "shared";
  if (!setup.hosts.empty()) {
    upstream.topology = setup.cluster     ? config::TopologyKind::kCluster
                        : setup.sentinels ? config::TopologyKind::kSentinel
                                          : config::TopologyKind::kReplicated;
    upstream.cluster_refresh_interval = Millis(setup.map_interval);
    upstream.sentinel.master_name = "m";
    upstream.nodes.clear();
    for (const std::string& host : setup.hosts) {
      upstream.nodes.push_back(*config::ParseHostPort(host, 0).value);
    }
  }
  upstream.read_from = setup.read_from;
  upstream.replica_lag_max = Millis(setup.replica_lag_max);
  upstream.connect_timeout = Millis(setup.connect_timeout);
  upstream.command_timeout = Millis(setup.request_timeout);
  upstream.links = static_cast<std::uint32_t>(setup.links);
  upstream.fill_links = static_cast<std::uint32_t>(setup.fill_links);
  upstream.pool.max_active = static_cast<std::uint32_t>(setup.exclusive_links_max);
  upstream.link_pipeline_max = static_cast<std::uint32_t>(setup.link_pipeline_max);
  upstream.max_hold = Millis(setup.max_hold);
  upstream.maintenance_key = setup.maintenance_key;
  config.l1.stale_if_error = Millis(setup.stale_if_error);
  upstream.pool.max_wait = Millis(setup.exclusive_max_wait);
  upstream.pool.max_lifetime = Millis(setup.link_max_lifetime);
  upstream.pool.test_on_borrow = setup.test_on_borrow;
  upstream.pool.min_idle = static_cast<std::uint32_t>(setup.exclusive_min_idle);
  upstream.health_interval = Millis(setup.probe_interval);
  upstream.health_misses = static_cast<std::uint32_t>(setup.probe_misses);
  upstream.reconnect_delay_max = Millis(setup.reconnect_delay_max);
  config.l1.bytes = setup.l1_bytes;
  config.l1.ttl = Millis(setup.l1_ttl);
  config.l1.negative_ttl = Millis(setup.l1_ttl / 2);
  config.l1.variants_max = static_cast<std::uint32_t>(setup.variants_max);
  if (setup.adaptive_stop_after > 0) {
    config.l1.adaptive_stop = "all";
    config.l1.adaptive_stop_after = static_cast<std::uint32_t>(setup.adaptive_stop_after);
  }
  if (setup.all_reads) {
    config.l1.commands = {"all"};
  }
  // A rule with a TTL of its own is what permits caching where the server does not track.
  config::RuleConfig rule;
  rule.ttl = Millis(setup.l1_ttl);
  config.rules.push_back(rule);
  if (setup.read_from != "primary") {  // what no rule caches is what may be read from replicas
    for (const char* prefix : {"k", "n", "h"}) {
      config::RuleConfig uncached;
      uncached.prefix = prefix;
      uncached.cache = false;
      config.rules.push_back(uncached);
    }
  }
  config.tracking.mode =
      setup.tracking ? config::TrackingConfig::Mode::kAuto : config::TrackingConfig::Mode::kOff;
  if (setup.verify) {
    config.verify.canary_key = "canary";
    config.verify.canary_interval = std::chrono::milliseconds(100);
    config.verify.hit_rate = 0.2;
  }
  if (setup.events) {
    config.invalidation.channels = {Announcements::kChannel};
    config.invalidation.origin = "me";
  }
  using Method = config::TrackingConfig::Method;
  config.tracking.method = setup.method == "redirect" ? Method::kRedirect
                           : setup.method == "bcast"  ? Method::kBcast
                                                      : Method::kAuto;
  config.coalescing.enabled = setup.coalescing;
  config.limits.clients_max = static_cast<std::uint32_t>(setup.clients_max);
  config.limits.output_bytes_max = setup.output_bytes_max;
  config.limits.stream_above = setup.stream_above;
  config.limits.pipeline_max = static_cast<std::uint32_t>(setup.pipeline_max);
  config.drain.timeout = Millis(setup.drain_deadline);
  return config;
}

class WorkerProduct final : public Product {
 public:
  WorkerProduct(const ProductSetup& setup, Scheduler& scheduler, Dialer& dialer)
      : scheduler_(scheduler),
        config_(MakeConfig(setup)),
        worker_(std::make_unique<Worker>(config_, scheduler, dialer, setup.seed)) {
    listener_.config = config_.listeners.front();
    worker_->Start();
    meddle_every_ = setup.meddle_every;
    Meddle();
    turn_end_ = scheduler_.AtTurnEnd([this] {
      WatchStale();
      if (draining_ && worker_->drained()) {
        Finish();
      }
    });
  }
  WorkerProduct(const WorkerProduct&) = delete;
  WorkerProduct& operator=(const WorkerProduct&) = delete;
  ~WorkerProduct() override { Finish(); }

  bool Accept(OpenStream open) override {
    if (draining_) {
      return false;  // the listeners are closed
    }
    worker_->Accept(listener_, open);
    return true;
  }

  void StartDrain() override {
    draining_ = true;
    worker_->StartDrain();
    deadline_ = scheduler_.After(Duration(config_.drain.timeout), [this] { Finish(); });
  }

  [[nodiscard]] bool idle() const override { return finished_; }

  [[nodiscard]] std::string CheckState() const override {
    worker_->l1().CheckInvariants();  // aborts, naming the line
    if (stale_while_up_) {
      return "a stale value was served though the upstream could be asked";
    }
    if (worker_->hit_check_stats().broken.value() > 0) {
      return "a hit was stale for longer than the bound, as the product itself found";
    }
    const L1& l1 = worker_->l1();
    if (l1.bytes_used() > l1.bytes_max()) {
      return "L1 uses " + std::to_string(l1.bytes_used()) + " of " +
             std::to_string(l1.bytes_max()) + " bytes";
    }
    const auto active = static_cast<std::int64_t>(worker_->server().active());
    if (worker_->session_stats().active.value() != active) {
      return "the gauge of active clients is " +
             std::to_string(worker_->session_stats().active.value()) + ", there are " +
             std::to_string(active);
    }
    const auto open = static_cast<std::int64_t>(worker_->coherence().flights().open());
    if (worker_->coherence().flights().stats().open.value() != open) {
      return "the gauge of open flights is " +
             std::to_string(worker_->coherence().flights().stats().open.value()) + ", there are " +
             std::to_string(open);
    }
    std::string wrong;
    worker_->ForEachPool([&](const Pool& pool) {
      if (wrong.empty()) {
        wrong = CheckPool(pool);
      }
    });
    return wrong;
  }

  [[nodiscard]] std::string CheckDrained() const override {
    std::string left;
    const auto expect_zero = [&left](const char* what, std::int64_t value) {
      if (value != 0) {
        left.append(left.empty() ? "left after the drain: " : ", ")
            .append(what)
            .append(" ")
            .append(std::to_string(value));
      }
    };
    const UpstreamStats& upstream = worker_->upstream_stats();
    const FlightStats& flights = worker_->coherence().flights().stats();
    expect_zero("clients", worker_->session_stats().active.value());
    expect_zero("resp3 clients", worker_->session_stats().resp3.value());
    expect_zero("pinned clients", worker_->session_stats().pinned.value());
    expect_zero("unanswered", static_cast<std::int64_t>(worker_->server().unanswered()));
    expect_zero("links ready", upstream.links_ready.value());
    expect_zero("requests in flight", upstream.inflight.value());
    expect_zero("exclusive links lent", upstream.exclusive_active.value());
    expect_zero("exclusive links idle", upstream.exclusive_idle.value());
    expect_zero("waiting for an exclusive link", upstream.exclusive_waiting.value());
    worker_->ForEachPool([&](const Pool& pool) {
      expect_zero("exclusive links promised",
                  static_cast<std::int64_t>(pool.exclusive().promised()));
    });
    expect_zero("requests held for a slot", worker_->cluster_stats().requests_held.value());
    expect_zero("flights", flights.open.value());
    expect_zero("waiters", flights.waiters.value());
    expect_zero("holds", worker_->coherence().stats().holds.value());
    expect_zero("pinned bytes", worker_->l1().stats().pinned_bytes.value());
    expect_zero("not idle coherence", worker_->coherence().idle() ? 0 : 1);
    return left;
  }

  [[nodiscard]] ProductFigures figures() const override {
    const SessionStats& session = worker_->session_stats();
    const FlightStats& flights = worker_->coherence().flights().stats();
    ProductFigures figures;
    figures.hits = session.hits.value();
    figures.stale = session.stale_served.value();
    figures.misses = session.misses.value();
    figures.coalesced = flights.coalesced.value();
    figures.fills = flights.fills_stored.value();
    figures.fills_refused = flights.fills_poisoned.value() + flights.fills_refused.value();
    return figures;
  }

 private:
  // stale_if_error: in a turn in which every node is there nothing stale is served.
  void WatchStale() {
    bool up = true;
    worker_->ForEachPool([&](const Pool& pool) { up = up && !pool.gate().away(); });
    const std::uint64_t served = worker_->session_stats().stale_served.value();
    // It may have opened and closed again within the turn.
    const std::uint64_t opened = worker_->upstream_stats().breaker_opened.value();
    stale_while_up_ =
        stale_while_up_ || (up && was_up_ && opened == breaker_opened_ && served != stale_served_);
    was_up_ = up;
    breaker_opened_ = opened;
    stale_served_ = served;
  }

  // What an administrator may do at any time without harming anybody.
  void Meddle() {
    if (meddle_every_ == Duration::zero()) {
      return;
    }
    meddler_ = scheduler_.After(meddle_every_, [this] {
      if (++meddled_ % 3 == 0) {
        worker_->SetPaused(true);
        meddler_ = scheduler_.After(std::chrono::milliseconds(5), [this] {
          worker_->SetPaused(false);
          Meddle();
        });
        return;
      }
      worker_->Reconnect();
      Meddle();
    });
  }

  // Empty, or which of its bounds the pool is beyond.
  [[nodiscard]] std::string CheckPool(const Pool& pool) const {
    const ExclusivePool& exclusive = pool.exclusive();
    if (exclusive.links() > config_.upstream.pool.max_active) {
      return std::to_string(exclusive.links()) + " exclusive links, upstream.pool.max_active is " +
             std::to_string(config_.upstream.pool.max_active);
    }
    // A lane carries its limit, a handful of each client beyond it, and the daemon's own questions.
    const std::size_t most = std::max<std::size_t>(config_.upstream.link_pipeline_max, 16) +
                             16 * worker_->session_stats().accepted.value() + 8;
    std::size_t longest = 0;
    pool.ForEachShared([&](const Link& link) {
      if (link.spec().purpose == Link::Purpose::kLane) {
        longest = std::max(longest, link.awaited());
      }
    });
    if (longest > most) {
      return std::to_string(longest) + " requests awaited on one lane, at most " +
             std::to_string(most) + " were to be";
    }
    const std::size_t clients = worker_->server().active();
    if (exclusive.waiting() > clients) {
      return std::to_string(exclusive.waiting()) + " wait for an exclusive link, there are " +
             std::to_string(clients) + " clients";
    }
    return {};
  }

  void Finish() {
    if (std::exchange(finished_, true)) {
      return;
    }
    deadline_.reset();
    meddler_.reset();
    turn_end_.reset();
    worker_->Stop();
  }

  Scheduler& scheduler_;
  const config::Config config_;
  ListenerContext listener_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Timer> turn_end_;
  std::unique_ptr<Timer> deadline_;
  std::unique_ptr<Timer> meddler_;
  Duration meddle_every_{};
  int meddled_ = 0;
  bool was_up_ = false;
  bool stale_while_up_ = false;
  std::uint64_t stale_served_ = 0;
  std::uint64_t breaker_opened_ = 0;
  bool draining_ = false;
  bool finished_ = false;
};

}  // namespace

ProductFactory MakeProductFactory() {
  return [](const ProductSetup& setup, Scheduler& scheduler, Dialer& dialer) {
    return std::make_unique<WorkerProduct>(setup, scheduler, dialer);
  };
}

}  // namespace nearcached::sim
