#include "daemon/net/socket_address.h"

#include <arpa/inet.h>
#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <sys/un.h>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

SocketAddress V4(const char* host, std::uint16_t port) {
  SocketAddress address;
  auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
  in->sin_family = AF_INET;
  in->sin_port = htons(port);
  REQUIRE(inet_pton(AF_INET, host, &in->sin_addr) == 1);
  address.length = sizeof(sockaddr_in);
  return address;
}

SocketAddress V6(const char* host, std::uint16_t port) {
  SocketAddress address;
  auto* in6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(port);
  REQUIRE(inet_pton(AF_INET6, host, &in6->sin6_addr) == 1);
  address.length = sizeof(sockaddr_in6);
  return address;
}

// `bytes` as the kernel would have written them behind the family.
SocketAddress Unix(std::string_view bytes) {
  SocketAddress address;
  auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
  un->sun_family = AF_UNIX;
  REQUIRE(bytes.size() <= sizeof(un->sun_path));
  std::memcpy(un->sun_path, bytes.data(), bytes.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bytes.size());
  return address;
}

TEST_CASE("addresses are written as they are configured") {
  CHECK(V4("127.0.0.1", 6380).ToString() == "127.0.0.1:6380");
  CHECK(V4("255.255.255.255", 65535).ToString() == "255.255.255.255:65535");
  CHECK(V6("::1", 6380).ToString() == "[::1]:6380");
  CHECK(V6("2001:db8:0:0:0:0:0:1", 1).ToString() == "[2001:db8::1]:1");
  CHECK(V6("::ffff:10.0.0.1", 1).ToString() == "[::ffff:10.0.0.1]:1");
  CHECK(V6("1111:2222:3333:4444:5555:6666:7777:8888", 65535).ToString() ==
        "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
}

TEST_CASE("only TCP has a port") {
  CHECK(V4("127.0.0.1", 6380).port() == 6380);
  CHECK(V6("::1", 65535).port() == 65535);
  CHECK(Unix("/run/x.sock").port() == 0);
  CHECK(SocketAddress{}.port() == 0);
}

TEST_CASE("a unix path ends at its NUL or where the kernel says, whichever comes first") {
  CHECK(Unix(std::string_view("/run/x.sock\0", 12)).ToString() == "unix:/run/x.sock");
  CHECK(Unix("/run/x.sock").ToString() == "unix:/run/x.sock");
  CHECK(Unix(std::string_view("/run/x\0garbage", 14)).ToString() == "unix:/run/x");
  // As long as it can be there is no NUL at all.
  const std::string longest(sizeof(sockaddr_un::sun_path), 'p');
  CHECK(Unix(longest).ToString() == "unix:" + longest);
}

TEST_CASE("a peer without a name, and what is no address, have a text too") {
  CHECK(Unix("").ToString() == "unix:");
  SocketAddress cut = Unix("/run/x.sock");
  cut.length = 0;
  CHECK(cut.ToString() == "unix:");
  CHECK(SocketAddress{}.ToString() == "unknown");
}

}  // namespace
}  // namespace nearcached
