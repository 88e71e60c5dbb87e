#include "proto/number.h"

#include <array>
#include <charconv>
#include <system_error>

namespace nearcached::proto {
namespace {

template <typename Integer>
void AppendDecimal(std::string& out, Integer value) {
  std::array<char, 20> digits{};  // '-' and 19 digits, or 20 digits
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  out.append(digits.data(), end.ptr);
}

}  // namespace

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

void AppendInt64(std::string& out, std::int64_t value) {
  AppendDecimal(out, value);
}

void AppendUint64(std::string& out, std::uint64_t value) {
  AppendDecimal(out, value);
}

}  // namespace nearcached::proto
