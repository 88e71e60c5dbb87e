#include "daemon/base/log.h"

#include <doctest/doctest.h>

namespace nearcached {
namespace {

TEST_CASE("quoted text is one word of one line, whatever a peer put into it") {
  CHECK(Quoted("plain") == "\"plain\"");
  CHECK(Quoted("") == "\"\"");
  CHECK(Quoted("say \"no\"") == "\"say \\\"no\\\"\"");
  CHECK(Quoted("a\\b") == "\"a\\\\b\"");
  CHECK(Quoted("x\r\n2026-01-01 error forged") == "\"x\\x0d\\x0a2026-01-01 error forged\"");
  CHECK(Quoted(std::string("\0\x1b[31m\x7f", 7)) == "\"\\x00\\x1b[31m\\x7f\"");
}

TEST_CASE("text beyond ASCII is left as it is") {
  CHECK(Quoted("Grüße") == "\"Grüße\"");
}

TEST_CASE("log levels are known by their names and by nothing else") {
  LogLevel level = LogLevel::kInfo;
  CHECK(ParseLogLevel("debug", level));
  CHECK(level == LogLevel::kDebug);
  CHECK(ParseLogLevel("error", level));
  CHECK(level == LogLevel::kError);
  for (const char* wrong : {"", "Warn", "warning", "info ", "trace"}) {
    CAPTURE(wrong);
    CHECK_FALSE(ParseLogLevel(wrong, level));
    CHECK(level == LogLevel::kError);  // untouched
  }
}

}  // namespace
}  // namespace nearcached
