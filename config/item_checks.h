// What a single word of the configuration may look like: patterns, prefixes, commands, renames.
//
// Each returns the sentence that says what is wrong and what would be right, or nothing.
// Thread: pure functions. Never throws.
#pragma once

#include <string>
#include <string_view>

namespace nearcached::config {

// A prefix is not a pattern: without this, "user:*" would match keys that begin with "user:*".
[[nodiscard]] std::string CheckPrefix(std::string_view prefix);
// "prefix*", "*suffix" or "*substring*".
[[nodiscard]] std::string CheckPattern(std::string_view pattern);
// The name of a command, or of a subcommand as in "config|set".
[[nodiscard]] std::string CheckCommandName(std::string_view name);
// A command whose replies L1 may keep, or "all" (l1.commands).
[[nodiscard]] std::string CheckCachedCommand(std::string_view name);
// A command and its name upstream, as in "flushall=x-flush".
[[nodiscard]] std::string CheckRename(std::string_view pair);

}  // namespace nearcached::config
