#include "daemon/session/hello_reply.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

constexpr std::string_view kServer = "$6\r\nserver\r\n$5\r\nredis\r\n";
constexpr std::string_view kRest =
    "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";

// The forms were read off redis-server 7.0.15.
TEST_CASE("HELLO is answered as the server answers it, with the client's own id") {
  std::string two;
  AppendHelloReply(two, proto::Protocol::kResp2, "7.0.15", 42);
  CHECK(two == "*14\r\n" + std::string(kServer) + "$7\r\nversion\r\n$6\r\n7.0.15\r\n" +
                   "$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:42\r\n" + std::string(kRest));
  std::string three;
  AppendHelloReply(three, proto::Protocol::kResp3, "7.0.15", 18'446'744'073);
  CHECK(three == "%7\r\n" + std::string(kServer) + "$7\r\nversion\r\n$6\r\n7.0.15\r\n" +
                     "$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:18446744073\r\n" + std::string(kRest));
}

TEST_CASE("before the upstream has said its version, HELLO says that it is unknown") {
  std::string out = "+OK\r\n";  // appended to what is there
  AppendHelloReply(out, proto::Protocol::kResp3, "", 1);
  CHECK(out.starts_with("+OK\r\n%7\r\n"));
  CHECK(out.find("$7\r\nversion\r\n$7\r\nunknown\r\n") != std::string::npos);
}

}  // namespace
}  // namespace nearcached
