#include "daemon/upstream/cluster_route.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

constexpr std::string_view kCrossSlot = "CROSSSLOT Keys in request don't hash to the same slot";

struct Special {
  std::string_view name;
  Route::Kind kind;
  MergeKind merge = MergeKind::kFirst;
  int step = 1;
};

// What does not follow from a command's keys. Sorted by name.
constexpr std::array kSpecial = {
    Special{"bgrewriteaof", Route::Kind::kPrimaries},
    Special{"bgsave", Route::Kind::kPrimaries},
    Special{"config|resetstat", Route::Kind::kPrimaries},
    Special{"config|rewrite", Route::Kind::kPrimaries},
    Special{"config|set", Route::Kind::kPrimaries},
    Special{"dbsize", Route::Kind::kPrimaries, MergeKind::kSum},
    Special{"del", Route::Kind::kSplit, MergeKind::kSum},
    Special{"exists", Route::Kind::kSplit, MergeKind::kSum},
    Special{"flushall", Route::Kind::kPrimaries},
    Special{"flushdb", Route::Kind::kPrimaries},
    Special{"function|delete", Route::Kind::kPrimaries},
    Special{"function|flush", Route::Kind::kPrimaries},
    Special{"function|load", Route::Kind::kPrimaries},
    Special{"function|restore", Route::Kind::kPrimaries},
    Special{"keys", Route::Kind::kPrimaries, MergeKind::kConcat},
    Special{"memory|purge", Route::Kind::kPrimaries},
    Special{"mget", Route::Kind::kSplit, MergeKind::kPositions},
    Special{"mset", Route::Kind::kSplit, MergeKind::kFirst, 2},
    Special{"pubsub|channels", Route::Kind::kPrimaries, MergeKind::kConcatUnique},
    Special{"pubsub|numpat", Route::Kind::kPrimaries, MergeKind::kSum},
    Special{"pubsub|numsub", Route::Kind::kPrimaries, MergeKind::kSumEach},
    Special{"pubsub|shardchannels", Route::Kind::kPrimaries, MergeKind::kConcatUnique},
    Special{"pubsub|shardnumsub", Route::Kind::kPrimaries, MergeKind::kSumEach},
    Special{"randomkey", Route::Kind::kPrimaries, MergeKind::kOneOf},
    Special{"save", Route::Kind::kPrimaries},
    Special{"scan", Route::Kind::kScan},
    Special{"script|exists", Route::Kind::kPrimaries, MergeKind::kLeastEach},
    Special{"script|flush", Route::Kind::kPrimaries},
    Special{"script|load", Route::Kind::kPrimaries},
    Special{"slowlog|reset", Route::Kind::kPrimaries},
    Special{"touch", Route::Kind::kSplit, MergeKind::kSum},
    Special{"unlink", Route::Kind::kSplit, MergeKind::kSum},
};
static_assert(std::is_sorted(kSpecial.begin(), kSpecial.end(),
                             [](const Special& a, const Special& b) { return a.name < b.name; }));

const Special* FindSpecial(std::string_view name) {
  const auto it = std::lower_bound(
      kSpecial.begin(), kSpecial.end(), name,
      [](const Special& special, std::string_view wanted) { return special.name < wanted; });
  return it != kSpecial.end() && it->name == name ? &*it : nullptr;
}

Route Refuse(std::string error) {
  Route route;
  route.kind = Route::Kind::kRefused;
  route.error = std::move(error);
  return route;
}

// What one node would carry out for itself alone, where the caller means all of them and a node
// that joins or takes over later would not know.
bool IsOneNodesBusiness(std::string_view name) {
  constexpr std::array<std::string_view, 8> kNames = {
      "acl|deluser", "acl|load",    "acl|save",      "acl|setuser",
      "debug",       "module|load", "module|loadex", "module|unload"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

Route ToSlotOf(std::string_view key) {
  Route route;
  route.kind = Route::Kind::kSlot;
  route.slot = SlotOf(key);
  return route;
}

// Channels of sharded publish/subscribe live in slots as keys do.
Route RouteOfChannels(std::span<const std::string_view> channels) {
  Route route = ToSlotOf(channels.front());
  for (const std::string_view channel : channels) {
    if (SlotOf(channel) != route.slot) {
      return Refuse(std::string(kCrossSlot));
    }
  }
  return route;
}

}  // namespace

Route RouteOf(const CommandRow& row, std::span<const std::string_view> args,
              std::vector<KeyVisit>& keys) {
  const std::string_view name = row.name;
  if (IsOneNodesBusiness(name)) {
    return Refuse(proto::NotSupported(name, "with a cluster, send it to each node itself"));
  }
  if (name == "cluster" || name.starts_with("cluster|")) {
    return Refuse("ERR This instance has cluster support disabled");  // as a lone server says it
  }
  if (args.size() > 1 && (name == "ssubscribe" || name == "sunsubscribe")) {
    return RouteOfChannels(args.subspan(1));
  }
  if (args.size() > 1 && name == "spublish") {
    return ToSlotOf(args[1]);
  }
  const KeysVerdict verdict = ExtractKeys(row, args, keys);
  const Special* const special = FindSpecial(name);
  const bool callable = row.ArityHolds(args.size());
  if (special != nullptr && callable && special->kind != Route::Kind::kSplit) {
    Route route;
    route.kind = special->kind;
    route.merge = special->merge;
    return route;
  }
  if (verdict != KeysVerdict::kKeys || keys.empty()) {
    return {};  // no keys, or nobody can tell them: then a node can, and redirects
  }
  Route route = ToSlotOf(keys.front().key);
  for (const KeyVisit& visit : keys) {
    if (SlotOf(visit.key) == route.slot) {
      continue;
    }
    if (special == nullptr || (args.size() - 1) % static_cast<std::size_t>(special->step) != 0) {
      return Refuse(std::string(kCrossSlot));
    }
    route.kind = Route::Kind::kSplit;
    route.merge = special->merge;
    route.step = special->step;
    break;
  }
  return route;
}

std::vector<SplitPart> SplitBySlot(std::span<const std::string_view> args, int step) {
  std::vector<SplitPart> parts;
  std::unordered_map<Slot, std::size_t> part_of;
  std::uint32_t position = 0;
  for (std::size_t i = 1; i < args.size(); i += static_cast<std::size_t>(step)) {
    const Slot slot = SlotOf(args[i]);
    const auto [it, added] = part_of.emplace(slot, parts.size());
    if (added) {
      parts.push_back({slot, {}});
    }
    parts[it->second].positions.push_back(position++);
  }
  return parts;
}

void AppendPart(std::string& out, std::span<const std::string_view> args, int step,
                const SplitPart& part) {
  std::vector<std::string_view> words = {args[0]};
  for (const std::uint32_t position : part.positions) {
    const std::size_t first = 1 + std::size_t{position} * static_cast<std::size_t>(step);
    for (std::size_t i = 0; i < static_cast<std::size_t>(step); ++i) {
      words.push_back(args[first + i]);
    }
  }
  proto::AppendCommand(out, words);
}

}  // namespace nearcached
