#include "proto/invalidation_notice.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached::proto {
namespace {

constexpr std::size_t kNamesMax = 4;

// "keys=a,b prefixes=p origin=o all", or "refused: why".
std::string Read(std::string_view payload, NoticeForm form = NoticeForm::kText) {
  std::string_view why;
  const auto notice = ParseNotice(payload, form, kNamesMax, why);
  if (!notice) {
    return "refused: " + std::string(why);
  }
  std::string out = "keys=";
  for (const std::string& key : notice->keys) {
    out += key + ",";
  }
  out += " prefixes=";
  for (const std::string& prefix : notice->prefixes) {
    out += prefix + ",";
  }
  return out + " origin=" + notice->origin + (notice->everything ? " all" : "");
}

TEST_CASE("a plain message is keys, one on each line") {
  CHECK(Read("user:1") == "keys=user:1, prefixes= origin=");
  CHECK(Read("a\nb\n") == "keys=a,b, prefixes= origin=");
  CHECK(Read("\n\na\n\nb") == "keys=a,b, prefixes= origin=");
  CHECK(Read("with blank\r") == "keys=with blank\r, prefixes= origin=");
  CHECK(Read("[1]") == "keys=[1], prefixes= origin=");
}

TEST_CASE("a key with a hash tag is a key and no JSON") {
  CHECK(Read("{user1}:cart") == "keys={user1}:cart, prefixes= origin=");
  CHECK(Read("{ x}") == "keys={ x}, prefixes= origin=");
}

TEST_CASE("a JSON message names keys, prefixes and who says so") {
  CHECK(Read(R"({"keys":["a","b\n\u0063"],"prefixes":["p:"],"origin":"app-1"})") ==
        "keys=a,b\nc, prefixes=p:, origin=app-1");
  CHECK(Read(R"( {"keys":["a"]})") == R"(keys= {"keys":["a"]}, prefixes= origin=)");
  CHECK(Read("{ \"prefixes\" : [ \"p\" ] , \"keys\" : [ ] }\n") == "keys= prefixes=p, origin=");
  CHECK(Read(R"({"v":2,"at":[1,{"x":null}],"keys":["a"]})") == "keys=a, prefixes= origin=");
  CHECK(Read(R"({"keys":["a"],"keys":["b"]})") == "keys=a,b, prefixes= origin=");
}

TEST_CASE("everything is named by saying so, by the empty prefix, and by too many names") {
  CHECK(Read(R"({"all":true,"origin":"x"})") == "keys= prefixes= origin=x all");
  CHECK(Read(R"({"prefixes":[""]})") == "keys= prefixes= origin= all");
  CHECK(Read("a\nb\nc\nd") == "keys=a,b,c,d, prefixes= origin=");
  CHECK(Read("a\nb\nc\nd\ne") == "keys= prefixes= origin= all");
  CHECK(Read(R"({"keys":["a","b","c"],"prefixes":["d","e"]})") == "keys= prefixes= origin= all");
  CHECK(Read(R"({"all":false,"keys":["a"]})") == "keys=a, prefixes= origin=");
}

TEST_CASE("a message that cannot be read drops nothing and says why") {
  CHECK(Read("") == "refused: it names no keys");
  CHECK(Read("\n\n") == "refused: it names no keys");
  CHECK(Read("{}") == "refused: it names no keys");
  CHECK(Read(R"({"key":"a"})") == "refused: it names no keys");
  CHECK(Read(R"({"all":false})") == "refused: it names no keys");
  CHECK(Read(R"({"keys":["a"])") == "refused: it is no JSON object");
  CHECK(Read(R"({"keys":["a"]} x)") == "refused: it is no JSON object");
  CHECK(Read(R"({"keys":"a"})") == "refused: \"keys\" and \"prefixes\" must be arrays of strings");
  CHECK(Read(R"({"keys":["a",1]})") ==
        "refused: \"keys\" and \"prefixes\" must be arrays of strings");
  CHECK(Read(R"({"keys":["a"],"origin":7})") == "refused: \"origin\" must be a string");
  CHECK(Read(R"({"all":1})") == "refused: \"all\" must be true or false");
}

TEST_CASE("escapes are resolved, and what is not UTF-8 is no JSON") {
  CHECK(Read(R"({"keys":["\u0041\u00e9\u20ac\ud83d\ude00"]})") ==
        "keys=A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80, prefixes= origin=");
  for (const std::string_view text :
       {R"({"keys":["\ud83d"]})", R"({"keys":["\x41"]})", "{\"keys\":[\"\xff\"]}",
        "{\"keys\":[\"a\nb\"]}", R"({"keys":["a",]})", R"({"keys":["a"]}})", R"({"v":01})"}) {
    CAPTURE(text);
    CHECK(Read(text) == "refused: it is no JSON object");
  }
}

TEST_CASE("members that nobody knows may hold anything, as deep as they like") {
  CHECK(Read(R"({"x":{"keys":["no"],"all":true,"origin":[7]},"keys":["a"]})") ==
        "keys=a, prefixes= origin=");
  const std::string tower = std::string(200'000, '[') + std::string(200'000, ']');
  CHECK(Read("{\"x\":" + tower + ",\"keys\":[\"a\"]}") == "keys=a, prefixes= origin=");
  CHECK(Read("{\"x\":" + std::string(1'000'000, '[')) == "refused: it is no JSON object");
  CHECK(Read("{\"keys\":" + tower + "}") ==
        "refused: \"keys\" and \"prefixes\" must be arrays of strings");
}

TEST_CASE("an empty key is a key") {
  CHECK(Read(R"({"keys":[""]})") == "keys=, prefixes= origin=");
  CHECK(Read("", NoticeForm::kKey) == "keys=, prefixes= origin=");
}

TEST_CASE("a keyevent's payload is one key, whatever it looks like") {
  CHECK(NoticeFormOf("__keyevent@0__:set") == NoticeForm::kKey);
  CHECK(NoticeFormOf("app:changes") == NoticeForm::kText);
  CHECK(Read("a\nb", NoticeForm::kKey) == "keys=a\nb, prefixes= origin=");
  CHECK(Read(R"({"all":true})", NoticeForm::kKey) == R"(keys={"all":true}, prefixes= origin=)");
}

}  // namespace
}  // namespace nearcached::proto
