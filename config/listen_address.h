// Addresses that sockets are bound to: "127.0.0.1:6380", "[::1]:6380", "unix:/run/x.sock".
//
// Thread: plain values. Never throws.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/parsed.h"

namespace nearcached::config {

struct ListenAddress {
  std::string host;        // numeric, IPv4 or IPv6 without brackets; empty for a unix socket
  std::uint16_t port = 0;  // 0: the system picks a free one
  std::string unix_path;   // absolute; empty for TCP

  bool is_unix() const { return !unix_path.empty(); }
  // Nobody outside this machine can reach it: 127.0.0.0/8, ::1, or a unix socket.
  bool loopback() const;
  // The wildcard of its family: 0.0.0.0 or ::.
  bool any() const { return host == "0.0.0.0" || host == "::"; }
  // The spelling ParseListenAddress() reads, one per address.
  std::string ToString() const;

  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

// Names are not looked up (what a socket is bound to must not depend on a name server);
// "localhost" is 127.0.0.1, "*" is 0.0.0.0.
Parsed<ListenAddress> ParseListenAddress(std::string_view text);

// Whether binding both would fail or shadow one: the same path, or the same port where the hosts
// are equal or one is the wildcard of the other's family. Port 0 clashes with nothing.
bool Clash(const ListenAddress& a, const ListenAddress& b);

}  // namespace nearcached::config
