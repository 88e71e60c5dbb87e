// Decimal numbers as servers and clients write them where Redis reads them leniently: leading zeros
// are fine, a '+' and blanks are not. (Exactly one spelling each: proto/number.h.) Pure, any
// thread.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace nearcached {

// The whole of `text` as a `Number`; nothing when it is none, or does not fit.
template <typename Number>
[[nodiscard]] std::optional<Number> ReadNumber(std::string_view text) {
  Number value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && at == end ? std::optional<Number>(value) : std::nullopt;
}

}  // namespace nearcached
