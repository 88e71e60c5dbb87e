// The address of the primary as one URL, in the forms Redis clients share:
//   redis://[[user]:password@]host[:port][/db]      unix://[[user]:password@]/path[?db=N]
//
// Thread: plain values. Never throws. No message ever holds the credentials of the URL.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/parsed.h"

namespace nearcached::config {

struct UpstreamUrl {
  std::string host;  // a name, IPv4 or IPv6 without brackets; empty for a unix socket
  std::uint16_t port = 6379;
  std::string unix_path;  // empty for TCP
  std::optional<std::string> username;
  std::optional<std::string> password;  // secret
  std::optional<std::uint32_t> db;

  // Without credentials and database: safe to show, and read back as the same place.
  std::string PlaceOnly() const;
};

// Percent-encoding is undone in user, password and path. What is known but not supported yet
// (rediss://, redis-sentinel://, redis-cluster://) is told apart from what is a mistake.
Parsed<UpstreamUrl> ParseUpstreamUrl(std::string_view text);

}  // namespace nearcached::config
