#include "daemon/upstream/hiredis_reply.h"

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using Kind = UpstreamReply::Kind;

TEST_CASE("every kind of reply becomes a value of the right kind") {
  struct Case {
    std::string_view bytes;
    Kind kind;
    std::string_view text;
    std::int64_t integer;
  };
  for (const Case& c :
       {Case{"+OK\r\n", Kind::kString, "OK", 0}, Case{"$5\r\nhello\r\n", Kind::kString, "hello", 0},
        Case{"$0\r\n\r\n", Kind::kString, "", 0},
        Case{"=8\r\ntxt:text\r\n", Kind::kString, "text", 0},
        Case{",1.5\r\n", Kind::kString, "1.5", 0},
        Case{"(123456789012345678901\r\n", Kind::kString, "123456789012345678901", 0},
        Case{"-ERR no\r\n", Kind::kError, "ERR no", 0}, Case{":-42\r\n", Kind::kInteger, "", -42},
        Case{"#t\r\n", Kind::kInteger, "", 1}, Case{"#f\r\n", Kind::kInteger, "", 0},
        Case{"$-1\r\n", Kind::kNil, "", 0}, Case{"*-1\r\n", Kind::kNil, "", 0},
        Case{"_\r\n", Kind::kNil, "", 0}}) {
    CAPTURE(c.bytes);
    const auto reply = ParseUpstreamReply(c.bytes);
    REQUIRE(reply.has_value());
    CHECK(reply->kind == c.kind);
    CHECK(reply->text == c.text);
    CHECK(reply->integer == c.integer);
    CHECK(reply->elements.empty());
  }
}

TEST_CASE("a string may hold any bytes") {
  const auto reply = ParseUpstreamReply(std::string_view("$4\r\n\0\r\n\xff\r\n", 10));
  REQUIRE(reply.has_value());
  CHECK(reply->text == std::string("\0\r\n\xff", 4));
}

TEST_CASE("arrays, sets, pushes and maps keep their elements in order") {
  for (const char* bytes : {"*2\r\n:1\r\n$1\r\na\r\n", "~2\r\n:1\r\n$1\r\na\r\n",
                            ">2\r\n:1\r\n$1\r\na\r\n", "%1\r\n:1\r\n$1\r\na\r\n"}) {
    CAPTURE(bytes);
    const auto reply = ParseUpstreamReply(bytes);
    REQUIRE(reply.has_value());
    CHECK((reply->kind == Kind::kMap) == (bytes[0] == '%'));
    REQUIRE(reply->elements.size() == 2);
    CHECK(reply->elements[0].integer == 1);
    CHECK(reply->elements[1].text == "a");
  }
}

TEST_CASE("a key is found in a map and in the flat pairs of RESP2, at keys only") {
  for (const char* bytes : {"%2\r\n+server\r\n+version\r\n+version\r\n+7.0\r\n",
                            "*4\r\n+server\r\n+version\r\n+version\r\n+7.0\r\n"}) {
    CAPTURE(bytes);
    const auto reply = ParseUpstreamReply(bytes);
    REQUIRE(reply.has_value());
    REQUIRE(reply->Find("version") != nullptr);
    CHECK(reply->Find("version")->text == "7.0");
    CHECK(reply->Find("7.0") == nullptr);
    CHECK(reply->Find("proto") == nullptr);
  }
}

TEST_CASE("looking for a key where there are no pairs finds nothing") {
  CHECK(ParseUpstreamReply("+version\r\n")->Find("version") == nullptr);
  CHECK(ParseUpstreamReply("*1\r\n+version\r\n")->Find("version") == nullptr);
  CHECK(ParseUpstreamReply("*0\r\n")->Find("version") == nullptr);
}

TEST_CASE("what is not exactly one reply is none") {
  for (const char* bytes : {"", "+OK", "$5\r\nhell", "*2\r\n:1\r\n", "+OK\r\n+OK\r\n", "?x\r\n",
                            "GET k\r\n", "$x\r\n"}) {
    CAPTURE(bytes);
    CHECK_FALSE(ParseUpstreamReply(bytes).has_value());
  }
}

}  // namespace
}  // namespace nearcached
