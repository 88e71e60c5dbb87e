// TlsService: all the TLS of one process: credentials, the memory its streams share, its numbers.
//
// Owned by app; outlives every stream. Loop thread only; the numbers may be read anywhere.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "config/config.h"
#include "daemon/base/result.h"
#include "daemon/net/tls_credentials.h"
#include "daemon/net/tls_dialer.h"
#include "daemon/net/tls_stream.h"

namespace nearcached {

class TlsService {
 public:
  // `scheduler` and `sockets`, which dials what is beneath TLS, outlive this object.
  TlsService(const config::Config& config, Scheduler& scheduler, Dialer& sockets);
  ~TlsService() = default;
  TlsService(const TlsService&) = delete;
  TlsService& operator=(const TlsService&) = delete;

  // Reads all certificates. The error names the setting. From here on changed files are noticed.
  Result<bool> Start();
  // Looks for changed files now (SIGHUP).
  void Refresh();
  // Nothing is left on the scheduler afterwards.
  void Stop();

  [[nodiscard]] Dialer& dialer() { return dialer_; }
  // A client of listener `index` of the configuration: encrypted if that listener says so.
  [[nodiscard]] std::unique_ptr<ByteStream> Accept(std::size_t index, ByteStreamHandler& handler,
                                                   const TlsStream::OpenBeneath& open);

  [[nodiscard]] const TlsStats& upstream_stats() const { return upstream_stats_; }
  [[nodiscard]] const TlsStats& listener_stats() const { return listener_stats_; }
  // Null where no TLS is configured; listeners are counted as in the configuration.
  [[nodiscard]] const TlsCredentials* upstream() const { return upstream_.get(); }
  // Null where the sentinels have none of their own.
  [[nodiscard]] const TlsCredentials* sentinels() const { return sentinels_.get(); }
  [[nodiscard]] const std::vector<std::unique_ptr<TlsCredentials>>& listeners() const {
    return listeners_;
  }

 private:
  // Calls `visit` for all credentials there are, until it returns false.
  template <typename Visit>
  void ForEach(const Visit& visit);

  Scheduler& scheduler_;
  TlsScratch scratch_;
  TlsStats upstream_stats_;
  TlsStats listener_stats_;
  std::unique_ptr<TlsCredentials> upstream_;
  std::unique_ptr<TlsCredentials> sentinels_;
  std::vector<std::unique_ptr<TlsCredentials>> listeners_;
  std::vector<Duration> handshake_timeouts_;  // of the listeners
  TlsDialer dialer_;
};

}  // namespace nearcached
