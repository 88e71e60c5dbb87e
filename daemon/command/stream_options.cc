#include "daemon/command/stream_options.h"

#include <array>

#include "daemon/command/ascii.h"

namespace nearcached {
namespace {

struct Option {
  std::string_view name;
  std::size_t values;
};

// https://redis.io/docs/latest/commands/xreadgroup/; CLAIM came with Redis 8.4.
constexpr std::array kOptions{Option{"block", 1}, Option{"count", 1}, Option{"group", 2},
                              Option{"noack", 0}, Option{"claim", 1}};

const Option* FindOption(std::string_view name) {
  for (const Option& option : kOptions) {
    if (EqualsIgnoringCase(name, option.name)) {
      return &option;
    }
  }
  return nullptr;
}

}  // namespace

StreamOptions FindStreamOptions(std::span<const std::string_view> args) {
  StreamOptions found;
  std::size_t at = 1;
  while (at < args.size()) {
    if (EqualsIgnoringCase(args[at], "streams")) {
      found.streams = at;
      return found;
    }
    const Option* option = FindOption(args[at]);
    if (option == nullptr) {
      break;
    }
    if (option->name == "block") {
      found.block = at;
    }
    at += 1 + option->values;
  }
  for (; found.block == 0 && at < args.size(); ++at) {
    if (EqualsIgnoringCase(args[at], "block")) {
      found.block = at;
    }
  }
  return found;
}

}  // namespace nearcached
