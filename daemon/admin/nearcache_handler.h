// NearcacheHandler: carries out NEARCACHE for the sessions of one worker.
//
// Owned by app, one per worker; loop thread only.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "config/config.h"
#include "daemon/admin/metric_snapshot.h"
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

  // Off: reads are forwarded, and nothing is looked up or stored until it is on again.
  virtual void SetCacheEnabled(bool on) = 0;

 protected:
  ~NearcacheBackend() = default;
};

class NearcacheHandler final : public AdminHandler {
 public:
  // Both are borrowed and outlive the handler.
  NearcacheHandler(const MetricsSource& metrics, NearcacheBackend& backend)
      : metrics_(metrics), backend_(backend) {}

  void Handle(const Request& request, std::string& out) override;

 private:
  const MetricsSource& metrics_;
  NearcacheBackend& backend_;
};

}  // namespace nearcached
