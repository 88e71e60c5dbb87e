// The composition root: builds everything in dependency order, runs it, and takes it down again.
//
// Start: sockets are bound first, so that every startup error is one clear line and nothing has
// begun; then HTTP, the worker, the listeners. End: SIGTERM stops listening and drains (deadline
// drain.timeout), SIGINT or a second SIGTERM ends at once, SIGHUP reloads. /metrics answers until
// the loop has ended. Owned by main; main thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/loader.h"
#include "daemon/admin/health_state.h"
#include "daemon/admin/metric_registry.h"
#include "daemon/admin/metrics_http.h"
#include "daemon/admin/nearcache_handler.h"
#include "daemon/base/result.h"
#include "daemon/metrics.h"
#include "daemon/net/cached_resolver.h"
#include "daemon/net/listener.h"
#include "daemon/net/signals.h"
#include "daemon/net/uv_loop.h"
#include "daemon/tls_service.h"
#include "daemon/upstream/hiredis_dialer.h"
#include "daemon/worker.h"
#include "daemon/worker_rows.h"

namespace nearcached {

class App final : private NearcacheBackend {
 public:
  // Loads the settings again, from where they came at the start.
  using Reloader = std::function<config::LoadResult()>;

  App(config::Config config, Reloader reloader);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Binds, starts, runs until told to end. The error is for people; nothing runs after one.
  Result<int> Run();

 private:
  [[nodiscard]] const config::Config& CurrentConfig() const override { return config_; }
  [[nodiscard]] Explanation Explain(std::span<const std::string_view> command) const override;
  std::size_t FlushCache(std::string_view prefix) override { return worker_->FlushCache(prefix); }
  std::size_t Invalidate(std::span<const std::string_view> keys) override {
    return worker_->Invalidate(keys);
  }
  void SetCacheEnabled(bool on) override { worker_->SetCacheEnabled(on); }
  [[nodiscard]] std::vector<AdminRow> Pools() const override { return PoolRows(*worker_); }
  [[nodiscard]] std::vector<AdminRow> Upstreams() const override { return UpstreamRows(*worker_); }
  [[nodiscard]] std::vector<AdminRow> Clients() const override {
    return ClientRows(*worker_, loop_.Now());
  }
  [[nodiscard]] std::vector<AdminRow> Tracking() const override { return TrackingRows(*worker_); }
  [[nodiscard]] AdminRow State() const override;
  void SetPaused(bool on) override { worker_->SetPaused(on); }
  [[nodiscard]] bool paused() const override { return worker_->paused(); }
  [[nodiscard]] bool quiet() const override { return worker_->quiet(); }
  void Reconnect() override { worker_->Reconnect(); }
  bool KillClient(std::uint64_t id) override { return worker_->Kill(id); }
  void RequestReload() override;
  void RequestShutdown() override;

  Result<std::vector<ListenSocket>> Bind();
  Result<bool> StartHttp();
  Result<bool> StartListening(std::vector<ListenSocket> sockets);
  void RegisterMetrics();
  void OnSignal(int signal_number);
  void StartDrain();
  void Reload();
  void Finish();
  void Watch();

  config::Config config_;
  const Reloader reloader_;
  UvLoop loop_;
  UvResolver system_names_;
  CachedResolver names_;
  HiredisDialer dialer_;
  TlsService tls_;
  MetricRegistry registry_;
  HealthState health_;
  ListenerStats listener_stats_;
  ReloadStats reloads_;
  std::vector<std::unique_ptr<ListenerContext>> listener_contexts_;
  std::unique_ptr<Worker> worker_;
  NearcacheHandler nearcache_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unique_ptr<Signals> signals_;
  std::unique_ptr<Timer> watch_;
  std::unique_ptr<Timer> drain_deadline_;
  std::unique_ptr<Timer> turn_end_;
  std::unique_ptr<Timer> reload_soon_;    // NEARCACHE RELOAD
  std::unique_ptr<Timer> shutdown_soon_;  // NEARCACHE SHUTDOWN
  MonoTime started_at_{};
  std::unique_ptr<MetricsHttp> http_;
  bool draining_ = false;
  bool finished_ = false;
};

}  // namespace nearcached
