#include "daemon/upstream/cluster_map.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

namespace nearcached {
namespace {

using Kind = UpstreamReply::Kind;

std::optional<Endpoint> MakeEndpoint(const UpstreamReply* host, const UpstreamReply* port,
                                     const Endpoint& asked) {
  if (port == nullptr || port->kind != Kind::kInteger || port->integer < 1 ||
      port->integer > 65'535) {
    return std::nullopt;
  }
  Endpoint endpoint;
  endpoint.port = static_cast<int>(port->integer);
  // No host, an empty one and "?" all say: the node does not know its own, take the one you asked.
  const bool named =
      host != nullptr && host->kind == Kind::kString && !host->text.empty() && host->text != "?";
  endpoint.host = named ? host->text : asked.host;
  endpoint.tls = asked.tls;  // who is asked over TLS names the ports for TLS
  return endpoint;
}

// Gives the slots from `first` to `last` to `primary`.
bool Assign(ClusterMap& map, std::int64_t first, std::int64_t last, const Endpoint& primary) {
  if (first < 0 || last < first || last >= kSlots) {
    return false;
  }
  const auto it = std::find_if(map.primaries.begin(), map.primaries.end(),
                               [&](const Endpoint& known) { return known == primary; });
  const auto index = static_cast<std::size_t>(it - map.primaries.begin());
  if (it == map.primaries.end()) {
    if (map.primaries.size() >= ClusterMap::kPrimariesMax) {
      return false;
    }
    map.primaries.push_back(primary);
  }
  for (std::int64_t slot = first; slot <= last; ++slot) {
    auto& owner = map.owners[static_cast<std::size_t>(slot)];
    if (owner != ClusterMap::kNobody) {
      return false;
    }
    owner = static_cast<std::uint16_t>(index);
    ++map.covered;
  }
  return true;
}

// One order of the primaries, whoever was asked: a SCAN cursor names them by number.
void Sort(ClusterMap& map) {
  std::vector<std::uint16_t> order(map.primaries.size());
  std::iota(order.begin(), order.end(), std::uint16_t{0});
  const auto place = [&](std::uint16_t i) {
    return std::pair<std::string_view, int>(map.primaries[i].host, map.primaries[i].port);
  };
  std::sort(order.begin(), order.end(),
            [&](std::uint16_t a, std::uint16_t b) { return place(a) < place(b); });
  std::vector<Endpoint> sorted;
  std::vector<std::uint16_t> place_of(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    place_of[order[i]] = static_cast<std::uint16_t>(i);
    sorted.push_back(std::move(map.primaries[order[i]]));
  }
  map.primaries = std::move(sorted);
  for (auto& owner : map.owners) {
    owner = owner == ClusterMap::kNobody ? owner : place_of[owner];
  }
}

struct ShardNode {
  Endpoint endpoint;
  bool master = false;
  bool failed = false;
};

std::optional<ShardNode> ReadShardNode(const UpstreamReply& reply, const Endpoint& asked,
                                       bool tls) {
  const UpstreamReply* host = reply.Find("endpoint");
  if (host == nullptr) {
    host = reply.Find("ip");
  }
  const UpstreamReply* port = reply.Find(tls ? "tls-port" : "port");
  if (port == nullptr) {
    port = reply.Find("port");  // some nodes name one port, whichever it is
  }
  const auto endpoint = MakeEndpoint(host, port, asked);
  if (!endpoint) {
    return std::nullopt;
  }
  ShardNode node;
  node.endpoint = *endpoint;
  const UpstreamReply* role = reply.Find("role");
  node.master = role != nullptr && (role->text == "master" || role->text == "primary");
  const UpstreamReply* health = reply.Find("health");
  node.failed = health != nullptr && health->text == "fail";
  return node;
}

bool AddShard(ClusterMap& map, const UpstreamReply& shard, const Endpoint& asked, bool tls) {
  const UpstreamReply* slots = shard.Find("slots");
  const UpstreamReply* nodes = shard.Find("nodes");
  if (slots == nullptr || nodes == nullptr || slots->elements.size() % 2 != 0) {
    return false;
  }
  std::optional<ShardNode> primary;
  for (const UpstreamReply& element : nodes->elements) {
    const auto node = ReadShardNode(element, asked, tls);
    if (!node || !node->master) {
      map.replicas += node ? 1 : 0;
    } else if (!primary || (primary->failed && !node->failed)) {
      primary = node;
    }
  }
  if (slots->elements.empty() || !primary) {
    return true;  // owns nothing, or nobody serves what it owns: the slots stay uncovered
  }
  for (std::size_t i = 0; i < slots->elements.size(); i += 2) {
    if (!Assign(map, slots->elements[i].integer, slots->elements[i + 1].integer,
                primary->endpoint)) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::optional<ClusterMap> ParseClusterSlots(const UpstreamReply& reply, const Endpoint& asked) {
  if (reply.kind != Kind::kArray) {
    return std::nullopt;
  }
  ClusterMap map;
  for (const UpstreamReply& range : reply.elements) {
    if (range.elements.size() < 3 || range.elements[0].kind != Kind::kInteger ||
        range.elements[1].kind != Kind::kInteger || range.elements[2].elements.size() < 2) {
      return std::nullopt;
    }
    const auto primary =
        MakeEndpoint(&range.elements[2].elements[0], &range.elements[2].elements[1], asked);
    if (!primary || !Assign(map, range.elements[0].integer, range.elements[1].integer, *primary)) {
      return std::nullopt;
    }
    map.replicas += range.elements.size() - 3;
  }
  Sort(map);
  return map;
}

std::optional<ClusterMap> ParseClusterShards(const UpstreamReply& reply, const Endpoint& asked,
                                             bool tls) {
  if (reply.kind != Kind::kArray) {
    return std::nullopt;
  }
  ClusterMap map;
  for (const UpstreamReply& shard : reply.elements) {
    if (!AddShard(map, shard, asked, tls)) {
      return std::nullopt;
    }
  }
  Sort(map);
  return map;
}

}  // namespace nearcached
