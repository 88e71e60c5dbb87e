#include "daemon/command/blocking_wait.h"

#include <charconv>
#include <cmath>

#include "daemon/command/stream_options.h"

namespace nearcached {
namespace {

constexpr BlockingWait kForever{BlockingWait::Kind::kForever, Duration{0}};

// Beyond this a timeout is as good as none, and arithmetic with it stays far from overflow.
constexpr double kSecondsMax = 100.0 * 365 * 24 * 3600;

// The server reads fractions of seconds with strtold, whole milliseconds with strtoll; whatever of
// that std::from_chars does not take (hexadecimal, a leading plus) counts as unreadable.
BlockingWait ReadTimeout(std::string_view text, TimeoutArgument::Unit unit) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || std::isnan(value)) {
    return kForever;
  }
  if (value < 0) {
    return {};
  }
  const double seconds = unit == TimeoutArgument::Unit::kSeconds ? value : value / 1e3;
  if (seconds == 0 || seconds > kSecondsMax) {
    return kForever;
  }
  return {BlockingWait::Kind::kFor, Duration{static_cast<std::int64_t>(std::ceil(seconds * 1e9))}};
}

}  // namespace

BlockingWait BlockingWaitOf(const CommandRow& row, std::span<const std::string_view> args) {
  std::ptrdiff_t at = 0;
  switch (row.timeout.where) {
    case TimeoutArgument::Where::kNone:
      return {};
    case TimeoutArgument::Where::kUnknown:
      return kForever;
    case TimeoutArgument::Where::kIndex:
      at = row.timeout.index >= 0 ? row.timeout.index : std::ssize(args) + row.timeout.index;
      break;
    case TimeoutArgument::Where::kKeyword: {
      const std::size_t block = FindStreamOptions(args).block;
      if (block == 0) {
        return {};
      }
      at = static_cast<std::ptrdiff_t>(block) + 1;
      break;
    }
  }
  if (at < 1 || at >= std::ssize(args)) {
    return {};
  }
  return ReadTimeout(args[static_cast<std::size_t>(at)], row.timeout.unit);
}

}  // namespace nearcached
