#include "proto/resp2_writer.h"

#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace nearcached::proto {
namespace {

using Form = Resp2Writer::Form;

// The reply in RESP2, or "failed".
std::string InResp2(std::string_view reply, Form form = Form::kPlain) {
  Resp2Writer writer(form);
  std::string out;
  return writer.Write(reply, out) ? out : "failed";
}

// What a Redis 7.0.15 says to HELLO 3 and to HELLO 2, for the same command on the same data.
struct Pair {
  std::string_view command;
  std::string_view resp3;
  std::string_view resp2;
  Form form = Form::kPlain;
};

constexpr Pair kPairs[] = {
    {"HGETALL", "%1\r\n$1\r\nf\r\n$1\r\nv\r\n", "*2\r\n$1\r\nf\r\n$1\r\nv\r\n"},
    {"HGETALL of nothing", "%0\r\n", "*0\r\n"},
    {"SMEMBERS", "~2\r\n$1\r\ny\r\n$1\r\nx\r\n", "*2\r\n$1\r\ny\r\n$1\r\nx\r\n"},
    {"ZSCORE", ",0.10000000000000001\r\n", "$19\r\n0.10000000000000001\r\n"},
    {"ZSCORE of infinity", ",inf\r\n", "$3\r\ninf\r\n"},
    {"ZMSCORE", "*2\r\n,1.5\r\n_\r\n", "*2\r\n$3\r\n1.5\r\n$-1\r\n"},
    {"ZRANGE WITHSCORES", "*2\r\n*2\r\n$1\r\na\r\n,1.5\r\n*2\r\n$1\r\nb\r\n,3\r\n",
     "*4\r\n$1\r\na\r\n$3\r\n1.5\r\n$1\r\nb\r\n$1\r\n3\r\n", Form::kPairs},
    {"ZRANGE", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", Form::kPairs},
    {"ZRANGE of nothing", "*0\r\n", "*0\r\n", Form::kPairs},
    {"GEOPOS", "*2\r\n*2\r\n,13.5\r\n,38.25\r\n_\r\n",
     "*2\r\n*2\r\n$4\r\n13.5\r\n$5\r\n38.25\r\n*-1\r\n", Form::kNullArrays},
    {"GEOSEARCH WITHCOORD", "*1\r\n*2\r\n$1\r\nP\r\n*2\r\n,13.5\r\n,38.25\r\n",
     "*1\r\n*2\r\n$1\r\nP\r\n*2\r\n$4\r\n13.5\r\n$5\r\n38.25\r\n"},
    {"HGET of nothing", "_\r\n", "$-1\r\n"},
    {"LLEN", ":3\r\n", ":3\r\n"},
    {"TYPE", "+zset\r\n", "+zset\r\n"},
    {"an error", "-WRONGTYPE no\r\n", "-WRONGTYPE no\r\n"},
    {"an error within pairs", "-ERR no\r\n", "-ERR no\r\n", Form::kPairs},
    {"a script", "*3\r\n#t\r\n#f\r\n(123456789012345678901234567890\r\n",
     "*3\r\n:1\r\n:0\r\n$30\r\n123456789012345678901234567890\r\n"},
    {"a verbatim string", "=8\r\ntxt:text\r\n", "$4\r\ntext\r\n"},
    {"a long error", "!5\r\nERR x\r\n", "-ERR x\r\n"},
    {"bytes that look like a reply", "$9\r\n%1\r\n_\r\n,1\r\n", "$9\r\n%1\r\n_\r\n,1\r\n"},
};

TEST_CASE("what a server says in RESP3 becomes what it says in RESP2") {
  for (const Pair& pair : kPairs) {
    CAPTURE(pair.command);
    CHECK(InResp2(pair.resp3, pair.form) == pair.resp2);
  }
}

TEST_CASE("a reply that is RESP2 already stays as it is, whatever the form") {
  for (const Pair& pair : kPairs) {
    for (const Form form : {Form::kPlain, Form::kNullArrays}) {
      CHECK(InResp2(pair.resp2, form) == pair.resp2);
    }
  }
  CHECK(InResp2("*4\r\n$1\r\na\r\n$3\r\n1.5\r\n$1\r\nb\r\n$1\r\n3\r\n", Form::kPairs) ==
        "*4\r\n$1\r\na\r\n$3\r\n1.5\r\n$1\r\nb\r\n$1\r\n3\r\n");
  CHECK(InResp2("$-1\r\n") == "$-1\r\n");
  CHECK(InResp2("*-1\r\n") == "*-1\r\n");
}

TEST_CASE("it does not matter into which pieces a reply is cut") {
  for (const Pair& pair : kPairs) {
    CAPTURE(pair.command);
    for (std::size_t first = 0; first <= pair.resp3.size(); ++first) {
      for (std::size_t second = first; second <= pair.resp3.size(); ++second) {
        Resp2Writer writer(pair.form);
        std::string out;
        REQUIRE(writer.Write(pair.resp3.substr(0, first), out));
        REQUIRE(writer.Write(pair.resp3.substr(first, second - first), out));
        REQUIRE(writer.Write(pair.resp3.substr(second), out));
        REQUIRE(out == pair.resp2);
      }
    }
  }
}

TEST_CASE("what RESP2 cannot say, and what is no RESP, is refused for good") {
  for (const std::string_view reply :
       {"|1\r\n+a\r\n+b\r\n:1\r\n", ">1\r\n+a\r\n", "$?\r\n", "*?\r\n", "$-2\r\n", "*-2\r\n",
        "=3\r\ntxt\r\n", "*1\n", "x\r\n", "*99999999999999999999\r\n",
        "%9000000000000000000\r\n"}) {
    CAPTURE(reply);
    CHECK(InResp2(reply) == "failed");
  }
  Resp2Writer writer(Form::kPlain);
  std::string out;
  CHECK_FALSE(writer.Write("x\r\n", out));
  CHECK_FALSE(writer.Write(":1\r\n", out));
  CHECK(InResp2("," + std::string(9000, '1')) == "failed");  // a line without end
}

}  // namespace
}  // namespace nearcached::proto
