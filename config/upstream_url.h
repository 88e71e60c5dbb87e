// Where the upstream is, as one URL, in the forms Redis clients share:
//   redis://[[user]:password@]host[:port][/db]              one server
//   redis://[[user]:password@]host:port,host:port[/db]      a primary and its replicas, any order
//   redis-sentinel://[[user]:password@]host[:port],host[:port][/db]#master-name
//   redis-cluster://[[user]:password@]host[:port],host[:port]
//   unix://[[user]:password@]/path[?db=N]
// With rediss:// instead of redis:// (also rediss-sentinel://, rediss-cluster://) the nodes are
// spoken to over TLS. The form with Sentinel is that of Lettuce: user and password are those of the
// Redis nodes, the sentinels' own have keys of their own.
//
// Thread: plain values. Never throws. No message ever holds the credentials of the URL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/parsed.h"

namespace nearcached::config {

// What the hosts of an upstream are to each other.
enum class TopologyKind : std::uint8_t {
  kSingle,      // one server, which is the primary
  kReplicated,  // a primary and its replicas; who is which may change
  kSentinel,    // sentinels, which know where the primary is
  kCluster,     // some nodes of a Redis Cluster
};

// The port a host listens on when none is said: 26379 for sentinels, else 6379.
std::uint16_t DefaultPort(TopologyKind topology);

struct HostPort {
  std::string host;  // a name, IPv4 or IPv6 without brackets
  std::uint16_t port = 6379;

  // "host:port", an IPv6 address in brackets; ParseHostPort() reads it back.
  std::string ToString() const;

  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// "host", "host:port", "[::1]:port".
Parsed<HostPort> ParseHostPort(std::string_view text, std::uint16_t default_port);

struct UpstreamUrl {
  static constexpr std::size_t kNodesMax = 64;

  TopologyKind topology = TopologyKind::kSingle;
  bool tls = false;
  std::vector<HostPort> nodes;  // at least one, all different; empty for a unix socket
  std::string unix_path;        // empty for TCP
  std::optional<std::string> username;
  std::optional<std::string> password;  // secret
  std::optional<std::uint32_t> db;
  std::optional<std::string> master_name;  // kSentinel: under what name the sentinels know it

  // Without credentials and database: safe to show, and read back as the same place.
  std::string PlaceOnly() const;
};

// Percent-encoding is undone in user, password, path and the name of the master.
Parsed<UpstreamUrl> ParseUpstreamUrl(std::string_view text);

}  // namespace nearcached::config
