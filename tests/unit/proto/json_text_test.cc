#include "proto/json_text.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached::proto {
namespace {

std::string StringOf(std::string_view text) {
  JsonText json(text);
  std::string out;
  return json.ReadString(out) && json.AtEnd() ? out : "refused";
}

bool Skips(std::string_view text) {
  JsonText json(text);
  return json.Skip() && json.AtEnd();
}

TEST_CASE("strings come out with their escapes resolved") {
  CHECK(StringOf(R"("user:1")") == "user:1");
  CHECK(StringOf(R"( "" )").empty());
  CHECK(StringOf(R"("a\"b\\c\/d\b\f\n\r\t")") == "a\"b\\c/d\b\f\n\r\t");
  CHECK(StringOf(R"("\u0041\u00e9\u20ac")") == "A\xc3\xa9\xe2\x82\xac");
  CHECK(StringOf(R"("\ud83d\ude00")") == "\xf0\x9f\x98\x80");
  CHECK(StringOf("\"\xff\xfe\"") == "\xff\xfe");
  CHECK(StringOf(R"("\u0000")") == std::string(1, '\0'));
}

TEST_CASE("what is no string is refused") {
  for (const std::string_view text :
       {"", "\"", "\"abc", R"("\)", R"("\x41")", R"("\u12")", R"("\u12g4")", R"("\ud83d")",
        R"("\ud83dx")", R"("\ud83d\u0041")", R"("\ude00")", "\"a\nb\"", "abc", "'a'"}) {
    CAPTURE(text);
    CHECK(StringOf(text) == "refused");
  }
}

TEST_CASE("any value can be skipped, and what is none cannot") {
  for (const std::string_view text :
       {"1", "0", "-0.5e+10", "1E5", "true", "false", "null", R"("x")", "[]", "{}", "[1, [2], {}]",
        R"({"a": {"b": [null, "c"]}, "d": -1})", " [ 1 , 2 ] "}) {
    CAPTURE(text);
    CHECK(Skips(text));
  }
  for (const std::string_view text :
       {"", "01", "1.", ".5", "-", "1e", "+1", "tru", "nil", "[1,]", "[1 2]", "{\"a\"}", "{a: 1}",
        "{\"a\": 1,}", "[", "{", "]", "[1}"}) {
    CAPTURE(text);
    CHECK_FALSE(Skips(text));
  }
}

TEST_CASE("a tower of brackets is refused before the stack is") {
  const auto tower = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK(Skips(tower(JsonText::kDepthMax)));
  CHECK_FALSE(Skips(tower(JsonText::kDepthMax + 1)));
  CHECK_FALSE(Skips(std::string(1'000'000, '[')));
}

TEST_CASE("booleans are words") {
  bool value = false;
  CHECK(JsonText(" true").ReadBool(value));
  CHECK(value);
  CHECK(JsonText("false").ReadBool(value));
  CHECK_FALSE(value);
  CHECK_FALSE(JsonText("1").ReadBool(value));
}

}  // namespace
}  // namespace nearcached::proto
