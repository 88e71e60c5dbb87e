// What must be known about a text before a YAML parser sees it.
//
// Thread: pure functions. Never throws.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "config/problem.h"

namespace nearcached::config {

// Larger configuration files are refused.
inline constexpr std::size_t kConfigFileMax = 1024 * 1024;

// Whether `text` may be parsed: not too large, no control characters, no towers of open brackets.
// If not, the reason is added with its line.
bool CheckText(std::string_view text, const std::string& file, ProblemList& problems);

// Whether line `line` (from 1) has a tab where indentation belongs: the usual reason for the most
// obscure messages of a YAML parser.
bool IsIndentedByTab(std::string_view text, int line);

}  // namespace nearcached::config
