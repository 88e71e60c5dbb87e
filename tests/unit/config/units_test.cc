#include "config/units.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include <doctest/doctest.h>

namespace nearcached::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST_CASE("a duration is a whole number and a unit") {
  CHECK(ParseDuration("250ms").value == milliseconds(250));
  CHECK(ParseDuration("5s").value == seconds(5));
  CHECK(ParseDuration("2m").value == minutes(2));
  CHECK(ParseDuration("1h").value == hours(1));
  CHECK(ParseDuration("1d").value == hours(24));
  CHECK(ParseDuration("0").value == milliseconds(0));
  CHECK(ParseDuration("5 s").value == seconds(5));
  CHECK(ParseDuration("5S").value == seconds(5));
}

TEST_CASE("a bare number is no duration, and the message shows both readings") {
  const auto result = ParseDuration("250");
  CHECK_FALSE(result.ok());
  CHECK(result.error.find("250s") != std::string::npos);
  CHECK(result.error.find("250ms") != std::string::npos);
}

TEST_CASE("what is no duration is refused") {
  for (const char* text : {"", "s", "-5s", "+5s", "5.5s", "5s3", "5us", "1h30m", "five", " 5s",
                           "99999999999999999999s", "9223372036854775807h", "5  s"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseDuration(text).ok());
    CHECK_FALSE(ParseDuration(text).error.empty());
  }
}

TEST_CASE("a duration is shown in the largest unit that is exact, and read back") {
  CHECK(FormatDuration(milliseconds(0)) == "0s");
  CHECK(FormatDuration(milliseconds(1500)) == "1500ms");
  CHECK(FormatDuration(seconds(90)) == "90s");
  CHECK(FormatDuration(seconds(120)) == "2m");
  CHECK(FormatDuration(hours(24)) == "1d");
  for (std::int64_t ms : {1LL, 999LL, 1000LL, 59'999LL, 60'000LL, 3'600'000LL, 86'400'001LL}) {
    CHECK(ParseDuration(FormatDuration(milliseconds(ms))).value == milliseconds(ms));
  }
}

TEST_CASE("sizes count in 1024 as in redis.conf, in any case, and bare numbers are bytes") {
  CHECK(ParseBytes("64mb").value == 64U * 1024 * 1024);
  CHECK(ParseBytes("64MiB").value == 64U * 1024 * 1024);
  CHECK(ParseBytes("64Mi").value == 64U * 1024 * 1024);
  CHECK(ParseBytes("512KB").value == 512U * 1024);
  CHECK(ParseBytes("1gb").value == 1024U * 1024 * 1024);
  CHECK(ParseBytes("2 tb").value == 2ULL << 40);
  CHECK(ParseBytes("1500").value == 1500U);
  CHECK(ParseBytes("1500b").value == 1500U);
  CHECK(ParseBytes("0").value == 0U);
}

TEST_CASE("a size in k, m or g is refused, because Redis means 1000 by it") {
  for (const char* text : {"64k", "64m", "64G"}) {
    CAPTURE(text);
    const auto result = ParseBytes(text);
    CHECK_FALSE(result.ok());
    CHECK(result.error.find("b, which counts in 1024") != std::string::npos);
  }
}

TEST_CASE("what is no size is refused") {
  for (const char* text : {"", "mb", "-1", "1.5gb", "64xb", "64mbb", "64kibb",
                           "18446744073709551616", "99999999999tb"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseBytes(text).ok());
  }
}

TEST_CASE("a size is shown in the largest unit that is exact, and read back") {
  CHECK(FormatBytes(64 * kMib) == "64mb");
  CHECK(FormatBytes(1536) == "1536");
  CHECK(FormatBytes(0) == "0");
  for (const std::uint64_t bytes :
       {std::uint64_t{1}, kKib, kMib + 1, 3 * kGib, std::numeric_limits<std::uint64_t>::max()}) {
    CHECK(ParseBytes(FormatBytes(bytes)).value == bytes);
  }
}

}  // namespace
}  // namespace nearcached::config
