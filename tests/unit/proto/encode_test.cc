#include "proto/encode.h"

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace nearcached::proto {
namespace {

constexpr Protocol k2 = Protocol::kResp2;
constexpr Protocol k3 = Protocol::kResp3;

// What an append function adds to a string that is not empty.
template <typename Append>
std::string Added(Append append) {
  std::string out = "x";
  append(out);
  CHECK(out.front() == 'x');
  return out.substr(1);
}

TEST_CASE("values that look the same in both protocols") {
  CHECK(Added([](auto& out) { AppendSimple(out, "OK"); }) == "+OK\r\n");
  CHECK(Added([](auto& out) { AppendInteger(out, 0); }) == ":0\r\n");
  CHECK(Added([](auto& out) { AppendInteger(out, std::numeric_limits<std::int64_t>::min()); }) ==
        ":-9223372036854775808\r\n");
  CHECK(Added([](auto& out) { AppendBulk(out, ""); }) == "$0\r\n\r\n");
  CHECK(Added([](auto& out) { AppendBulk(out, "a\r\nb"); }) == "$4\r\na\r\nb\r\n");
  CHECK(Added([](auto& out) { AppendArrayHeader(out, 12); }) == "*12\r\n");
  CHECK(Added([](auto& out) { AppendPushHeader(out, 2); }) == ">2\r\n");
  CHECK(Added([](auto& out) { AppendSetHeader(out, 2, Protocol::kResp3); }) == "~2\r\n");
  CHECK(Added([](auto& out) { AppendSetHeader(out, 2, Protocol::kResp2); }) == "*2\r\n");
}

TEST_CASE("values that have a form of their own in RESP3 fall back in RESP2") {
  const auto in = [](Protocol protocol, auto append) {
    return Added([&](std::string& out) { append(out, protocol); });
  };
  CHECK(in(k2, AppendNull) == "$-1\r\n");
  CHECK(in(k3, AppendNull) == "_\r\n");
  const auto map = [](auto& out, Protocol protocol) { AppendMapHeader(out, 3, protocol); };
  CHECK(in(k2, map) == "*6\r\n");
  CHECK(in(k3, map) == "%3\r\n");
  const auto yes = [](auto& out, Protocol protocol) { AppendBool(out, true, protocol); };
  CHECK(in(k2, yes) == ":1\r\n");
  CHECK(in(k3, yes) == "#t\r\n");
  const auto no = [](auto& out, Protocol protocol) { AppendBool(out, false, protocol); };
  CHECK(in(k2, no) == ":0\r\n");
  CHECK(in(k3, no) == "#f\r\n");
  const auto text = [](auto& out, Protocol protocol) {
    AppendVerbatim(out, "txt", "hi", protocol);
  };
  CHECK(in(k2, text) == "$2\r\nhi\r\n");
  CHECK(in(k3, text) == "=6\r\ntxt:hi\r\n");
}

TEST_CASE("doubles are written in the shortest form that reads back") {
  const auto encoded = [](double value, Protocol protocol) {
    return Added([&](auto& out) { AppendDouble(out, value, protocol); });
  };
  CHECK(encoded(0.1, k3) == ",0.1\r\n");
  CHECK(encoded(3, k3) == ",3\r\n");
  CHECK(encoded(-2.2250738585072014e-308, k3) == ",-2.2250738585072014e-308\r\n");
  CHECK(encoded(std::numeric_limits<double>::infinity(), k3) == ",inf\r\n");
  CHECK(encoded(-std::numeric_limits<double>::infinity(), k3) == ",-inf\r\n");
  CHECK(encoded(std::numeric_limits<double>::quiet_NaN(), k3) == ",nan\r\n");
  CHECK(encoded(-std::numeric_limits<double>::quiet_NaN(), k3) == ",nan\r\n");
  CHECK(encoded(0.1, k2) == "$3\r\n0.1\r\n");
}

TEST_CASE("an error line cannot end early and forge a reply") {
  CHECK(Added([](auto& out) { AppendError(out, "ERR no"); }) == "-ERR no\r\n");
  CHECK(Added([](auto& out) { AppendError(out, "ERR a\r\n+OK\r\n"); }) == "-ERR a  +OK  \r\n");
}

TEST_CASE("a command is an array of bulks") {
  const std::array<std::string_view, 3> args = {"SET", "k", "\r\n"};
  CHECK(Added([&](auto& out) { AppendCommand(out, args); }) ==
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n");
}

}  // namespace
}  // namespace nearcached::proto
