#include "config/item_checks.h"

#include <algorithm>
#include <string>
#include <vector>

#include "config/cached_commands.h"
#include "config/quote.h"
#include "config/suggest.h"

namespace nearcached::config {

std::string CheckPrefix(std::string_view prefix) {
  const std::size_t star = prefix.find_first_of("*?");
  const std::size_t open = prefix.find('[');
  const bool brackets =
      open != std::string_view::npos && prefix.find(']', open) != std::string_view::npos;
  if (star == std::string_view::npos && !brackets) {
    return {};
  }
  const std::size_t cut = std::min(star, brackets ? open : std::string_view::npos);
  const std::string plain =
      cut == 0 ? "\"\", which is every key" : QuotedForMessage(prefix.substr(0, cut));
  return QuotedForMessage(prefix) +
         " is a pattern, but a prefix is compared byte for byte: write " + plain;
}

std::string CheckCommandName(std::string_view name) {
  const auto allowed = [](char c) { return c > ' ' && c < 0x7F && c != '*'; };
  if (name.empty() || !std::ranges::all_of(name, allowed) || name.starts_with('|') ||
      name.ends_with('|')) {
    return QuotedForMessage(name) +
           " is no command: write \"flushall\", or \"config|set\" for a subcommand";
  }
  return {};
}

std::string CheckCachedCommand(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (lower == kAllCommands || std::ranges::binary_search(kCachedCommands, lower)) {
    return {};
  }
  const std::vector<std::string> names(kCachedCommands.begin(), kCachedCommands.end());
  const std::string meant = NearestName(lower, names);
  return QuotedForMessage(name) + " is no command whose replies can be cached: " +
         (meant.empty() ? "CACHED_COMMANDS.md lists them, \"all\" stands for all"
                        : "did you mean \"" + meant + "\"?");
}

std::string CheckRename(std::string_view pair) {
  const std::size_t equals = pair.find('=');
  const std::string_view name = pair.substr(0, equals);
  const std::string_view upstream =
      equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
  for (const std::string_view part : {name, upstream}) {
    if (!CheckCommandName(part).empty() || part.find_first_of("|=") != std::string_view::npos) {
      return QuotedForMessage(pair) +
             " is no rename: write \"flushall=x-flush\", a command and what the upstream calls it";
    }
  }
  const auto is = [&](std::string_view word) {
    return std::ranges::equal(name, word, {}, [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    });
  };
  for (const std::string_view own : {"auth", "cluster", "hello", "role", "sentinel"}) {
    if (is(own)) {
      return QuotedForMessage(pair) + ": nearcached itself needs this command under its own name";
    }
  }
  return {};
}

std::string CheckPattern(std::string_view pattern) {
  const bool front = pattern.starts_with('*');
  const bool back = pattern.size() > 1 && pattern.ends_with('*');
  const std::string_view inner =
      pattern.substr(front ? 1 : 0, pattern.size() - (front ? 1U : 0U) - (back ? 1U : 0U));
  const std::string shown = QuotedForMessage(pattern);
  if (inner.find('*') != std::string_view::npos) {
    return shown +
           ": a '*' can only be the first or the last character: write \"prefix*\", "
           "\"*suffix\" or \"*substring*\"";
  }
  if (inner.empty()) {
    return shown + " would match every key: write l1.enabled: false if nothing is to be cached";
  }
  if (!front && !back) {
    return shown + " has no '*': write \"" + shown.substr(1, shown.size() - 2) +
           "*\" for keys that begin with it, or \"*" + shown.substr(1, shown.size() - 2) +
           "*\" for keys that hold it";
  }
  return {};
}

}  // namespace nearcached::config
