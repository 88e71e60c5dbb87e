// What a reload may change.
//
// Thread: pure functions. Never throws.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace nearcached::config {

struct ReloadDiff {
  std::vector<std::string> applied_paths;  // changed, and reloadable; a list counts as one
  std::vector<std::string> refused;        // "path: reason", changed but only for a restart
  Config effective;  // what to run with: `current` with the applied paths taken from `next`

  bool changes_anything() const { return !applied_paths.empty(); }
};

// Compares row by row. `next` must have been loaded without problems. Should the mixture of old
// and new values not be consistent, everything is refused and `effective` is `current`.
ReloadDiff CompareForReload(const Config& current, const Config& next);

}  // namespace nearcached::config
