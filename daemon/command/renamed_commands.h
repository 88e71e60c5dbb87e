// Commands that the upstream knows by another name than clients do: commands.rename.
//
// Operators hide dangerous commands of a Redis behind names of their own (rename-command in
// redis.conf). Clients go on saying FLUSHALL; each request is given the upstream's name on the
// link, where nothing looks at it any more, so all else here knows one name only. The sidecar's own
// requests go the same way. A client that uses the upstream's name is understood too, which matters
// for what the command does to the cache: see CommandTable::Find.
//
// Constant after construction; any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace nearcached {

class RenamedCommands {
 public:
  RenamedCommands() = default;
  // Pairs of "name=upstream name", as config checked them.
  explicit RenamedCommands(std::span<const std::string> pairs);

  [[nodiscard]] bool empty() const { return upstream_names_.empty(); }

  // The request as the upstream knows it: `bytes` itself, or put together in `scratch`. What
  // COMMAND INFO, DOCS and GETKEYS ask about is named as the upstream names it, too. REQUIRES: one
  // whole request in canonical form.
  [[nodiscard]] std::string_view Translate(std::string_view bytes, std::string& scratch) const;

  // The other of the two names of a command, in lower case; empty when it was not renamed.
  [[nodiscard]] std::string_view OtherNameOf(std::string_view name) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Names = std::unordered_map<std::string, std::string, Hash, std::equal_to<>>;

  Names upstream_names_;  // by the clients' name; both in lower case
  Names client_names_;    // the other way round
};

}  // namespace nearcached
