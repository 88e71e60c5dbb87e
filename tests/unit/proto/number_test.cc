#include "proto/number.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include <doctest/doctest.h>

#include "proto/short_length.h"

namespace nearcached::proto {
namespace {

TEST_CASE("numbers are read in their one spelling, to both ends of 64 bits") {
  CHECK(ParseInt64("0") == 0);
  CHECK(ParseInt64("7") == 7);
  CHECK(ParseInt64("-1") == -1);
  CHECK(ParseInt64("10") == 10);
  CHECK(ParseInt64("9223372036854775807") == std::numeric_limits<std::int64_t>::max());
  CHECK(ParseInt64("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
}

TEST_CASE("anything else is not a number") {
  for (const std::string_view text :
       {"", "-", "+1", "01", "-0", "-01", "00", " 1", "1 ", "1a", "a", "0x1", "1.0", "1e3", "--1",
        "9223372036854775808", "-9223372036854775809", "18446744073709551617",
        "100000000000000000000000000000"}) {
    CAPTURE(text);
    CHECK(ParseInt64(text) == std::nullopt);
  }
  CHECK(ParseInt64(std::string_view("1\0", 2)) == std::nullopt);
}

TEST_CASE("the short length reader takes what is plain, and leaves the rest") {
  const auto read = [](std::string_view text) -> std::optional<std::uint32_t> {
    std::uint32_t value = 0;
    const char* const end = text.data() + text.size();
    const char* const after = ReadShortLength(text.data(), end, value);
    if (after == nullptr) {
      return std::nullopt;
    }
    CHECK(after[-1] == '\n');
    return value;
  };
  CHECK(read("0\r\n") == 0);
  CHECK(read("42\r\nrest") == 42);
  CHECK(read("999999999\r\n") == 999999999);
  for (const std::string_view text :
       {"", "1", "1\r", "\r\n", "1\n", "1\rx", "01\r\n", "-1\r\n", "1x\r\n", "1000000000\r\n",
        "9999999999\r\n", "12345678901"}) {
    CAPTURE(text);
    CHECK(read(text) == std::nullopt);
  }
}

}  // namespace
}  // namespace nearcached::proto
