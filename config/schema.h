// The schema: one row per key, and all that is known about the key is in the row.
//
// Loading, environment names, range checks, the hints for unknown keys, CONFIG, reloading and
// REFERENCE.md are all driven by the rows; adding a key is a member in config.h and a row in
// schema.cc. The default is not repeated in the row: it is the member's initialiser, which
// ExampleConfig() gives access to.
//
// Paths are the keys of the YAML file joined by dots; keys of list elements have "[]" for the
// place in the list: "rules[].ttl".
//
// Thread: constant tables and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace nearcached::config {

enum class Type : std::uint8_t {
  kBool,
  kCount,
  kFraction,
  kDuration,
  kBytes,
  kText,
  kAddress,   // ParseListenAddress()
  kUrl,       // ParseUpstreamUrl()
  kHosts,     // a list of "host:port", ParseHostPort()
  kPattern,   // a list of "prefix*", "*suffix", "*substring*"
  kCommands,  // a list of command names: "flushall", "config|set"
  kCached,    // a list of names out of kCachedCommands, or "all"
  kRenames,   // a list of "flushall=x-flush": a command, and what the upstream calls it
  kChannels,  // a list of Pub/Sub channels or patterns
  kPrefix,    // the first bytes of a key
  kChoice,    // one of Row::choices
  kMode,      // permission bits in octal
  kElements,  // a list whose elements have rows of their own
};

// Rows whose value is a list of texts, each checked by CheckItem().
constexpr bool IsTextList(Type type) {
  return type == Type::kHosts || type == Type::kPattern || type == Type::kCommands ||
         type == Type::kCached || type == Type::kRenames || type == Type::kChannels;
}

// How the value of a row is reached. `index` is the place in the list, for paths with "[]".
template <typename T>
struct Access {
  T& (*mutate)(Config& config, std::size_t index);
  const T& (*read)(const Config& config, std::size_t index);
};

// How a list of elements is reached as a whole.
struct ElementsAccess {
  std::size_t (*size)(const Config& config);
  void (*resize)(Config& config, std::size_t size);
};

using Field =
    std::variant<Access<bool>, Access<std::uint32_t>, Access<std::uint64_t>, Access<double>,
                 Access<Duration>, Access<std::string>, Access<std::vector<std::string>>,
                 Access<std::optional<double>>, Access<std::optional<Duration>>,
                 Access<std::optional<std::uint64_t>>,
                 Access<std::optional<std::vector<std::string>>>, Access<TrackingConfig::Mode>,
                 Access<TrackingConfig::Method>, Access<TopologyKind>, ElementsAccess>;

// Inclusive; in the unit of the type (counts, bytes, milliseconds, a fraction of 1).
struct Range {
  double min = 0;
  double max = 0;
};

enum class Secrecy : std::uint8_t { kPublic, kSecret };
enum class Presence : std::uint8_t { kOptional, kRequired };  // kRequired: in each list element

struct Row {
  std::string_view path;
  Type type = Type::kText;
  Field field;
  Range range;
  std::span<const std::string_view> choices;
  std::string_view restart_reason;  // empty: takes effect on reload (SIGHUP)
  Secrecy secrecy = Secrecy::kPublic;
  Presence presence = Presence::kOptional;
  std::string_view help;

  bool reloadable() const { return restart_reason.empty(); }
  bool secret() const { return secrecy == Secrecy::kSecret; }
  // The list this row's key is an element key of, as in "rules"; empty: none.
  std::string_view list() const;
};

// In the order of REFERENCE.md; a list of elements comes before its element rows.
std::span<const Row> Rows();

// The row of "l1.ttl", or of "rules[].ttl" for "rules[3].ttl"; null: there is none.
const Row* FindRow(std::string_view path);

// What a key of an earlier version is called now; empty: there was none of this name.
std::string_view RenamedTo(std::string_view path);
// The other way round.
std::string_view FormerName(std::string_view path);

// "rules[3].ttl" -> "rules[].ttl".
std::string WithoutIndexes(std::string_view path);
// "rules[].ttl", 3 -> "rules[3].ttl"; a path without "[]" stays as it is.
std::string WithIndex(std::string_view path, std::size_t index);

// The defaults, with one element of defaults in each list, so that every row can be read at 0.
Config ExampleConfig();

// The environment variable of a path: "NEARCACHED_L1_TTL", "NEARCACHED_RULES_3_TTL". For a row
// with "[]" the place is shown as "<n>".
std::string EnvironmentName(std::string_view path);

}  // namespace nearcached::config
