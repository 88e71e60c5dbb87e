#include "config/text_check.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace nearcached::config {
namespace {

// What CheckText says about `text`: "" when it passes, else "line: message".
std::string Verdict(std::string_view text) {
  ProblemList problems;
  const bool passes = CheckText(text, "t.yaml", problems);
  const std::vector<Problem> all = problems.Take();
  REQUIRE(all.size() == (passes ? 0 : 1));
  if (passes) {
    return "";
  }
  CHECK(all[0].file == "t.yaml");
  CHECK(all[0].path.empty());
  return std::to_string(all[0].line) + ": " + all[0].message;
}

TEST_CASE("ordinary texts pass, whatever their quotes, comments and line ends") {
  for (const std::string_view text :
       {"", "\n", "l1:\n  ttl: 5s\n", "l1:\r\n\tttl: 5s\r\n", "a: don't\nb: 5\" disk\n",
        "# it's \"fine [[[[ {{{{\na: b\n", "a: 'it''s'\n", "a: \"say \\\"hi\\\"\"\n",
        "a: \"ends with a backslash \\\\\"\n", "a: 'ends with a backslash \\'\n",
        "a: [\"x\", 'y', {b: \"z\"}]\n", "- \"x\"\n- 'y'\n", "? \"x\"\n: 'y'\n", "a: b#c\n",
        "a: \"# no comment\" # but this is one\"\n", "ключ: значение\n", "a: \"two\n  lines\"\n"}) {
    CAPTURE(text);
    CHECK(Verdict(text).empty());
  }
}

TEST_CASE("a text is refused for its size by what it says, not by a line") {
  CHECK(Verdict(std::string(kConfigFileMax, '\n')).empty());
  CHECK(Verdict(std::string(kConfigFileMax + 1, '\n')).starts_with("0: is larger than 1mb"));
}

TEST_CASE("a control character is refused at its line, wherever it hides") {
  for (int byte = 0; byte < 0x20; ++byte) {
    const char c = static_cast<char>(byte);
    if (c == '\n' || c == '\r' || c == '\t') {
      continue;
    }
    CAPTURE(byte);
    const std::string shown = "2: holds a control character (byte " + std::to_string(byte) + ")";
    for (const std::string before :
         {"a: b\nb: ", "a: b\n# ", "a: b\n\"", "a: b\n'", "a: b\n\"\\", "a: b\n'x''"}) {
      CAPTURE(before);
      CHECK(Verdict(std::string(before) + c + "\"'\n").starts_with(shown));
    }
  }
  CHECK(Verdict("a: \x7f\n").starts_with("1: holds a control character (byte 127)"));
  CHECK(Verdict("a: \xc3\xa9\n").empty());
}

TEST_CASE("an open quote is refused where it opens, not where the file ends") {
  CHECK(Verdict("a: b\nc: \"open\n\n\n")
            .starts_with("2: opens a quote that is never closed: add "
                         "the closing double quote"));
  CHECK(Verdict("a: 'open\n").find("single quote") != std::string::npos);
  CHECK(Verdict("a: 'it''").starts_with("1: opens a quote"));
  CHECK(Verdict("a: \"escaped \\\"").starts_with("1: opens a quote"));
  CHECK(Verdict("a: \"\\").starts_with("1: opens a quote"));
}

TEST_CASE("towers of brackets are refused at the line that goes too far") {
  std::string tower = "a:\n";
  for (int i = 0; i < 101; ++i) {
    tower += i % 2 == 0 ? "[\n" : "{\n";
  }
  CHECK(Verdict(tower).starts_with("102: opens more than 100 brackets"));
  CHECK(Verdict(std::string(100, '[') + std::string(100, ']')).empty());
  // Only open ones count; those of quotes and comments do not.
  std::string wide;
  for (int i = 0; i < 10'000; ++i) {
    wide += "[] {} ";
  }
  CHECK(Verdict(wide).empty());
  CHECK(Verdict("a: \"" + std::string(1000, '[') + "\"\n# " + std::string(1000, '[')).empty());
  CHECK(Verdict(std::string(1000, ']') + std::string(100, '[')).empty());
}

TEST_CASE("a tab where indentation belongs is found in its line and in no other") {
  const std::string_view text = "a:\n\tb: c\n  \td: e\nf:\tg\n\n \n";
  CHECK_FALSE(IsIndentedByTab(text, 1));
  CHECK(IsIndentedByTab(text, 2));
  CHECK(IsIndentedByTab(text, 3));
  CHECK_FALSE(IsIndentedByTab(text, 4));
  CHECK_FALSE(IsIndentedByTab(text, 5));
  CHECK_FALSE(IsIndentedByTab(text, 6));
  CHECK_FALSE(IsIndentedByTab(text, 7));
  CHECK_FALSE(IsIndentedByTab(text, 1000));
  CHECK_FALSE(IsIndentedByTab("", 1));
  CHECK_FALSE(IsIndentedByTab("   ", 1));
  CHECK(IsIndentedByTab("\t", 1));
}

}  // namespace
}  // namespace nearcached::config
