// SocketAddress: a value that holds any address a socket can be bound or connected to.
#pragma once

#include <string>
#include <sys/socket.h>

namespace nearcached {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);

  // What bind, connect and accept4 want.
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }

  // Port of an IPv4 or IPv6 address, otherwise 0.
  [[nodiscard]] int port() const;

  // "127.0.0.1:6380", "[::1]:6380", "unix:/run/x.sock" ("unix:" for an unnamed peer).
  [[nodiscard]] std::string ToString() const;
};

}  // namespace nearcached
