#include "daemon/app.h"

#include <csignal>
#include <random>
#include <sys/resource.h>
#include <utility>

#include "config/listen_address.h"
#include "config/reload.h"
#include "daemon/admin/process_metrics.h"
#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "daemon/metrics.h"
#include "daemon/net/fd_stream.h"

namespace nearcached {
namespace {

constexpr Duration kWatchInterval = std::chrono::milliseconds(100);
constexpr rlim_t kOwnDescriptors = 600;  // links, listeners, epoll, log, HTTP

std::uint64_t RandomSeed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

Endpoint EndpointOf(const config::ListenAddress& address) {
  Endpoint endpoint;
  endpoint.host = address.host;
  endpoint.port = address.port;
  endpoint.unix_path = address.unix_path;
  return endpoint;
}

config::ListenAddress AddressOf(const config::ListenerConfig& listener) {
  const auto parsed = config::ParseListenAddress(listener.address);
  NC_CHECK(parsed.ok());  // the loader has checked it
  return *parsed.value;
}

// Room for the clients that limits.clients_max promises, as far as the system allows.
void RaiseDescriptorLimit(std::uint32_t clients_max) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return;
  }
  const rlim_t wanted = clients_max + kOwnDescriptors;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur < wanted) {
    Log(LogLevel::kWarn, "few_descriptors",
        "have=" + std::to_string(limit.rlim_cur) + " wanted=" + std::to_string(wanted) +
            " remedy=\"raise the hard limit of open files (ulimit -n) or lower "
            "limits.clients_max\"");
  }
}

}  // namespace

App::App(config::Config config, Reloader reloader)
    : config_(std::move(config)),
      reloader_(std::move(reloader)),
      system_names_(loop_),
      names_(system_names_, loop_, config_.upstream.dns_ttl),
      dialer_(loop_, names_, config_.upstream.address_timeout),
      tls_(config_, loop_, dialer_),
      nearcache_(registry_, *this) {}

App::~App() {
  NC_CHECK(worker_ == nullptr || finished_);
}

Result<int> App::Run() {
  Signals::IgnoreSigpipe();
  RaiseDescriptorLimit(config_.limits.clients_max);
  if (const auto tls = tls_.Start(); !tls.ok()) {
    tls_.Stop();
    return tls.error();
  }
  auto sockets = Bind();
  if (!sockets.ok()) {
    tls_.Stop();
    return sockets.error();
  }
  worker_ = std::make_unique<Worker>(config_, loop_, tls_.dialer(), RandomSeed());
  worker_->SetAdmin(nearcache_);
  RegisterMetrics();
  const auto http = StartHttp();
  const auto listening = http.ok() ? StartListening(std::move(sockets).value()) : http;
  if (!listening.ok()) {
    Finish();
    return listening.error();
  }
  worker_->Start();
  started_at_ = loop_.Now();
  signals_ = std::make_unique<Signals>(loop_, [this](int number) { OnSignal(number); });
  turn_end_ = loop_.AtTurnEnd([this] {
    if (draining_ && worker_->drained()) {
      Finish();
    }
  });
  Watch();
  health_.is_listening = true;
  std::string where;
  for (const auto& listener : listeners_) {
    where += (where.empty() ? "" : ",") + listener->address().ToString();
  }
  Log(LogLevel::kInfo, "started",
      "version=" NEARCACHED_VERSION " listen=" + where + " upstream=" + worker_->UpstreamText() +
          " metrics=" + config_.metrics.address);
  loop_.Run();
  NC_CHECK(finished_);
  Log(LogLevel::kInfo, "stopped", "");
  http_.reset();
  return 0;
}

Result<std::vector<ListenSocket>> App::Bind() {
  std::vector<config::ListenerConfig> wanted = config_.listeners;
  if (!config_.admin.address.empty()) {
    config::ListenerConfig admin;
    admin.address = config_.admin.address;
    wanted.push_back(admin);
  }
  std::vector<ListenSocket> sockets;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const config::ListenAddress address = AddressOf(wanted[i]);
    ListenOptions options;
    options.unix_mode = wanted[i].unix_mode;
    auto socket = ListenSocket::Open(EndpointOf(address), options);
    if (!socket.ok()) {
      return socket.error();
    }
    sockets.push_back(std::move(socket).value());
    const bool is_admin_address = i == config_.listeners.size();
    const bool admin = config_.admin.address.empty() ? address.loopback() : is_admin_address;
    listener_contexts_.push_back(
        std::make_unique<ListenerContext>(ListenerContext{wanted[i], admin, is_admin_address}));
  }
  return sockets;
}

Result<bool> App::StartHttp() {
  health_.heartbeats_ns.push_back(&loop_.stats().heartbeat_ns);
  if (config_.metrics.address.empty()) {
    return true;
  }
  MetricsHttpOptions options;
  options.address = config_.metrics.address;
  auto http = MetricsHttp::Start(options, registry_, health_);
  if (!http.ok()) {
    return http.error();
  }
  http_ = std::move(http).value();
  return true;
}

Result<bool> App::StartListening(std::vector<ListenSocket> sockets) {
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    const ListenerContext& context = *listener_contexts_[i];
    auto listener = Listener::Start(
        loop_, std::move(sockets[i]),
        [this, &context, i](int fd, std::string peer) {
          worker_->Accept(context, [&](ByteStreamHandler& handler) {
            return tls_.Accept(i, handler, [&](ByteStreamHandler& beneath) {
              return FdStream::Adopt(loop_, fd, beneath, std::move(peer));
            });
          });
        },
        listener_stats_);
    if (!listener.ok()) {
      return listener.error();
    }
    listeners_.push_back(std::move(listener).value());
  }
  return true;
}

void App::RegisterMetrics() {
  RegisterWorkerMetrics(registry_, *worker_);
  RegisterLoopMetrics(registry_, loop_.stats(), loop_.stream_stats(), listener_stats_);
  RegisterTlsMetrics(registry_, tls_);
  RegisterResolverMetrics(registry_, names_.stats());
  RegisterProcessMetrics(registry_);
  RegisterReloadMetrics(registry_, reloads_);
}

Explanation App::Explain(std::span<const std::string_view> command) const {
  return worker_->Explain(command);
}

AdminRow App::State() const {
  const char* state = draining_            ? "draining"
                      : !worker_->paused() ? "running"
                      : worker_->quiet()   ? "paused"
                                           : "pausing";
  AdminRow row = {
      {"state", state},
      {"version", NEARCACHED_VERSION},
      {"uptime_seconds", ToMillis(loop_.Now() - started_at_) / 1000},
      {"clients", static_cast<std::int64_t>(worker_->server().active())},
      {"clients_max", std::int64_t{config_.limits.clients_max}},
      {"upstream", worker_->upstream_up() ? "up" : "down"},
      {"tracking", worker_->TrackingText()},
      {"cache", worker_->cache_enabled() && config_.l1.enabled ? "enabled" : "disabled"},
      {"entries", static_cast<std::int64_t>(worker_->l1().entries())},
      {"bytes", static_cast<std::int64_t>(worker_->l1().bytes_used())},
      {"bytes_max", static_cast<std::int64_t>(worker_->l1().bytes_max())}};
  if (worker_->cluster() != nullptr) {
    std::int64_t standing = 0;
    worker_->ForEachPool([&](const Pool& pool) { standing += pool.standing() ? 1 : 0; });
    row.emplace_back("nodes", worker_->cluster_stats().nodes.value());
    row.emplace_back("nodes_up", standing);
    row.emplace_back("slots_covered", worker_->cluster_stats().slots_covered.value());
  }
  return row;
}

// Not at once: whoever asks is in the middle of a request, and settings change between turns.
void App::RequestReload() {
  reload_soon_ = loop_.After(Duration::zero(), [this] { Reload(); });
}

void App::RequestShutdown() {
  shutdown_soon_ = loop_.After(Duration::zero(), [this] {
    if (!draining_) {
      StartDrain();
    }
  });
}

// Shows the HTTP threads what they may not ask the worker themselves.
void App::Watch() {
  health_.is_upstream_up = worker_->upstream_up();
  const auto state = worker_->upstream_stats().tracking_state.value();
  health_.tracking = state == 2   ? TrackingState::kArmed
                     : state == 1 ? TrackingState::kTtlOnly
                                  : TrackingState::kDown;
  watch_ = loop_.After(kWatchInterval, [this] { Watch(); });
}

void App::OnSignal(int signal_number) {
  if (signal_number == SIGHUP) {
    Reload();
  } else if (signal_number == SIGTERM && !draining_) {
    StartDrain();
  } else {
    Finish();
  }
}

void App::StartDrain() {
  draining_ = true;
  health_.is_draining = true;
  Log(LogLevel::kInfo, "draining",
      "clients=" + std::to_string(worker_->server().active()) +
          " timeout_ms=" + std::to_string(config_.drain.timeout.count()));
  listeners_.clear();
  worker_->StartDrain();
  drain_deadline_ = loop_.After(config_.drain.timeout, [this] {
    Log(LogLevel::kWarn, "drain_timeout", "clients=" + std::to_string(worker_->server().active()));
    Finish();
  });
}

void App::Reload() {
  tls_.Refresh();
  const config::LoadResult loaded = reloader_();
  if (!loaded.ok()) {
    reloads_.failed.Add();
    for (const auto& problem : loaded.problems) {
      Log(LogLevel::kError, "reload_failed", "why=" + Quoted(problem.ToString()));
    }
    return;
  }
  const config::ReloadDiff diff = config::CompareForReload(config_, loaded.config);
  for (const std::string& refused : diff.refused) {
    Log(LogLevel::kWarn, "reload_refused", "why=" + Quoted(refused));
  }
  for (const std::string& path : diff.applied_paths) {
    Log(LogLevel::kInfo, "reload_applied", "path=" + path);
  }
  (diff.refused.empty() ? reloads_.ok : reloads_.failed).Add();
  config_ = diff.effective;
  LogLevel level = LogLevel::kInfo;
  if (ParseLogLevel(config_.log.level, level)) {
    SetLogLevel(level);
  }
  worker_->Reload(config_);
}

void App::Finish() {
  if (std::exchange(finished_, true)) {
    return;
  }
  listeners_.clear();
  signals_.reset();
  watch_.reset();
  drain_deadline_.reset();
  reload_soon_.reset();
  shutdown_soon_.reset();
  turn_end_.reset();
  worker_->Stop();
  tls_.Stop();
  loop_.Stop();
}

}  // namespace nearcached
