#include "proto/wire_errors.h"

#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace nearcached::proto {
namespace {

TEST_CASE("the lines that clients match on are those of Redis") {
  CHECK(WrongArity("get") == "ERR wrong number of arguments for 'get' command");
  CHECK(UnknownSubcommand("CLIENT", "x") == "ERR unknown subcommand 'x'. Try CLIENT HELP.");
  CHECK(HelloSyntax("x") == "ERR Syntax error in HELLO option 'x'");
}

TEST_CASE("our own lines name nearcached, the trouble and the remedy") {
  CHECK(UpstreamUnavailable("10.0.0.1:6379", "connection refused") ==
        "ERR nearcached: upstream 10.0.0.1:6379 is unavailable (connection refused); retrying");
  CHECK(UpstreamInMaintenance("10.0.0.1:6379", "m") ==
        "ERR nearcached: upstream 10.0.0.1:6379 is in maintenance while its key 'm' exists; DEL it "
        "when it is over");
  CHECK(NotSupported("MULTI", "connect to the upstream for it") ==
        "ERR nearcached: MULTI is not supported; connect to the upstream for it");
  CHECK(OwnError("so it is") == "ERR nearcached: so it is");
}

TEST_CASE("no line has bytes of a peer that could end it") {
  const std::string_view evil("a\r\n+OK\r\n\0\x7f", 10);
  CHECK(Printable(evil) == "a??+OK????");
  for (const std::string& line :
       {WrongArity(evil), UnknownSubcommand("CLIENT", evil), HelloSyntax(evil),
        UpstreamUnavailable(evil, evil), UpstreamInMaintenance(evil, evil),
        NotSupported(evil, "do without")}) {
    CAPTURE(line);
    CHECK(line.find_first_of("\r\n") == std::string::npos);
    CHECK(line.find('\0') == std::string::npos);
  }
}

TEST_CASE("long text is cut at 128 bytes, and not inside a character") {
  CHECK(Printable(std::string(128, 'a')) == std::string(128, 'a'));
  CHECK(Printable(std::string(500, 'a')) == std::string(128, 'a'));
  const std::string_view euro = "\xe2\x82\xac";
  CHECK(Printable(std::string(126, 'a') + std::string(euro) + "b") == std::string(126, 'a'));
  CHECK(Printable(std::string(125, 'a') + std::string(euro) + "b") ==
        std::string(125, 'a') + std::string(euro));
  CHECK(Printable(std::string(125, 'a') + "\xf0\x9f\x98\x80") == std::string(125, 'a'));
  CHECK(Printable(std::string(500, '\x80')).size() == 128);
  CHECK(Printable(std::string(10, '\x80')) == std::string(10, '\x80'));
}

}  // namespace
}  // namespace nearcached::proto
