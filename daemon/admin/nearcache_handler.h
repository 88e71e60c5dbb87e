// NearcacheHandler: carries out NEARCACHE for the sessions of one worker.
//
// Owned by app, one per worker; loop thread only.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "daemon/admin/admin_row.h"
#include "daemon/admin/metric_snapshot.h"
#include "daemon/admin/nearcache_command.h"
#include "daemon/policy/cache_policy.h"
#include "daemon/session/session_context.h"

namespace nearcached {

// What the command acts on. Implemented by app, which knows all workers.
class NearcacheBackend {
 public:
  // The configuration in effect.
  [[nodiscard]] virtual const config::Config& CurrentConfig() const = 0;

  // What would become of `command` at this moment.
  [[nodiscard]] virtual Explanation Explain(std::span<const std::string_view> command) const = 0;

  // Forgets the cached keys that start with `prefix` (all of them if it is empty), in every
  // database, and returns how many entries that were.
  virtual std::size_t FlushCache(std::string_view prefix) = 0;

  // Forgets these keys, in every database, and returns how many entries that were.
  virtual std::size_t Invalidate(std::span<const std::string_view> keys) = 0;

  // Off: reads are forwarded, and nothing is looked up or stored until it is on again.
  virtual void SetCacheEnabled(bool on) = 0;

  // What there is, as NEARCACHE shows it.
  [[nodiscard]] virtual std::vector<AdminRow> Pools() const = 0;
  [[nodiscard]] virtual std::vector<AdminRow> Upstreams() const = 0;
  [[nodiscard]] virtual std::vector<AdminRow> Clients() const = 0;
  [[nodiscard]] virtual std::vector<AdminRow> Tracking() const = 0;
  [[nodiscard]] virtual AdminRow State() const = 0;

  // On: requests that need the upstream wait from now on. `paused` tells whether that is so, and
  // `quiet` whether those that were under way have ended.
  virtual void SetPaused(bool on) = 0;
  [[nodiscard]] virtual bool paused() const = 0;
  [[nodiscard]] virtual bool quiet() const = 0;

  // Replaces every link to the upstream, each as it becomes idle.
  virtual void Reconnect() = 0;
  // Closes a client. False: there is none with this id.
  virtual bool KillClient(std::uint64_t id) = 0;
  // Both happen after this turn of the loop.
  virtual void RequestReload() = 0;
  virtual void RequestShutdown() = 0;

 protected:
  ~NearcacheBackend() = default;
};

class NearcacheHandler final : public AdminHandler {
 public:
  // Both are borrowed and outlive the handler.
  NearcacheHandler(const MetricsSource& metrics, NearcacheBackend& backend)
      : metrics_(metrics), backend_(backend) {}

  Verdict Handle(const Request& request, std::string& out) override;

 private:
  void Show(const NearcacheRequest& what, const Request& request, std::string& out);
  Verdict Operate(const NearcacheRequest& what, const Request& request, std::string& out);

  const MetricsSource& metrics_;
  NearcacheBackend& backend_;
};

}  // namespace nearcached
