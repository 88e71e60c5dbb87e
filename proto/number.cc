#include "proto/number.h"

#include <charconv>
#include <system_error>

namespace nearcached::proto {
std::optional<std::int64_t> ParseInt64(std::string_view text) {
  // from_chars is overflow-safe and takes neither '+' nor blanks; what is left to refuse are the
  // second spellings of a number.
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.starts_with('0') && text.size() > 1) {
    return std::nullopt;
  }
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc{} || stop != end) {
    return std::nullopt;
  }
  return value;
}

}  // namespace nearcached::proto
