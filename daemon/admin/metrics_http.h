// MetricsHttp: the HTTP side of the daemon, on its own address and its own threads.
//
//   /metrics     everything in the exposition format
//   /startup     200 once all listeners are open           (health_state.h says what each means)
//   /liveness    200 while the event loops turn
//   /readiness   200 while connections are taken
//   /            links to these
//
// GET and HEAD only; anything else is 404 or 405. It never touches a loop: a loop that hangs can
// still be seen to hang, and it answers until it is destroyed, which app does last of all.
// metrics_http.cc is the only file that names civetweb. Owned by app.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "daemon/admin/health_state.h"
#include "daemon/admin/metric_snapshot.h"
#include "daemon/base/result.h"
#include "daemon/base/time.h"

struct mg_context;
struct mg_connection;

namespace nearcached {

struct MetricsHttpOptions {
  // "127.0.0.1:9380", "[::1]:9380", "localhost:9380"; port 0 lets the kernel choose. Whether a
  // non-loopback address may be used is decided by the configuration's validation, not here.
  std::string address = "127.0.0.1:9380";
  Duration liveness_silence_max = std::chrono::seconds(10);
  MonoTime (*clock)() = &std::chrono::steady_clock::now;  // called on the HTTP threads
};

class MetricsHttp {
 public:
  // Listens and starts the threads. `source` and `health` are borrowed and read on those threads
  // until the returned object is destroyed. Errors: kInvalid (address), kUnavailable (in use).
  [[nodiscard]] static Result<std::unique_ptr<MetricsHttp>> Start(const MetricsHttpOptions& options,
                                                                  const MetricsSource& source,
                                                                  const HealthState& health);
  MetricsHttp(const MetricsHttp&) = delete;
  MetricsHttp& operator=(const MetricsHttp&) = delete;
  // Stops listening, lets a request under way finish, and joins the threads: milliseconds, or up to
  // two seconds when a client is connected that says nothing.
  ~MetricsHttp();

  // The port that is really listened on.
  [[nodiscard]] int port() const { return port_; }

 private:
  MetricsHttp(const MetricsHttpOptions& options, const MetricsSource& source,
              const HealthState& health);

  static int OnRequest(mg_connection* connection) noexcept;
  [[nodiscard]] int Answer(mg_connection* connection) const;

  const MetricsHttpOptions options_;
  const MetricsSource& source_;
  const HealthState& health_;
  mg_context* server_ = nullptr;
  std::string host_;  // the numeric address listened on, without brackets
  int port_ = 0;
};

}  // namespace nearcached
