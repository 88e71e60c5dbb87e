// The options of XREAD and XREADGROUP, which stand before STREAMS in any order. Internal to this
// folder. Any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace nearcached {

struct StreamOptions {
  std::size_t streams =
      0;  // where STREAMS is; 0: there is none, or an option nobody knows came first
  std::size_t block = 0;  // where BLOCK is; 0: not there
};

// Reads option by option and skips their values, so that a consumer group called "streams" is not
// taken for the keyword. After an option that nobody knows, `block` is found by its name alone.
[[nodiscard]] StreamOptions FindStreamOptions(std::span<const std::string_view> args);

}  // namespace nearcached
