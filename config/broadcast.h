// Which keys a server is asked to tell every change of, with tracking.method: bcast.
// Pure functions; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace nearcached::config {

// The prefixes of the rules that cache. Empty: of every key, because no rule caches, or one has the
// empty prefix. Where it is not empty, keys without such a rule are announced by nobody.
inline std::vector<std::string> BroadcastPrefixes(std::span<const RuleConfig> rules) {
  std::vector<std::string> prefixes;
  for (const RuleConfig& rule : rules) {
    if (rule.cache && rule.prefix.empty()) {
      return {};
    }
    if (rule.cache) {
      prefixes.push_back(rule.prefix);
    }
  }
  return prefixes;
}

// Whether some key begins with both. A server refuses two such prefixes of one connection.
constexpr bool PrefixesOverlap(std::string_view a, std::string_view b) {
  return a.starts_with(b) || b.starts_with(a);
}

}  // namespace nearcached::config
