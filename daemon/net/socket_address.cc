#include "daemon/net/socket_address.h"

#include <arpa/inet.h>
#include <array>
#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <sys/un.h>

namespace nearcached {

int SocketAddress::port() const {
  if (storage.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  }
  if (storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  }
  return 0;
}

std::string SocketAddress::ToString() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &in->sin_addr, text.data(), text.size());
    return std::string(text.data()) + ":" + std::to_string(port());
  }
  if (storage.ss_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &in6->sin6_addr, text.data(), text.size());
    return "[" + std::string(text.data()) + "]:" + std::to_string(port());
  }
  if (storage.ss_family == AF_UNIX) {
    // The kernel's length, not a NUL, ends the path; an unnamed peer has none at all.
    constexpr std::size_t kPathOffset = offsetof(sockaddr_un, sun_path);
    const std::size_t bytes = length > kPathOffset ? length - kPathOffset : 0;
    const auto* un = reinterpret_cast<const sockaddr_un*>(&storage);
    return "unix:" + std::string(un->sun_path, strnlen(un->sun_path, bytes));
  }
  return "unknown";
}

}  // namespace nearcached
