// Config: everything a person can set, as plain structs whose member initialisers are the defaults.
//
// A Config that came out of LoadFile() (loader.h) without problems is complete and consistent: no
// code after the loader checks ranges again. What each key means, its range and whether it can be
// reloaded is said once, in the rows of schema.h; REFERENCE.md is printed from those rows.
//
// Thread: plain values. Durations are milliseconds, sizes are bytes.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/tls_config.h"
#include "config/upstream_url.h"

namespace nearcached::config {

using Duration = std::chrono::milliseconds;

inline constexpr std::uint64_t kKib = 1024;
inline constexpr std::uint64_t kMib = 1024 * kKib;
inline constexpr std::uint64_t kGib = 1024 * kMib;

// One address applications connect to. ParseListenAddress() (listen_address.h) takes it apart.
struct ListenerConfig {
  std::string address;             // "127.0.0.1:6380", "[::1]:6380", "unix:/run/nearcached.sock"
  std::uint32_t unix_mode = 0660;  // permission bits of the socket file; unused for TCP
  std::string username;            // with a password: the user AUTH must name; empty is "default"
  std::string password;            // secret; empty: clients need no AUTH
  bool allow_unauthenticated_remote = false;  // a non-loopback address without a password is meant
  bool read_only = false;                     // commands that may write are refused
  ListenerTlsConfig tls;

  friend bool operator==(const ListenerConfig&, const ListenerConfig&) = default;
};

// The exclusive links: lent to one client each for a transaction, a blocking command, a
// subscription. The words are those of connection pools elsewhere.
struct PoolConfig {
  std::uint32_t max_active = 256;    // open at once, lent and idle together
  std::uint32_t max_idle = 8;        // of those, kept open while nobody needs them
  std::uint32_t min_idle = 0;        // kept ready for the next client, as the last one needed them
  Duration max_wait{5'000};          // a client waits so long for a link; 0: refused at once
  Duration idle_timeout{300'000};    // a link nobody needs is closed after this long
  Duration max_lifetime{3'600'000};  // a link is replaced when it is this old; 0: never
  double lifetime_jitter = 0.1;      // the largest fraction max_lifetime is shortened by
  bool test_on_borrow = false;       // a PING before an idle link is lent
  bool test_while_idle = true;       // a PING every health_interval on idle links

  friend bool operator==(const PoolConfig&, const PoolConfig&) = default;
};

// The sentinels of a topology that has some. They are the hosts of UpstreamConfig.
struct SentinelConfig {
  std::string master_name;  // from url unless given: what the sentinels call the primary
  std::string username;     // the sentinels' own; empty: AUTH with the password alone
  std::string password;     // secret; empty: sentinels ask for no AUTH
  SentinelTlsConfig tls;

  friend bool operator==(const SentinelConfig&, const SentinelConfig&) = default;
};

// Where everything that is not a hit is asked from.
struct UpstreamConfig {
  // Where it is, normalised and without credentials or database once loaded: those are moved to
  // the members below, so that this one is safe to show.
  std::string url = "redis://127.0.0.1:6379";
  TopologyKind topology = TopologyKind::kSingle;  // from url unless given
  std::vector<std::string> hosts;                 // as given; empty: those of url
  // The nodes, or the sentinels: hosts or those of url. Empty with unix_path.
  std::vector<HostPort> nodes{HostPort{"127.0.0.1", 6379}};
  std::string unix_path;  // from url: a socket file, or empty
  UpstreamTlsConfig tls;  // also enabled by url: rediss://
  SentinelConfig sentinel;
  std::string username;  // empty: AUTH with the password alone
  std::string password;  // secret; empty: no AUTH
  // "shared": every client is the user above. "client": clients log in to the upstream themselves.
  std::string identity = "shared";
  std::uint32_t identities_max = 256;  // "client": users with links of their own
  std::uint32_t db = 0;                // the database clients start in

  Duration connect_timeout{2'000};
  Duration address_timeout{500};  // of that, for one address of a name that has several
  Duration dns_ttl{1'000};        // the addresses of a name are remembered this long; 0: never
  Duration command_timeout{5'000};
  std::uint32_t links = 2;       // forward lanes per database and protocol
  std::uint32_t fill_links = 1;  // links that carry the reads which fill L1
  PoolConfig pool;
  Duration health_interval{1'000};  // a PING on every link this often
  std::uint32_t health_misses = 3;  // unanswered PINGs in a row that end a link
  std::string maintenance_key;      // while it exists there, nothing is sent; empty: none
  Duration reconnect_delay_min{50};
  Duration reconnect_delay_max{5'000};
  Duration cluster_refresh_interval{5'000};  // topology: cluster; how old its slot map may get
  bool cluster_commands = false;             // topology: cluster; CLUSTER is passed on
  Duration max_hold{0};                      // requests wait so long when the upstream goes away
  bool retry_reads = true;                   // a read whose link was lost is sent once more
  // "primary", "prefer_replica", "replica" or "nearest": who answers reads that L1 does not keep.
  std::string read_from = "primary";
  Duration replica_lag_max{10'000};         // a replica that may be further behind is not read from
  std::uint32_t breaker_failures = 5;       // in a row: nobody connects for a while; 0: never
  std::uint32_t dials_max = 8;              // links that connect at the same time
  std::uint32_t link_pipeline_max = 1'024;  // unanswered on a shared link; then who has
  std::uint64_t link_pipeline_bytes_max = 4 * kMib;  // many of them waits, see Link::Crowded
  std::uint32_t link_queue_max = 65'536;             // requests unanswered on one link
  std::uint64_t link_bytes_max = 64 * kMib;          // request bytes waiting to be sent on one link

  friend bool operator==(const UpstreamConfig&, const UpstreamConfig&) = default;
};

// What becomes of single commands.
struct CommandsConfig {
  std::vector<std::string> deny;    // refused, with the name of this key: "flushall", "config|set"
  std::vector<std::string> rename;  // "flushall=x-flush": what the upstream calls a command
  bool forward_ping = false;        // PING and ECHO are answered by the upstream

  friend bool operator==(const CommandsConfig&, const CommandsConfig&) = default;
};

// The in-memory cache of one process.
struct L1Config {
  bool enabled = true;
  std::uint64_t bytes = 64 * kMib;       // keys, values and bookkeeping together
  std::uint64_t entry_bytes_max = kMib;  // key and value of one entry
  Duration ttl{5'000};                   // an entry is used at most this long
  double ttl_jitter = 0.1;  // the largest fraction a ttl is shortened by; it is never lengthened
  Duration negative_ttl{1'000};            // "no such key" is remembered this long; 0: never
  Duration stale_if_error{0};              // a value may be served so long into an outage; 0: not
  double negative_share = 0.1;             // fraction of `bytes` that missing keys may use
  std::uint32_t mget_fill_keys_max = 256;  // an MGET that misses more keys than this fills nothing
  // Commands whose replies are cached, out of kCachedCommands, or "all", in any case.
  std::vector<std::string> commands = {"get"};
  std::uint32_t variants_max = 128;  // replies kept of one key beside GET's
  // "off"; "rules": a rule whose entries die unread is stopped for a while; "all": so are the
  // defaults.
  std::string adaptive_stop = "off";
  std::uint32_t adaptive_stop_after =
      1'000;              // entries of a rule that died unread before it is judged
  double touch_rate = 0;  // the share of hits that the server is told by TOUCH
  // Keys that are never cached: "prefix*", "*suffix" or "*substring*".
  std::vector<std::string> never_cache = DefaultNeverCache();

  static std::vector<std::string> DefaultNeverCache();

  friend bool operator==(const L1Config&, const L1Config&) = default;
};

// What holds for keys that begin with `prefix`. The rule with the longest matching prefix wins
// alone: rules do not add up, and what a rule leaves empty comes from L1Config.
struct RuleConfig {
  std::string prefix;  // bytes, not a pattern; empty: every key
  bool cache = true;
  bool allow_locks = false;  // the rule's keys are cached even where l1.never_cache matches
  std::optional<Duration> ttl;
  std::optional<double> ttl_jitter;
  std::optional<Duration> negative_ttl;
  std::optional<Duration> stale_if_error;
  std::optional<std::uint64_t> entry_bytes_max;
  std::optional<std::vector<std::string>> commands;
  std::size_t line = 0;  // in the configuration file, for EXPLAIN; 0: not from a file

  // The same rule, wherever it was written: `line` does not count.
  friend bool operator==(const RuleConfig& a, const RuleConfig& b) {
    return a.prefix == b.prefix && a.cache == b.cache && a.allow_locks == b.allow_locks &&
           a.ttl == b.ttl && a.ttl_jitter == b.ttl_jitter && a.negative_ttl == b.negative_ttl &&
           a.stale_if_error == b.stale_if_error && a.entry_bytes_max == b.entry_bytes_max &&
           a.commands == b.commands;
  }
};

// Whether the server tells us about changed keys (CLIENT TRACKING).
struct TrackingConfig {
  enum class Mode : std::uint8_t {
    kAuto,      // use tracking; where the server has none, only rules with a ttl are cached
    kRequired,  // never cache without tracking
    kOff,       // never ask for tracking; only rules with a ttl are cached
  };
  enum class Method : std::uint8_t {
    kAuto,      // kDefault, or kRedirect where the server speaks no RESP3
    kDefault,   // the server remembers what a fill link has read, and tells that link
    kRedirect,  // it remembers the same, and tells a link of its own
    kBcast,     // it remembers nothing, and tells of every write under the prefixes of the rules
  };
  Mode mode = Mode::kAuto;
  Method method = Method::kAuto;

  friend bool operator==(const TrackingConfig&, const TrackingConfig&) = default;
};

// Messages by which others say which keys have changed. INVALIDATION.md
struct InvalidationConfig {
  std::vector<std::string> channels;  // Pub/Sub; with '*', '?' or '[': patterns
  std::string origin;                 // messages of this origin are our own echo; empty: none is
  std::uint32_t names_max = 10'000;   // keys and prefixes in a message; more: everything is dropped

  friend bool operator==(const InvalidationConfig&, const InvalidationConfig&) = default;
};

// How well the contract is kept, measured in production.
struct VerifyConfig {
  std::string canary_key;            // read and written to measure invalidations; empty: none
  Duration canary_interval{10'000};  // from one round to the next
  double hit_rate = 0;               // the share of hits that is compared with the upstream

  friend bool operator==(const VerifyConfig&, const VerifyConfig&) = default;
};

// One upstream read for many equal reads that arrive while it is under way.
struct CoalescingConfig {
  bool enabled = true;
  std::uint32_t waiters_max = 10'000;  // on one read; who comes later is forwarded alone

  friend bool operator==(const CoalescingConfig&, const CoalescingConfig&) = default;
};

// What one client, and all of them together, may take.
struct LimitsConfig {
  std::uint32_t clients_max = 10'000;
  std::uint32_t pipeline_max = 1'024;      // unanswered requests of a client before reading pauses
  std::uint64_t request_bytes_max = kGib;  // one request, all its arguments and framing
  std::uint64_t bulk_bytes_max = 512 * kMib;   // one argument
  std::uint64_t stream_above = 4 * kMib;       // larger requests are not gathered; 0: all are
  std::uint32_t args_max = 1'048'576;          // arguments of one request
  std::uint64_t inline_bytes_max = 64 * kKib;  // one line of the inline protocol
  std::uint64_t output_bytes_max = 64 * kMib;  // replies a client has not read; beyond: closed
  std::uint64_t scripts_bytes_max = 8 * kMib;  // scripts remembered for EVALSHA; 0: none
  Duration client_idle_timeout{0};             // a silent client is closed; 0: never
  Duration request_timeout{30'000};            // half a request, then silence; 0: never

  friend bool operator==(const LimitsConfig&, const LimitsConfig&) = default;
};

// HTTP: /metrics, /startup, /liveness, /readiness.
struct MetricsConfig {
  std::string address = "127.0.0.1:9380";  // empty: no HTTP at all
  bool allow_remote = false;               // a non-loopback address is meant

  friend bool operator==(const MetricsConfig&, const MetricsConfig&) = default;
};

// The NEARCACHE command.
struct AdminConfig {
  // Empty: answered on loopback and unix listeners. Set: a listener of its own, and only there.
  std::string address;

  friend bool operator==(const AdminConfig&, const AdminConfig&) = default;
};

struct DrainConfig {
  Duration timeout{20'000};  // SIGTERM: what is under way may take this long

  friend bool operator==(const DrainConfig&, const DrainConfig&) = default;
};

struct LogConfig {
  std::string level = "info";  // debug, info, warn, error

  friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

struct Config {
  std::vector<ListenerConfig> listeners = DefaultListeners();
  UpstreamConfig upstream;
  CommandsConfig commands;
  L1Config l1;
  std::vector<RuleConfig> rules;
  TrackingConfig tracking;
  InvalidationConfig invalidation;
  VerifyConfig verify;
  CoalescingConfig coalescing;
  LimitsConfig limits;
  MetricsConfig metrics;
  AdminConfig admin;
  DrainConfig drain;
  LogConfig log;
  std::uint32_t workers = 1;  // event loops; only 1 so far

  static std::vector<ListenerConfig> DefaultListeners();

  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace nearcached::config
