// TlsCredentials: the TLS context of one use (the upstream, or a listener), made anew when its
// files change, so that certificates are renewed without a restart and without losing a connection.
//
// Files are looked at on a timer rather than watched: Kubernetes swaps a symbolic link two folders
// up, tools write in place or rename, network file systems tell nobody; a stat sees all of it. A
// file that cannot be used leaves the context in place that can. Owned by app; loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/counter.h"
#include "daemon/base/scheduler.h"
#include "daemon/net/tls_context.h"
#include "daemon/net/tls_stats.h"

namespace nearcached {

class TlsCredentials {
 public:
  static constexpr Duration kCheckInterval = std::chrono::seconds(2);

  // `use` is for the log: "upstream", "listener 127.0.0.1:6380". The scheduler and `stats` outlive
  // this object.
  TlsCredentials(std::string use, TlsOptions options, Scheduler& scheduler, TlsStats& stats);
  TlsCredentials(const TlsCredentials&) = delete;
  TlsCredentials& operator=(const TlsCredentials&) = delete;
  ~TlsCredentials() = default;

  // The first load. Nothing but warnings: from now on current() is set, and the files are looked at
  // every kCheckInterval until Stop().
  [[nodiscard]] std::vector<TlsProblem> Start();
  void Stop() { timer_.reset(); }

  // Takes over files that have changed since the last look; kept as they were if they are no use.
  // Failures are logged and counted, once for each change.
  void Refresh();

  // REQUIRES: started.
  [[nodiscard]] const std::shared_ptr<TlsContext>& current() const { return current_; }
  [[nodiscard]] const std::string& use() const { return use_; }
  // The end of our certificate, seconds since 1970; 0 when there is none.
  [[nodiscard]] const Gauge& certificate_ends() const { return certificate_ends_; }

 private:
  // What tells a file, or what its path leads to, from the one before.
  struct Stamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = -1;  // not there
    std::int64_t changed_ns = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };

  [[nodiscard]] std::vector<Stamp> LookAtFiles() const;
  void Adopt(std::shared_ptr<TlsContext> context);
  void Schedule();

  const std::string use_;
  const TlsOptions options_;
  Scheduler& scheduler_;
  TlsStats& stats_;
  std::shared_ptr<TlsContext> current_;
  std::vector<Stamp> seen_;
  Gauge certificate_ends_;
  std::unique_ptr<Timer> timer_;
};

}  // namespace nearcached
