#include "config/quote.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached::config {
namespace {

TEST_CASE("a text in quotes cannot end the quotes, the line or the terminal's state") {
  CHECK(QuotedWhole("a\"b\\c") == R"("a\"b\\c")");
  CHECK(QuotedWhole("a\nb\x1b[31m") == R"("a\x0ab\x1b[31m")");
  CHECK(QuotedWhole("\xc3\xa9") == R"("\xc3\xa9")");
}

TEST_CASE("a message shows the beginning of a long text only") {
  const std::string shown = QuotedForMessage(std::string(5000, 'x'));
  CHECK(shown.size() < 80);
  CHECK(shown.ends_with("…\""));
}

}  // namespace
}  // namespace nearcached::config
