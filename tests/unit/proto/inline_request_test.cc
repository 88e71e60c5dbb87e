#include "proto/inline_request.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/proto/cuts.h"

namespace nearcached::proto {
namespace {

using Words = std::vector<std::string>;

std::optional<Words> Split(std::string_view line) {
  const ExactCopy copy(line);
  std::vector<std::string_view> args = {"kept"};
  std::unique_ptr<char[]> unescaped;
  if (!SplitInline(copy.view(), args, unescaped)) {
    CHECK(args.size() == 1);
    CHECK(unescaped == nullptr);
    return std::nullopt;
  }
  return Words(args.begin() + 1, args.end());
}

// Every row has been seen to give this on redis-server 7.0.15, by way of an inline command.
TEST_CASE("lines are split as Redis splits them") {
  struct Case {
    std::string_view line;
    Words words;
  };
  const Case cases[] = {
      {"", {}},
      {" \t\v\f\r", {}},
      {"GET key", {"GET", "key"}},
      {"  GET\t\tkey  ", {"GET", "key"}},
      {"\vPING", {"PING"}},
      {"PING a\rb", {"PING", "a", "b"}},
      {"PING a\vb\fc", {"PING", "a\vb\fc"}},
      {"PING \"\" ''", {"PING", "", ""}},
      {"PING \"a b\"", {"PING", "a b"}},
      {"PING 'a b'", {"PING", "a b"}},
      {"PING a\"b c\"", {"PING", "ab c"}},
      {"PING a'b c'", {"PING", "ab c"}},
      {"PING \"a\"\vb", {"PING", "a", "b"}},
      {"PING \"a'b\" 'c\"d'", {"PING", "a'b", "c\"d"}},
      {R"(PING "\n\r\t\b\a")", {"PING", "\n\r\t\b\a"}},
      {R"(PING "\x41\xfF\x0a")", {"PING", "A\xff\n"}},
      {R"(PING "\x4" "\xg1" "\q\\\"")", {"PING", "x4", "xg1", "q\\\""}},
      {R"(PING 'a\'b\n\\ ')", {"PING", "a'b\\n\\\\ "}},
      {R"(PING a\nb \x41)", {"PING", "a\\nb", "\\x41"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.line);
    CHECK(Split(c.line) == c.words);
  }
}

TEST_CASE("quotes that are not closed, or not where a word ends, are unbalanced") {
  for (const std::string_view line :
       {"\"", "'", "a \"b", "a 'b", "\"a\"b", "'a'b", "\"a\"\"b\"", "'a''b'", "\"a\\", "\"a\\\"",
        "\"\\x4", "\"\\x", "'a\\'", "a\"b"}) {
    CAPTURE(line);
    CHECK(Split(line) == std::nullopt);
  }
}

TEST_CASE("a NUL is a byte like others") {
  CHECK(Split(std::string_view("a\0b \"c\0d\"", 9)) ==
        Words{std::string("a\0b", 3), std::string("c\0d", 3)});
}

TEST_CASE("words without quotes are views into the line, and need no storage") {
  const std::string line = "SET key value";
  std::vector<std::string_view> args;
  std::unique_ptr<char[]> unescaped;
  REQUIRE(SplitInline(line, args, unescaped));
  CHECK(unescaped == nullptr);
  CHECK(args[1].data() == line.data() + 4);
}

}  // namespace
}  // namespace nearcached::proto
