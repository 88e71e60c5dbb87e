#include "daemon/command/renamed_commands.h"

#include <algorithm>
#include <charconv>

#include "daemon/command/ascii.h"
#include "proto/encode.h"

namespace nearcached {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), AsciiLower);
  return lower;
}

// Takes a line with its mark off the front: 3 of "*3\r\n", "$3\r\n".
std::size_t TakeNumber(std::string_view& bytes) {
  std::size_t number = 0;
  const char* const end = bytes.data() + bytes.size();
  const auto [at, error] = std::from_chars(bytes.data() + 1, end, number);
  bytes.remove_prefix(static_cast<std::size_t>(at - bytes.data()) + 2);
  return number;
}

std::string_view TakeArgument(std::string_view& bytes) {
  const std::size_t size = TakeNumber(bytes);
  const std::string_view argument = bytes.substr(0, size);
  bytes.remove_prefix(size + 2);
  return argument;
}

}  // namespace

RenamedCommands::RenamedCommands(std::span<const std::string> pairs) {
  for (const std::string& pair : pairs) {
    const std::size_t equals = pair.find('=');
    std::string name = Lower(std::string_view(pair).substr(0, equals));
    std::string upstream = Lower(std::string_view(pair).substr(equals + 1));
    client_names_.emplace(upstream, name);
    upstream_names_.emplace(std::move(name), std::move(upstream));
  }
}

std::string_view RenamedCommands::OtherNameOf(std::string_view name) const {
  if (empty()) {
    return {};
  }
  const std::string lower = Lower(name);
  for (const Names* names : {&client_names_, &upstream_names_}) {
    if (const auto found = names->find(lower); found != names->end()) {
      return found->second;
    }
  }
  return {};
}

std::string_view RenamedCommands::Translate(std::string_view bytes, std::string& scratch) const {
  if (empty()) {
    return bytes;
  }
  std::string_view rest = bytes;
  const std::size_t count = TakeNumber(rest);
  const std::string_view name = TakeArgument(rest);
  const bool about_commands = EqualsIgnoringCase(name, "command") && count > 2;
  const auto found = upstream_names_.find(Lower(name));
  if (found == upstream_names_.end() && !about_commands) {
    return bytes;
  }
  scratch.clear();
  proto::AppendArrayHeader(scratch, count);
  proto::AppendBulk(scratch, found != upstream_names_.end() ? found->second : name);
  if (about_commands) {
    const std::string_view sub = TakeArgument(rest);
    proto::AppendBulk(scratch, sub);
    const bool all = EqualsIgnoringCase(sub, "info") || EqualsIgnoringCase(sub, "docs");
    const bool first =
        EqualsIgnoringCase(sub, "getkeys") || EqualsIgnoringCase(sub, "getkeysandflags");
    for (std::size_t i = 2; i < count && (all || (first && i == 2)); ++i) {
      const std::string_view asked = TakeArgument(rest);
      const auto other = upstream_names_.find(Lower(asked));
      proto::AppendBulk(scratch, other != upstream_names_.end() ? other->second : asked);
    }
  }
  scratch.append(rest);
  return scratch;
}

}  // namespace nearcached
