#include "daemon/tls_service.h"

#include <string>

#include "daemon/base/log.h"
#include "daemon/tls_settings.h"

namespace nearcached {
namespace {

std::unique_ptr<TlsCredentials> UpstreamCredentials(const config::Config& config,
                                                    Scheduler& scheduler, TlsStats& stats) {
  if (!config.upstream.tls.enabled) {
    return nullptr;
  }
  return std::make_unique<TlsCredentials>("upstream", OptionsOf(config.upstream.tls), scheduler,
                                          stats);
}

std::unique_ptr<TlsCredentials> SentinelCredentials(const config::Config& config,
                                                    Scheduler& scheduler, TlsStats& stats) {
  const config::UpstreamConfig& upstream = config.upstream;
  if (upstream.topology != config::TopologyKind::kSentinel || upstream.sentinel.tls.mode != "own") {
    return nullptr;
  }
  return std::make_unique<TlsCredentials>("sentinels", OptionsOf(upstream.sentinel.tls), scheduler,
                                          stats);
}

Result<bool> StartOne(TlsCredentials& credentials) {
  for (const TlsProblem& problem : credentials.Start()) {
    const std::string sentence = std::string(problem.option) + ": " + problem.message;
    if (!problem.is_warning) {
      return Error{Code::kInvalid, "TLS of the " + credentials.use() + ": " + sentence};
    }
    Log(LogLevel::kWarn, "tls_warning",
        "use=" + Quoted(credentials.use()) + " why=" + Quoted(sentence));
  }
  return true;
}

}  // namespace

TlsService::TlsService(const config::Config& config, Scheduler& scheduler, Dialer& sockets)
    : scheduler_(scheduler),
      upstream_(UpstreamCredentials(config, scheduler, upstream_stats_)),
      sentinels_(SentinelCredentials(config, scheduler, upstream_stats_)),
      // Before the link gives up for want of a connection, so that the reason given is the real
      // one.
      dialer_(sockets, upstream_.get(), sentinels_.get(),
              {scheduler, scratch_, upstream_stats_,
               Duration(config.upstream.connect_timeout) * 3 / 4}) {
  for (const config::ListenerConfig& listener : config.listeners) {
    listeners_.push_back(listener.tls.enabled()
                             ? std::make_unique<TlsCredentials>("listener " + listener.address,
                                                                OptionsOf(listener.tls), scheduler,
                                                                listener_stats_)
                             : nullptr);
    handshake_timeouts_.emplace_back(listener.tls.handshake_timeout);
  }
}

template <typename Visit>
void TlsService::ForEach(const Visit& visit) {
  if ((upstream_ != nullptr && !visit(*upstream_)) ||
      (sentinels_ != nullptr && !visit(*sentinels_))) {
    return;
  }
  for (const auto& listener : listeners_) {
    if (listener != nullptr && !visit(*listener)) {
      return;
    }
  }
}

Result<bool> TlsService::Start() {
  Result<bool> started = true;
  ForEach([&](TlsCredentials& credentials) {
    started = StartOne(credentials);
    return started.ok();
  });
  return started;
}

void TlsService::Refresh() {
  ForEach([](TlsCredentials& credentials) {
    credentials.Refresh();
    return true;
  });
}

void TlsService::Stop() {
  ForEach([](TlsCredentials& credentials) {
    credentials.Stop();
    return true;
  });
}

std::unique_ptr<ByteStream> TlsService::Accept(std::size_t index, ByteStreamHandler& handler,
                                               const TlsStream::OpenBeneath& open) {
  if (index >= listeners_.size() || listeners_[index] == nullptr) {
    return open(handler);
  }
  return std::make_unique<TlsStream>(
      TlsPeer{listeners_[index]->current(), {}, {}},
      TlsEnvironment{scheduler_, scratch_, listener_stats_, handshake_timeouts_[index]}, handler,
      open);
}

}  // namespace nearcached
