// The name somebody probably meant.
//
// Thread: pure functions. Never throws.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace nearcached::config {

// The candidate the fewest typing mistakes away from `name` (insertions, deletions, replacements,
// swapped neighbours; case and '-' for '_' are free), if they are few enough to be mistakes: at
// most a third of the length. Empty otherwise. The first of equals wins.
std::string NearestName(std::string_view name, std::span<const std::string> candidates);

}  // namespace nearcached::config
