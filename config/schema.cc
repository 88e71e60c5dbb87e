// The rows. Longer than the other files of this room because it is a table; there is no logic
// above the few functions at the end.
//
// Reloadable means: when SIGHUP brings another value, the running process can honour it at once
// and without harming a client. What is bound at start (sockets, links, worker threads) gives the
// reason why it is not.
#include "config/schema.h"

#include <array>
#include <chrono>
#include <limits>

namespace nearcached::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// --- The small words rows are written with ---

// A member of a section: At<&Config::l1, &L1Config::ttl>().
template <auto kSection, auto kMember>
consteval auto At() {
  using T = std::remove_cvref_t<decltype(std::declval<Config>().*kSection.*kMember)>;
  return Access<T>{
      [](Config& config, std::size_t) -> T& { return config.*kSection.*kMember; },
      [](const Config& config, std::size_t) -> const T& { return config.*kSection.*kMember; }};
}

// A member of a section inside a section.
template <auto kSection, auto kInner, auto kMember>
consteval auto In() {
  using T = std::remove_cvref_t<decltype(std::declval<Config>().*kSection.*kInner.*kMember)>;
  return Access<T>{
      [](Config& config, std::size_t) -> T& { return config.*kSection.*kInner.*kMember; },
      [](const Config& config, std::size_t) -> const T& {
        return config.*kSection.*kInner.*kMember;
      }};
}

// A member of Config itself.
template <auto kMember>
consteval auto Top() {
  using T = std::remove_cvref_t<decltype(std::declval<Config>().*kMember)>;
  return Access<T>{[](Config& config, std::size_t) -> T& { return config.*kMember; },
                   [](const Config& config, std::size_t) -> const T& { return config.*kMember; }};
}

// A member of a list's elements.
template <auto kList, auto kMember>
consteval auto Each() {
  using T = std::remove_cvref_t<decltype((std::declval<Config>().*kList)[0].*kMember)>;
  return Access<T>{
      [](Config& config, std::size_t i) -> T& { return (config.*kList)[i].*kMember; },
      [](const Config& config, std::size_t i) -> const T& { return (config.*kList)[i].*kMember; }};
}

// A member of upstream.tls, of upstream.sentinel.tls, and of the tls of a listener.
template <auto kMember>
consteval auto UpstreamTls() {
  using T = std::remove_cvref_t<decltype(std::declval<UpstreamTlsConfig>().*kMember)>;
  return Access<T>{
      [](Config& config, std::size_t) -> T& { return config.upstream.tls.*kMember; },
      [](const Config& config, std::size_t) -> const T& { return config.upstream.tls.*kMember; }};
}
template <auto kMember>
consteval auto SentinelTls() {
  using T = std::remove_cvref_t<decltype(std::declval<SentinelTlsConfig>().*kMember)>;
  return Access<T>{
      [](Config& config, std::size_t) -> T& { return config.upstream.sentinel.tls.*kMember; },
      [](const Config& config, std::size_t) -> const T& {
        return config.upstream.sentinel.tls.*kMember;
      }};
}
template <auto kMember>
consteval auto ListenerTls() {
  using T = std::remove_cvref_t<decltype(std::declval<ListenerTlsConfig>().*kMember)>;
  return Access<T>{
      [](Config& config, std::size_t i) -> T& { return config.listeners[i].tls.*kMember; },
      [](const Config& config, std::size_t i) -> const T& {
        return config.listeners[i].tls.*kMember;
      }};
}

template <auto kList>
consteval ElementsAccess Elements() {
  return {[](const Config& config) { return (config.*kList).size(); },
          [](Config& config, std::size_t size) { (config.*kList).resize(size); }};
}

constexpr double kAsMany = 4'294'967'295.0;

consteval Range Count(double min, double max = kAsMany) {
  return {min, max};
}
consteval Range Fraction(double min, double max) {
  return {min, max};
}
consteval Range Time(milliseconds min, milliseconds max) {
  return {static_cast<double>(min.count()), static_cast<double>(max.count())};
}
consteval Range Size(std::uint64_t min, std::uint64_t max) {
  return {static_cast<double>(min), static_cast<double>(max)};
}

constexpr std::string_view kLive;
constexpr std::string_view kSockets = "sockets are bound once, at start";
constexpr std::string_view kLinks = "links to the upstream are set up with it";
constexpr std::string_view kTracking =
    "what is in the cache was admitted under the mode the process started with";
constexpr std::string_view kThreads = "event loops are started once";

constexpr std::array<std::string_view, 3> kTrackingModes = {"auto", "required", "off"};
constexpr std::array<std::string_view, 4> kTrackingMethods = {"auto", "default", "redirect",
                                                              "bcast"};
constexpr std::array<std::string_view, 4> kTopologies = {"single", "replicated", "sentinel",
                                                         "cluster"};
constexpr std::array<std::string_view, 3> kTlsVerify = {"full", "ca", "none"};
constexpr std::array<std::string_view, 3> kSentinelTlsModes = {"upstream", "own", "off"};
constexpr std::array<std::string_view, 3> kTlsClientAuth = {"none", "optional", "required"};
constexpr std::array<std::string_view, 2> kTlsVersions = {"1.2", "1.3"};
constexpr std::array<std::string_view, 3> kAdaptiveStops = {"off", "rules", "all"};
constexpr std::array<std::string_view, 2> kIdentities = {"shared", "client"};
constexpr std::array<std::string_view, 4> kReadPolicies = {"primary", "prefer_replica", "replica",
                                                           "nearest"};
constexpr std::array<std::string_view, 4> kLogLevels = {"debug", "info", "warn", "error"};

constexpr Range kAny{};
constexpr std::span<const std::string_view> kFree{};
constexpr milliseconds kMs{1};
constexpr milliseconds kDay = hours(24);
constexpr std::uint64_t kTib = 1024 * kGib;

constexpr auto kPublic = Secrecy::kPublic;
constexpr auto kSecret = Secrecy::kSecret;
constexpr auto kOptional = Presence::kOptional;
constexpr auto kRequired = Presence::kRequired;

// Keys that were called otherwise. Whoever still uses the old name is told the new one.
struct Rename {
  std::string_view from;
  std::string_view to;
};
constexpr Rename kRenames[] = {
    {"upstream.exclusive_links_max", "upstream.pool.max_active"},
    {"upstream.exclusive_links_idle_max", "upstream.pool.max_idle"},
    {"upstream.idle_timeout", "upstream.pool.idle_timeout"},
};

// --- The rows ---

constexpr Row kRows[] = {
    {"listeners", Type::kElements, Elements<&Config::listeners>(), kAny, kFree, kSockets, kPublic,
     kOptional,
     "The addresses applications connect to. An element is a map with the keys below, or just an "
     "address."},
    {"listeners[].address", Type::kAddress, Each<&Config::listeners, &ListenerConfig::address>(),
     kAny, kFree, kSockets, kPublic, kRequired,
     "Where to listen: `127.0.0.1:6380`, `[::1]:6380` or `unix:/run/nearcached/nearcached.sock`. "
     "An address that other machines can reach needs a password, or "
     "`allow_unauthenticated_remote`. Port 0 takes any free port."},
    {"listeners[].unix_mode", Type::kMode, Each<&Config::listeners, &ListenerConfig::unix_mode>(),
     Count(0, 0777), kFree, kSockets, kPublic, kOptional,
     "The permission bits of the socket file, in octal; unused for TCP. Whoever may write to the "
     "file may connect."},
    {"listeners[].username", Type::kText, Each<&Config::listeners, &ListenerConfig::username>(),
     kAny, kFree, kSockets, kPublic, kOptional,
     "The user clients name in AUTH or HELLO, together with `password`. Empty: `default`, which "
     "is what AUTH with a password alone means."},
    {"listeners[].password", Type::kText, Each<&Config::listeners, &ListenerConfig::password>(),
     kAny, kFree, kSockets, kSecret, kOptional,
     "What clients of this listener must send with AUTH. Empty: nothing is asked."},
    {"listeners[].allow_unauthenticated_remote", Type::kBool,
     Each<&Config::listeners, &ListenerConfig::allow_unauthenticated_remote>(), kAny, kFree,
     kSockets, kPublic, kOptional,
     "Says in so many words that anybody who can reach this address may read and write all data "
     "of the upstream."},
    {"listeners[].read_only", Type::kBool, Each<&Config::listeners, &ListenerConfig::read_only>(),
     kAny, kFree, kSockets, kPublic, kOptional,
     "Clients of this listener are refused every command that may write, which includes scripts "
     "(EVAL_RO is read-only) and commands nobody knows."},
    {"listeners[].tls.cert_file", Type::kText, ListenerTls<&ListenerTlsConfig::cert_file>(), kAny,
     kFree, kSockets, kPublic, kOptional,
     "Makes this a TLS listener: the PEM file of its certificate, followed by those between it and "
     "the CA. The files of a listener are taken over within seconds when they change, or on "
     "SIGHUP; "
     "clients that are connected stay, and a file that is no use leaves the old one in use."},
    {"listeners[].tls.key_file", Type::kText, ListenerTls<&ListenerTlsConfig::key_file>(), kAny,
     kFree, kSockets, kPublic, kOptional, "The PEM file of the certificate's private key."},
    {"listeners[].tls.key_password", Type::kText, ListenerTls<&ListenerTlsConfig::key_password>(),
     kAny, kFree, kSockets, kSecret, kOptional,
     "The pass phrase of `key_file`. Empty: the key is not encrypted."},
    {"listeners[].tls.client_ca_file", Type::kText,
     ListenerTls<&ListenerTlsConfig::client_ca_file>(), kAny, kFree, kSockets, kPublic, kOptional,
     "The PEM file of the CAs that sign clients' certificates; for `client_auth`."},
    {"listeners[].tls.client_auth", Type::kChoice, ListenerTls<&ListenerTlsConfig::client_auth>(),
     kAny, kTlsClientAuth, kSockets, kPublic, kOptional,
     "Whether clients show a certificate. `optional`: one that is shown must be good. `required`: "
     "nobody is served without, so other machines may reach the address without a password."},
    {"listeners[].tls.min_version", Type::kChoice, ListenerTls<&ListenerTlsConfig::min_version>(),
     kAny, kTlsVersions, kSockets, kPublic, kOptional, "The oldest version of TLS that is spoken."},
    {"listeners[].tls.ciphers", Type::kText, ListenerTls<&ListenerTlsConfig::ciphers>(), kAny,
     kFree, kSockets, kPublic, kOptional,
     "The ciphers for TLS 1.2 in OpenSSL's notation. Empty: OpenSSL's choice."},
    {"listeners[].tls.ciphersuites", Type::kText, ListenerTls<&ListenerTlsConfig::ciphersuites>(),
     kAny, kFree, kSockets, kPublic, kOptional,
     "The cipher suites for TLS 1.3 in OpenSSL's notation. Empty: OpenSSL's choice."},
    {"listeners[].tls.handshake_timeout", Type::kDuration,
     ListenerTls<&ListenerTlsConfig::handshake_timeout>(), Time(100 * kMs, hours(1)), kFree,
     kSockets, kPublic, kOptional,
     "A client that has not finished its TLS handshake by then is closed."},

    {"upstream.url", Type::kUrl, At<&Config::upstream, &UpstreamConfig::url>(), kAny, kFree, kLinks,
     kSecret, kOptional,
     "Where Redis is. One server: `redis://[user:password@]host[:port][/db]` or "
     "`unix:///path/of/the.sock[?db=N]`. A primary and its replicas, in any order: "
     "`redis://host:port,host:port[/db]`. Sentinels: "
     "`redis-sentinel://[user:password@]host[:port],host[:port][/db]#master-name`, with the user "
     "and password of the Redis nodes. A cluster: `redis-cluster://host[:port],host[:port]`. With "
     "`rediss` in place of `redis` it is TLS. The keys `topology`, `hosts`, `username`, "
     "`password`, `db` and `sentinel.master_name` come before what the URL says, unless the URL "
     "was given in a place that counts more (environment before file, command line before "
     "environment)."},
    {"upstream.topology", Type::kChoice, At<&Config::upstream, &UpstreamConfig::topology>(), kAny,
     kTopologies, kLinks, kPublic, kOptional,
     "What the hosts are to each other. `single`: one server. `replicated`: a primary and its "
     "replicas; whichever of them says it is the primary is followed. `sentinel`: the hosts are "
     "sentinels, which are asked for the primary. `cluster`: the hosts are some nodes of a Redis "
     "Cluster. Left out, it follows from `url`, or from the number of `hosts`."},
    {"upstream.hosts", Type::kHosts, At<&Config::upstream, &UpstreamConfig::hosts>(), kAny, kFree,
     kLinks, kPublic, kOptional,
     "The nodes, or the sentinels, as `host:port`; an IPv6 address goes in brackets. The port is "
     "6379 where none is said, 26379 for sentinels. Left out, they follow from `url`."},
    {"upstream.sentinel.master_name", Type::kText,
     In<&Config::upstream, &UpstreamConfig::sentinel, &SentinelConfig::master_name>(), kAny, kFree,
     kLinks, kPublic, kOptional,
     "Under what name the sentinels know the primary (`sentinel monitor <name> …`). Left out, it "
     "follows from what stands behind `#` in `url`."},
    {"upstream.sentinel.username", Type::kText,
     In<&Config::upstream, &UpstreamConfig::sentinel, &SentinelConfig::username>(), kAny, kFree,
     kLinks, kPublic, kOptional,
     "The ACL user the sentinels themselves are spoken to as. Empty: AUTH with the password "
     "alone."},
    {"upstream.sentinel.password", Type::kText,
     In<&Config::upstream, &UpstreamConfig::sentinel, &SentinelConfig::password>(), kAny, kFree,
     kLinks, kSecret, kOptional,
     "The password of the sentinels themselves, which is not that of the Redis nodes. Empty: no "
     "AUTH is sent to them."},
    {"upstream.sentinel.tls.mode", Type::kChoice, SentinelTls<&SentinelTlsConfig::mode>(), kAny,
     kSentinelTlsModes, kLinks, kPublic, kOptional,
     "Whether the sentinels are spoken to over TLS. `upstream`: where the nodes are, and with the "
     "settings of `upstream.tls`. `own`: with those below. `off`: not, whatever the nodes do."},
    {"upstream.sentinel.tls.ca_file", Type::kText, SentinelTls<&SentinelTlsConfig::ca_file>(), kAny,
     kFree, kLinks, kPublic, kOptional,
     "As `upstream.tls.ca_file`, of the sentinels' certificates. Those below are as there, too."},
    {"upstream.sentinel.tls.ca_path", Type::kText, SentinelTls<&SentinelTlsConfig::ca_path>(), kAny,
     kFree, kLinks, kPublic, kOptional, "A folder of such CAs, prepared with `openssl rehash`."},
    {"upstream.sentinel.tls.cert_file", Type::kText, SentinelTls<&SentinelTlsConfig::cert_file>(),
     kAny, kFree, kLinks, kPublic, kOptional,
     "The PEM file of our own certificate, for sentinels that ask for one."},
    {"upstream.sentinel.tls.key_file", Type::kText, SentinelTls<&SentinelTlsConfig::key_file>(),
     kAny, kFree, kLinks, kPublic, kOptional, "The PEM file of that certificate's private key."},
    {"upstream.sentinel.tls.key_password", Type::kText,
     SentinelTls<&SentinelTlsConfig::key_password>(), kAny, kFree, kLinks, kSecret, kOptional,
     "The pass phrase of `key_file`. Empty: the key is not encrypted."},
    {"upstream.sentinel.tls.server_name", Type::kText,
     SentinelTls<&SentinelTlsConfig::server_name>(), kAny, kFree, kLinks, kPublic, kOptional,
     "The name to ask for (SNI) and to expect in the certificate of each sentinel. Empty: the host "
     "that is connected to."},
    {"upstream.sentinel.tls.verify", Type::kChoice, SentinelTls<&SentinelTlsConfig::verify>(), kAny,
     kTlsVerify, kLinks, kPublic, kOptional,
     "How the sentinels are checked: `full`, `ca` (for any name) or `none`."},
    {"upstream.sentinel.tls.min_version", Type::kChoice,
     SentinelTls<&SentinelTlsConfig::min_version>(), kAny, kTlsVersions, kLinks, kPublic, kOptional,
     "The oldest version of TLS that is spoken."},
    {"upstream.sentinel.tls.ciphers", Type::kText, SentinelTls<&SentinelTlsConfig::ciphers>(), kAny,
     kFree, kLinks, kPublic, kOptional,
     "The ciphers for TLS 1.2 in OpenSSL's notation. Empty: OpenSSL's choice."},
    {"upstream.sentinel.tls.ciphersuites", Type::kText,
     SentinelTls<&SentinelTlsConfig::ciphersuites>(), kAny, kFree, kLinks, kPublic, kOptional,
     "The cipher suites for TLS 1.3 in OpenSSL's notation. Empty: OpenSSL's choice."},
    {"upstream.username", Type::kText, At<&Config::upstream, &UpstreamConfig::username>(), kAny,
     kFree, kLinks, kPublic, kOptional,
     "The ACL user the links log in as. Empty: AUTH with the password alone."},
    {"upstream.password", Type::kText, At<&Config::upstream, &UpstreamConfig::password>(), kAny,
     kFree, kLinks, kSecret, kOptional, "The password of the links. Empty: no AUTH is sent."},
    {"upstream.identity", Type::kChoice, At<&Config::upstream, &UpstreamConfig::identity>(), kAny,
     kIdentities, kLinks, kPublic, kOptional,
     "Who clients are upstream. `shared`: all are the user of `username`, and a listener may ask "
     "for "
     "a password of its own. `client`: the upstream judges their AUTH and HELLO, and the commands "
     "of "
     "a client that has logged in run on links of its user, past the cache, so that each is judged "
     "by the upstream's ACL. Who has not logged in is the upstream's default user, and is answered "
     "from the cache as ever: what is taken from that user shows when an entry's ttl ends. In a "
     "cluster a user has to be there on every node and may ask for `CLUSTER SLOTS`."},
    {"upstream.identities_max", Type::kCount,
     At<&Config::upstream, &UpstreamConfig::identities_max>(), Count(1, 65'536), kFree, kLive,
     kPublic, kOptional,
     "With `identity: client`: how many users may have links of their own at once, each with up to "
     "`links` lanes and `pool.max_active` exclusive links. A login beyond it gets an error."},
    {"upstream.db", Type::kCount, At<&Config::upstream, &UpstreamConfig::db>(),
     Count(0, 2'147'483'647), kFree, kLinks, kPublic, kOptional, "The database clients start in."},
    {"upstream.tls.enabled", Type::kBool, UpstreamTls<&UpstreamTlsConfig::enabled>(), kAny, kFree,
     kLinks, kPublic, kOptional,
     "Whether the links speak TLS. A `rediss://` URL switches it on as well."},
    {"upstream.tls.ca_file", Type::kText, UpstreamTls<&UpstreamTlsConfig::ca_file>(), kAny, kFree,
     kLinks, kPublic, kOptional,
     "The PEM file of the CAs that may have signed the server's certificate. Empty, and no "
     "`ca_path`: those this system trusts. Files named under `upstream.tls` are taken over within "
     "seconds when they change, or on SIGHUP; links that stand stay, and a file that is no use "
     "leaves the old one in use."},
    {"upstream.tls.ca_path", Type::kText, UpstreamTls<&UpstreamTlsConfig::ca_path>(), kAny, kFree,
     kLinks, kPublic, kOptional, "A folder of such CAs, prepared with `openssl rehash`."},
    {"upstream.tls.cert_file", Type::kText, UpstreamTls<&UpstreamTlsConfig::cert_file>(), kAny,
     kFree, kLinks, kPublic, kOptional,
     "The PEM file of our own certificate, for servers that ask for one (redis.conf: "
     "`tls-auth-clients`)."},
    {"upstream.tls.key_file", Type::kText, UpstreamTls<&UpstreamTlsConfig::key_file>(), kAny, kFree,
     kLinks, kPublic, kOptional, "The PEM file of that certificate's private key."},
    {"upstream.tls.key_password", Type::kText, UpstreamTls<&UpstreamTlsConfig::key_password>(),
     kAny, kFree, kLinks, kSecret, kOptional,
     "The pass phrase of `key_file`. Empty: the key is not encrypted."},
    {"upstream.tls.server_name", Type::kText, UpstreamTls<&UpstreamTlsConfig::server_name>(), kAny,
     kFree, kLinks, kPublic, kOptional,
     "The name to ask for (SNI) and to expect in the server's certificate. Empty: the host that is "
     "connected to."},
    {"upstream.tls.verify", Type::kChoice, UpstreamTls<&UpstreamTlsConfig::verify>(), kAny,
     kTlsVerify, kLinks, kPublic, kOptional,
     "How the server is checked. `full`: a trusted CA has signed its certificate, for the right "
     "name. `ca`: for any name. `none`: not at all, so whoever stands in between can read and "
     "change everything."},
    {"upstream.tls.min_version", Type::kChoice, UpstreamTls<&UpstreamTlsConfig::min_version>(),
     kAny, kTlsVersions, kLinks, kPublic, kOptional, "The oldest version of TLS that is spoken."},
    {"upstream.tls.ciphers", Type::kText, UpstreamTls<&UpstreamTlsConfig::ciphers>(), kAny, kFree,
     kLinks, kPublic, kOptional,
     "The ciphers for TLS 1.2 in OpenSSL's notation. Empty: OpenSSL's choice."},
    {"upstream.tls.ciphersuites", Type::kText, UpstreamTls<&UpstreamTlsConfig::ciphersuites>(),
     kAny, kFree, kLinks, kPublic, kOptional,
     "The cipher suites for TLS 1.3 in OpenSSL's notation. Empty: OpenSSL's choice."},
    {"upstream.connect_timeout", Type::kDuration,
     At<&Config::upstream, &UpstreamConfig::connect_timeout>(), Time(10 * kMs, kDay), kFree, kLinks,
     kPublic, kOptional,
     "How long connecting, AUTH and arming tracking may take together before it is tried again."},
    {"upstream.address_timeout", Type::kDuration,
     At<&Config::upstream, &UpstreamConfig::address_timeout>(), Time(10 * kMs, kDay), kFree, kLinks,
     kPublic, kOptional,
     "How long one address of a name may take to accept a connection before the next one is tried; "
     "the last one has what is left of `connect_timeout`."},
    {"upstream.dns_ttl", Type::kDuration, At<&Config::upstream, &UpstreamConfig::dns_ttl>(),
     Time(0 * kMs, hours(1)), kFree, kLinks, kPublic, kOptional,
     "How long the addresses of a name are remembered; 0: it is looked up for every connection. "
     "Addresses that cannot be reached are forgotten at once."},
    {"upstream.command_timeout", Type::kDuration,
     At<&Config::upstream, &UpstreamConfig::command_timeout>(), Time(10 * kMs, kDay), kFree, kLive,
     kPublic, kOptional,
     "How long a reply may take before the client gets an error. A late reply is thrown away. A "
     "blocking "
     "command's own timeout is added to it."},
    {"upstream.links", Type::kCount, At<&Config::upstream, &UpstreamConfig::links>(), Count(1, 64),
     kFree, kLinks, kPublic, kOptional,
     "Forwarding links for each database and protocol version in use. One link pipelines any "
     "number "
     "of clients; more help where single values are large."},
    {"upstream.fill_links", Type::kCount, At<&Config::upstream, &UpstreamConfig::fill_links>(),
     Count(1, 64), kFree, kLinks, kPublic, kOptional,
     "Links that carry the reads which fill the cache. Each is tracked by the server on its own."},
    {"upstream.pool.max_active", Type::kCount,
     In<&Config::upstream, &UpstreamConfig::pool, &PoolConfig::max_active>(), Count(0, 65'536),
     kFree, kLive, kPublic, kOptional,
     "How many exclusive links may be open at once: links of one client alone, for transactions, "
     "blocking commands and subscriptions. A client that needs one more waits, in order of "
     "arrival, "
     "up to `max_wait`."},
    {"upstream.pool.max_idle", Type::kCount,
     In<&Config::upstream, &UpstreamConfig::pool, &PoolConfig::max_idle>(), Count(0, 65'536), kFree,
     kLive, kPublic, kOptional,
     "How many exclusive links are kept open while nobody needs them. The one used last is lent "
     "first."},
    {"upstream.pool.min_idle", Type::kCount,
     In<&Config::upstream, &UpstreamConfig::pool, &PoolConfig::min_idle>(), Count(0, 65'536), kFree,
     kLive, kPublic, kOptional,
     "How many exclusive links are kept ready for the next client, which then need not wait for a "
     "connection. They are of the database and protocol that were asked for last; one that is lent "
     "is replaced at once."},
    {"upstream.pool.max_wait", Type::kDuration,
     In<&Config::upstream, &UpstreamConfig::pool, &PoolConfig::max_wait>(), Time(0 * kMs, kDay),
     kFree, kLive, kPublic, kOptional,
     "How long a client waits for an exclusive link when `max_active` are lent, before it gets an "
     "error. 0: the error comes at once."},
    {"upstream.pool.idle_timeout", Type::kDuration,
     In<&Config::upstream, &UpstreamConfig::pool, &PoolConfig::idle_timeout>(),
     Time(1'000 * kMs, 7 * kDay), kFree, kLive, kPublic, kOptional,
     "A link that nobody has used for this long is closed: an exclusive one above `min_idle`, or a "
     "forwarding link of a database or protocol other than the first."},
    {"upstream.pool.max_lifetime", Type::kDuration,
     In<&Config::upstream, &UpstreamConfig::pool, &PoolConfig::max_lifetime>(),
     Time(0 * kMs, 365 * kDay), kFree, kLive, kPublic, kOptional,
     "A link this old is replaced as soon as nothing is unanswered on it, so that a change of "
     "addresses or of a load balancer's members is followed. Links that fill the cache are exempt: "
     "what they filled goes with them. 0: never."},
    {"upstream.pool.lifetime_jitter", Type::kFraction,
     In<&Config::upstream, &UpstreamConfig::pool, &PoolConfig::lifetime_jitter>(), Fraction(0, 1),
     kFree, kLive, kPublic, kOptional,
     "The largest fraction `max_lifetime` is shortened by, drawn for each connection, so that "
     "links "
     "opened together are not replaced together."},
    {"upstream.pool.test_on_borrow", Type::kBool,
     In<&Config::upstream, &UpstreamConfig::pool, &PoolConfig::test_on_borrow>(), kAny, kFree,
     kLive, kPublic, kOptional,
     "Whether an idle link must answer a PING before it is lent, which costs the client one round "
     "trip. A link that does not answer is replaced."},
    {"upstream.pool.test_while_idle", Type::kBool,
     In<&Config::upstream, &UpstreamConfig::pool, &PoolConfig::test_while_idle>(), kAny, kFree,
     kLive, kPublic, kOptional,
     "Whether idle links are sent a PING every `upstream.health_interval`, so that dead ones are "
     "found before a client needs them."},
    {"upstream.health_interval", Type::kDuration,
     At<&Config::upstream, &UpstreamConfig::health_interval>(), Time(50 * kMs, kDay), kFree, kLinks,
     kPublic, kOptional,
     "How often a PING is sent on a link. With `health_misses` it bounds how long a link that died "
     "in silence can go unnoticed."},
    {"upstream.health_misses", Type::kCount,
     At<&Config::upstream, &UpstreamConfig::health_misses>(), Count(1, 100), kFree, kLinks, kPublic,
     kOptional, "How many PINGs in a row may stay unanswered before a link is given up."},
    {"upstream.maintenance_key", Type::kText,
     At<&Config::upstream, &UpstreamConfig::maintenance_key>(), kAny, kFree, kLive, kPublic,
     kOptional,
     "While this key exists on the primary, in the database of `url`, the primary counts as away: "
     "requests are held for `upstream.max_hold` and then refused, hits are served from memory, "
     "what is under way (transactions, subscriptions and blocked clients too) goes on to its end, "
     "and links stay. So `SET nearcached:maintenance 1 EX 600` takes the load off a server without "
     "stopping it, and `DEL` brings it back. Looked at by EXISTS every `upstream.health_interval`, "
     "which the user of `upstream` must be allowed. Replicas have the key too, so after a failover "
     "the new primary is in maintenance until it is deleted there; reads that `read_from` sends to "
     "replicas go on. Empty: nothing is asked. Not with `redis-cluster://` or `identity: client`."},
    {"upstream.reconnect_delay_min", Type::kDuration,
     At<&Config::upstream, &UpstreamConfig::reconnect_delay_min>(), Time(kMs, kDay), kFree, kLinks,
     kPublic, kOptional,
     "How long to wait before connecting again the first time; it doubles with every failure, with "
     "jitter."},
    {"upstream.reconnect_delay_max", Type::kDuration,
     At<&Config::upstream, &UpstreamConfig::reconnect_delay_max>(), Time(kMs, kDay), kFree, kLinks,
     kPublic, kOptional, "The longest such wait."},
    {"upstream.cluster_commands", Type::kBool,
     At<&Config::upstream, &UpstreamConfig::cluster_commands>(), kAny, kFree, kLive, kPublic,
     kOptional,
     "With a cluster: `true` passes CLUSTER on to one of its nodes. A client that then finds out "
     "where the nodes are may go there past nearcached. `false` answers as a lone server does."},
    {"upstream.cluster_refresh_interval", Type::kDuration,
     At<&Config::upstream, &UpstreamConfig::cluster_refresh_interval>(), Time(100 * kMs, kDay),
     kFree, kLinks, kPublic, kOptional,
     "With a cluster: its slot map is asked for again after this long, and soon after a node "
     "redirected a request or was lost."},
    {"upstream.max_hold", Type::kDuration, At<&Config::upstream, &UpstreamConfig::max_hold>(),
     Time(0 * kMs, 10 * 60'000 * kMs), kFree, kLive, kPublic, kOptional,
     "Requests whose link is lost, or cannot be made, are held for this long, counted from the "
     "loss, instead of failing: long enough for a restart or a failover, a client sees a pause "
     "and no error. Then they fail at once until a link stands. 0: they fail at once from the "
     "start, which suits applications that have retries, fallbacks or circuit breakers of their "
     "own. In a cluster each node counts for itself, and so long as it says CLUSTERDOWN it counts "
     "as away; a transaction waits before its first key, not in its midst."},
    {"upstream.retry_reads", Type::kBool, At<&Config::upstream, &UpstreamConfig::retry_reads>(),
     kAny, kFree, kLive, kPublic, kOptional,
     "A read that was on its way when its connection was lost is sent once more over the next one, "
     "if that can be made at once (or within `upstream.max_hold`) and the same client had sent "
     "nothing else behind it. Never a write: it may have been carried out. `false`: its client "
     "gets the error."},
    {"upstream.read_from", Type::kChoice, At<&Config::upstream, &UpstreamConfig::read_from>(), kAny,
     kReadPolicies, kLinks, kPublic, kOptional,
     "Which node answers reads of keys that no rule caches; what the cache keeps is always read "
     "from the primary, because only there do reads and invalidations have one order. `primary`: "
     "no other. `prefer_replica`: a replica where one can be read, else the primary. `replica`: "
     "the same, but an error when there is no replica. `nearest`: whichever of them all answers "
     "quickest. A key that was written through this sidecar is read from the primary until the "
     "replica has the write. In a cluster: reads of one key, by each shard's own replicas. Not "
     "with "
     "`identity: client`."},
    {"upstream.replica_lag_max", Type::kDuration,
     At<&Config::upstream, &UpstreamConfig::replica_lag_max>(), Time(100 * kMs, kDay), kFree, kLive,
     kPublic, kOptional,
     "How old the data of a replica may be, as far as is known, for it to be read from. What is "
     "known is found out every `upstream.health_interval`, so this must be longer."},
    {"upstream.breaker_failures", Type::kCount,
     At<&Config::upstream, &UpstreamConfig::breaker_failures>(), Count(0, 1'000'000), kFree, kLive,
     kPublic, kOptional,
     "After so many failures in a row (connections that could not be made, requests that timed out "
     "while nothing at all was answered) the circuit breaker opens: requests are refused at once, "
     "and a single link or request tries, after delays as between reconnects, until the server "
     "answers. 0: never."},
    {"upstream.dials_max", Type::kCount, At<&Config::upstream, &UpstreamConfig::dials_max>(),
     Count(1, 65'536), kFree, kLive, kPublic, kOptional,
     "How many links may connect at the same time; others wait for their turn. It keeps a restart "
     "of the server from being met by all links at once."},
    {"upstream.link_pipeline_max", Type::kCount,
     At<&Config::upstream, &UpstreamConfig::link_pipeline_max>(), Count(16, 16'777'216), kFree,
     kLive, kPublic, kOptional,
     "Requests that may be unanswered on a shared link before clients that have 16 or more of them "
     "there wait with the next, so that a client with few is not behind thousands of another "
     "one's. "
     "Nothing is refused by it."},
    {"upstream.link_pipeline_bytes_max", Type::kBytes,
     At<&Config::upstream, &UpstreamConfig::link_pipeline_bytes_max>(), Size(kKib, 64 * kGib),
     kFree, kLive, kPublic, kOptional,
     "The same for the bytes of those requests: beyond it, clients that have any request "
     "unanswered "
     "on the link wait with the next."},
    {"upstream.link_queue_max", Type::kCount,
     At<&Config::upstream, &UpstreamConfig::link_queue_max>(), Count(16, 16'777'216), kFree, kLinks,
     kPublic, kOptional,
     "Requests that may wait for a reply on one link; beyond it a request is refused with an "
     "error."},
    {"upstream.link_bytes_max", Type::kBytes,
     At<&Config::upstream, &UpstreamConfig::link_bytes_max>(), Size(64 * kKib, 64 * kGib), kFree,
     kLinks, kPublic, kOptional,
     "Bytes of requests that may wait to be sent on one link; beyond it clients wait with the "
     "next, "
     "and are refused with an error after `command_timeout`, or at once while the link does not "
     "stand."},

    {"commands.deny", Type::kCommands, At<&Config::commands, &CommandsConfig::deny>(), kAny, kFree,
     kLive, kPublic, kOptional,
     "Commands that are refused on every listener, as in `[\"flushall\", \"config|set\"]`. The "
     "name of "
     "a command with subcommands stands for all of them. What scripts call is not looked at."},
    {"commands.rename", Type::kRenames, At<&Config::commands, &CommandsConfig::rename>(), kAny,
     kFree, kLinks, kPublic, kOptional,
     "What the upstream calls a command, where it has another name there (`rename-command` of "
     "redis.conf), as in `[\"flushall=x-flush-7\"]`. Clients use either name, and `deny` means "
     "both. A name that is no command becomes another name for one: `[\"wipe=unlink\"]`. Not for "
     "AUTH, CLUSTER, HELLO, ROLE and SENTINEL, nor for single subcommands."},
    {"commands.forward_ping", Type::kBool, At<&Config::commands, &CommandsConfig::forward_ping>(),
     kAny, kFree, kLive, kPublic, kOptional,
     "PING and ECHO go to the upstream. Otherwise nearcached answers them, which says that it is "
     "there itself, and costs clients that send one before each request no round trip."},

    {"l1.enabled", Type::kBool, At<&Config::l1, &L1Config::enabled>(), kAny, kFree, kLive, kPublic,
     kOptional, "Whether anything is answered from memory. Off: every request is forwarded."},
    {"l1.bytes", Type::kBytes, At<&Config::l1, &L1Config::bytes>(), Size(kMib, 64 * kTib), kFree,
     kLive, kPublic, kOptional,
     "Memory for keys, values and their bookkeeping together. When it is used up, what is least "
     "likely to be read again makes room."},
    {"l1.entry_bytes_max", Type::kBytes, At<&Config::l1, &L1Config::entry_bytes_max>(),
     Size(1, 512 * kMib), kFree, kLive, kPublic, kOptional,
     "The largest key and value, together, that are kept. Larger ones are forwarded."},
    {"l1.ttl", Type::kDuration, At<&Config::l1, &L1Config::ttl>(), Time(kMs, 365 * kDay), kFree,
     kLive, kPublic, kOptional,
     "The longest time a value is used, whatever else happens. While the server tracks our keys a "
     "changed value is dropped at once and this is only a second line of defence; without tracking "
     "it is how stale a read may be."},
    {"l1.ttl_jitter", Type::kFraction, At<&Config::l1, &L1Config::ttl_jitter>(), Fraction(0, 0.9),
     kFree, kLive, kPublic, kOptional,
     "The largest fraction by which the ttl of an entry is shortened at random, so that entries "
     "filled together do not expire together. It is never lengthened."},
    {"l1.negative_ttl", Type::kDuration, At<&Config::l1, &L1Config::negative_ttl>(),
     Time(0 * kMs, 365 * kDay), kFree, kLive, kPublic, kOptional,
     "The longest time the absence of a key is remembered; 0: never. At most `ttl`, to which the "
     "default is lowered."},
    {"l1.stale_if_error", Type::kDuration, At<&Config::l1, &L1Config::stale_if_error>(),
     Time(0 * kMs, kDay), kFree, kLive, kPublic, kOptional,
     "While nothing can be had from the upstream, a value that was in memory when the connection "
     "was lost is served for at most this long after the loss, and never beyond its own ttl. Never "
     "one that was invalidated, nor one that a client has tried to write since; the first "
     "connection that stands again ends it. 0: reads fail while the upstream is away. In a cluster "
     "each node counts for itself, and slots that another node takes over end it. No effect "
     "without tracking, where entries outlive a loss anyway."},
    {"l1.negative_share", Type::kFraction, At<&Config::l1, &L1Config::negative_share>(),
     Fraction(0, 1), kFree, kLive, kPublic, kOptional,
     "The fraction of `bytes` that absent keys may use, so that reading random names cannot push "
     "out values."},
    {"l1.mget_fill_keys_max", Type::kCount, At<&Config::l1, &L1Config::mget_fill_keys_max>(),
     Count(0, 1'048'576), kFree, kLive, kPublic, kOptional,
     "An MGET with more missing keys than this is answered but fills nothing: a bulk read is no "
     "sign that its keys will be read again."},
    {"l1.commands", Type::kCached, At<&Config::l1, &L1Config::commands>(), kAny, kFree, kLive,
     kPublic, kOptional,
     "The commands whose replies are cached, as in `[\"get\", \"hgetall\"]`; `all` stands for all "
     "that can be, but for scripts (EVAL_RO, FCALL_RO), which only their author knows to read "
     "nothing but their key. `get` and `mget` stand for each other. Anything written to a key "
     "drops all replies that are kept of it, so a key that is written as often as it is read is "
     "better not cached. Commands other than `get` are cached only while the server tracks our "
     "keys. CACHED_COMMANDS.md says what is kept of each."},
    {"l1.variants_max", Type::kCount, At<&Config::l1, &L1Config::variants_max>(), Count(1, 256),
     kFree, kLive, kPublic, kOptional,
     "Of one key, so many replies to commands other than GET are kept at once (each `HGET` of "
     "another field is one). The next one takes the place of the one that was asked for least."},
    {"l1.adaptive_stop", Type::kChoice, At<&Config::l1, &L1Config::adaptive_stop>(), kAny,
     kAdaptiveStops, kLive, kPublic, kOptional,
     "Whether caching stops for a while where it does not pay: where fewer than one key is read "
     "from memory for ten entries that expire or are invalidated unread. Reads are forwarded then, "
     "and the server tracks nothing for them. After half a minute (with jitter; twice as long each "
     "time in a row, up to ten minutes) it is tried again. `rules`: each of `rules` is judged by "
     "itself; `all`: the defaults of `l1` as well. `off` is the default because a rule may be "
     "wide: "
     "where few hot keys are among very many cold ones, stopping costs the hot ones more than it "
     "saves. Give what is written as often as it is read a rule of its own, and say `rules`."},
    {"l1.adaptive_stop_after", Type::kCount, At<&Config::l1, &L1Config::adaptive_stop_after>(),
     Count(10, 100'000'000), kFree, kLive, kPublic, kOptional,
     "How many entries of a rule must have died unread before it is judged."},
    {"l1.touch_rate", Type::kFraction, At<&Config::l1, &L1Config::touch_rate>(), Fraction(0, 1),
     kFree, kLive, kPublic, kOptional,
     "The share of answers from memory that the server is told by TOUCH, as in `0.01`. Keys that "
     "are mostly read from here look idle to it, and where it evicts by LRU or LFU "
     "(`maxmemory-policy`) the most read go first. At most 512 keys in each tenth of a second, in "
     "one request for each database. 0: none is."},
    {"l1.never_cache", Type::kPattern, At<&Config::l1, &L1Config::never_cache>(), kAny, kFree,
     kLive, kPublic, kOptional,
     "Keys that are never cached: `prefix*`, `*suffix` or `*substring*`, compared byte for byte. "
     "The default are the usual names of locks: a lock that is read from a cache is a lock held by "
     "two. A list given here replaces the default, `[]` empties it. A rule with "
     "`allow_locks: true` comes before it for its own keys."},

    {"rules", Type::kElements, Elements<&Config::rules>(), kAny, kFree, kLive, kPublic, kOptional,
     "What holds for keys with a certain beginning. The rule with the longest matching prefix "
     "counts alone; what it leaves out comes from `l1`. On a server without tracking only keys "
     "under a rule that says `ttl` are cached."},
    {"rules[].prefix", Type::kPrefix, Each<&Config::rules, &RuleConfig::prefix>(), kAny, kFree,
     kLive, kPublic, kRequired,
     "The first bytes of the keys, not a pattern: `user:` and not `user:*`. An empty prefix means "
     "every key no other rule matches."},
    {"rules[].cache", Type::kBool, Each<&Config::rules, &RuleConfig::cache>(), kAny, kFree, kLive,
     kPublic, kOptional, "Whether these keys are cached at all."},
    {"rules[].allow_locks", Type::kBool, Each<&Config::rules, &RuleConfig::allow_locks>(), kAny,
     kFree, kLive, kPublic, kOptional,
     "These keys are cached even where `l1.never_cache` matches them."},
    {"rules[].ttl", Type::kDuration, Each<&Config::rules, &RuleConfig::ttl>(),
     Time(kMs, 365 * kDay), kFree, kLive, kPublic, kOptional, "As `l1.ttl`, for these keys."},
    {"rules[].ttl_jitter", Type::kFraction, Each<&Config::rules, &RuleConfig::ttl_jitter>(),
     Fraction(0, 0.9), kFree, kLive, kPublic, kOptional, "As `l1.ttl_jitter`, for these keys."},
    {"rules[].negative_ttl", Type::kDuration, Each<&Config::rules, &RuleConfig::negative_ttl>(),
     Time(0 * kMs, 365 * kDay), kFree, kLive, kPublic, kOptional,
     "As `l1.negative_ttl`, for these keys."},
    {"rules[].stale_if_error", Type::kDuration, Each<&Config::rules, &RuleConfig::stale_if_error>(),
     Time(0 * kMs, kDay), kFree, kLive, kPublic, kOptional,
     "As `l1.stale_if_error`, for these keys."},
    {"rules[].entry_bytes_max", Type::kBytes, Each<&Config::rules, &RuleConfig::entry_bytes_max>(),
     Size(1, 512 * kMib), kFree, kLive, kPublic, kOptional,
     "As `l1.entry_bytes_max`, for these keys."},
    {"rules[].commands", Type::kCached, Each<&Config::rules, &RuleConfig::commands>(), kAny, kFree,
     kLive, kPublic, kOptional, "As `l1.commands`, for these keys."},

    {"tracking.mode", Type::kChoice, At<&Config::tracking, &TrackingConfig::mode>(), kAny,
     kTrackingModes, kTracking, kPublic, kOptional,
     "Whether the server tells us about keys that change (CLIENT TRACKING). `auto`: it is used; "
     "where the server has none, only keys under a rule with a `ttl` are cached, and the log and "
     "the metrics say so. `required`: nothing is ever cached without it. `off`: it is not asked "
     "for."},
    {"tracking.method", Type::kChoice, At<&Config::tracking, &TrackingConfig::method>(), kAny,
     kTrackingMethods, kTracking, kPublic, kOptional,
     "How the server tells us. `default`: it remembers the keys that a fill link reads, and pushes "
     "their changes on that link; needs RESP3. `redirect`: it remembers the same, and tells a "
     "link of its own, in RESP2; needs `INFO` and `CLIENT ID`. `auto`: `default`, or `redirect` "
     "where the server speaks no RESP3. `bcast`: it remembers nothing, and pushes every write of a "
     "key under the prefix of a rule that caches (without such a rule: of every key); other keys "
     "are then not cached, and prefixes must not overlap. Worth it where few of those keys are "
     "written. With `redirect` and `bcast` a push may come after a reply that shows what it "
     "announces, so of all reads only `GET` and `MGET` are cached."},

    {"invalidation.channels", Type::kChannels,
     At<&Config::invalidation, &InvalidationConfig::channels>(), kAny, kFree, kLive, kPublic,
     kOptional,
     "Pub/Sub channels on which applications and other systems say which keys have changed, as in "
     "`[\"cache:changes\"]`; a name with `*`, `?` or `[` is a pattern. INVALIDATION.md describes "
     "the messages. Worth most where the server has no tracking: there it is what lets a `ttl` be "
     "long."},
    {"invalidation.origin", Type::kText, At<&Config::invalidation, &InvalidationConfig::origin>(),
     kAny, kFree, kLive, kPublic, kOptional,
     "Messages that say they are of this origin are not acted on: for an application that writes "
     "through this sidecar, whose entries are dropped already, and tells the others. Empty: all "
     "are."},
    {"invalidation.names_max", Type::kCount,
     At<&Config::invalidation, &InvalidationConfig::names_max>(), Count(1, 1'000'000), kFree, kLive,
     kPublic, kOptional,
     "Keys and prefixes that one message may name; for a message with more everything is dropped."},

    {"verify.canary_key", Type::kText, At<&Config::verify, &VerifyConfig::canary_key>(), kAny,
     kFree, kLive, kPublic, kOptional,
     "A key that the sidecar reads and writes by itself to measure how long a change made "
     "elsewhere "
     "takes to drop an entry (`nearcached_canary_delay_seconds`). Each sidecar appends a number of "
     "its own, so `nearcached:canary` becomes `nearcached:canary:123`; the user of `upstream` must "
     "be allowed to GET, PTTL and SET it. It expires by itself. Empty: nothing is measured."},
    {"verify.canary_interval", Type::kDuration,
     At<&Config::verify, &VerifyConfig::canary_interval>(), Time(100 * kMs, kDay), kFree, kLive,
     kPublic, kOptional, "The pause between two rounds of the canary."},
    {"verify.hit_rate", Type::kFraction, At<&Config::verify, &VerifyConfig::hit_rate>(),
     Fraction(0, 1), kFree, kLive, kPublic, kOptional,
     "The share of GET answers from memory that is compared with the upstream afterwards, as in "
     "`0.001`: each costs one GET upstream, and no client waits for it. A difference that is there "
     "for longer than the staleness bound is counted and logged as broken. 0: none is."},

    {"coalescing.enabled", Type::kBool, At<&Config::coalescing, &CoalescingConfig::enabled>(), kAny,
     kFree, kLive, kPublic, kOptional,
     "Whether equal reads that arrive while one is under way share its reply."},
    {"coalescing.waiters_max", Type::kCount,
     At<&Config::coalescing, &CoalescingConfig::waiters_max>(), Count(1, 16'777'216), kFree, kLive,
     kPublic, kOptional,
     "How many reads may wait for one; a read beyond it is forwarded on its own."},

    {"limits.clients_max", Type::kCount, At<&Config::limits, &LimitsConfig::clients_max>(),
     Count(1, 1'048'576), kFree, kLive, kPublic, kOptional,
     "Connected clients over all listeners; one more gets an error and is closed. Lowering it "
     "closes nobody."},
    {"limits.pipeline_max", Type::kCount, At<&Config::limits, &LimitsConfig::pipeline_max>(),
     Count(1, 1'048'576), kFree, kLive, kPublic, kOptional,
     "Unanswered requests of one client before reading from it pauses."},
    {"limits.request_bytes_max", Type::kBytes,
     At<&Config::limits, &LimitsConfig::request_bytes_max>(), Size(4 * kKib, 64 * kGib), kFree,
     kLive, kPublic, kOptional,
     "The size of one request with all its arguments. Redis: `client-query-buffer-limit`."},
    {"limits.bulk_bytes_max", Type::kBytes, At<&Config::limits, &LimitsConfig::bulk_bytes_max>(),
     Size(kKib, 32 * kGib), kFree, kLive, kPublic, kOptional,
     "The size of one argument. Redis: `proto-max-bulk-len`."},
    {"limits.stream_above", Type::kBytes, At<&Config::limits, &LimitsConfig::stream_above>(),
     Size(0, 64 * kGib), kFree, kLive, kPublic, kOptional,
     "A request larger than this, of a command whose only key is its first argument (SET, APPEND, "
     "HSET, RPUSH, RESTORE ...), is handed on as it comes, over an exclusive link, so that it "
     "takes "
     "a few times this much memory however large it is. Others are gathered whole, as are requests "
     "inside MULTI, in a cluster, and where `commands.rename` is used. 0: all are gathered."},
    {"limits.args_max", Type::kCount, At<&Config::limits, &LimitsConfig::args_max>(),
     Count(8, 16'777'216), kFree, kLive, kPublic, kOptional, "Arguments of one request."},
    {"limits.inline_bytes_max", Type::kBytes,
     At<&Config::limits, &LimitsConfig::inline_bytes_max>(), Size(64, kMib), kFree, kLive, kPublic,
     kOptional, "The length of one line of the inline protocol."},
    {"limits.output_bytes_max", Type::kBytes,
     At<&Config::limits, &LimitsConfig::output_bytes_max>(), Size(64 * kKib, 64 * kGib), kFree,
     kLive, kPublic, kOptional,
     "Replies of one client that wait, because it does not read or because an earlier one has not "
     "come; beyond it the client is closed. Once replies turn out to be large, requests are let go "
     "only while what is on its way stays below a quarter of this, so that a client that reads can "
     "pipeline any number of them."},
    {"limits.scripts_bytes_max", Type::kBytes,
     At<&Config::limits, &LimitsConfig::scripts_bytes_max>(), Size(0, 64 * kGib), kFree, kLive,
     kPublic, kOptional,
     "Memory for scripts that EVAL and SCRIPT LOAD have shown, so that EVALSHA goes on working "
     "when "
     "the upstream restarts or another node takes over. Beyond it the least recently used is "
     "forgotten; 0: nothing is remembered, and clients see NOSCRIPT."},
    {"limits.client_idle_timeout", Type::kDuration,
     At<&Config::limits, &LimitsConfig::client_idle_timeout>(), Time(0 * kMs, 365 * kDay), kFree,
     kLive, kPublic, kOptional, "A client that sends nothing for so long is closed; 0: never."},
    {"limits.request_timeout", Type::kDuration,
     At<&Config::limits, &LimitsConfig::request_timeout>(), Time(0 * kMs, kDay), kFree, kLive,
     kPublic, kOptional,
     "A client that has sent part of a request and then nothing for so long is closed; 0: never."},

    {"metrics.address", Type::kAddress, At<&Config::metrics, &MetricsConfig::address>(), kAny,
     kFree, kSockets, kPublic, kOptional,
     "Where `/metrics`, `/startup`, `/liveness` and `/readiness` are served over HTTP. Empty: "
     "nowhere."},
    {"metrics.allow_remote", Type::kBool, At<&Config::metrics, &MetricsConfig::allow_remote>(),
     kAny, kFree, kSockets, kPublic, kOptional,
     "Says in so many words that other machines may reach `metrics.address`, which has no "
     "authentication. A scrape from another pod needs it."},

    {"admin.address", Type::kAddress, At<&Config::admin, &AdminConfig::address>(), kAny, kFree,
     kSockets, kPublic, kOptional,
     "Where the NEARCACHE command is answered: an address of its own on this machine, preferably a "
     "unix socket. Empty: on all listeners that only this machine can reach."},

    {"drain.timeout", Type::kDuration, At<&Config::drain, &DrainConfig::timeout>(),
     Time(0 * kMs, hours(1)), kFree, kLive, kPublic, kOptional,
     "After SIGTERM, how long requests under way may take before their clients are closed. Keep it "
     "below the grace period of what sends the signal (Kubernetes: 30s)."},

    {"log.level", Type::kChoice, At<&Config::log, &LogConfig::level>(), kAny, kLogLevels, kLive,
     kPublic, kOptional, "The least important events that are still written."},

    {"workers", Type::kCount, Top<&Config::workers>(), Count(1, 1), kFree, kThreads, kPublic,
     kOptional, "Event loops. Only 1 is supported so far."},
};

constexpr std::string_view kElementMark = "[]";

}  // namespace

std::string_view Row::list() const {
  const std::size_t mark = path.find(kElementMark);
  return mark == std::string_view::npos ? std::string_view{} : path.substr(0, mark);
}

std::span<const Row> Rows() {
  return kRows;
}

const Row* FindRow(std::string_view path) {
  const std::string wanted = WithoutIndexes(path);
  for (const Row& row : Rows()) {
    if (row.path == wanted) {
      return &row;
    }
  }
  return nullptr;
}

std::string_view RenamedTo(std::string_view path) {
  for (const Rename& rename : kRenames) {
    if (rename.from == path) {
      return rename.to;
    }
  }
  return {};
}

std::string_view FormerName(std::string_view path) {
  for (const Rename& rename : kRenames) {
    if (rename.to == path) {
      return rename.from;
    }
  }
  return {};
}

std::string WithoutIndexes(std::string_view path) {
  std::string out;
  bool inside = false;
  for (const char c : path) {
    if (c == ']') {
      inside = false;
    }
    if (!inside) {
      out += c;
    }
    if (c == '[') {
      inside = true;
    }
  }
  return out;
}

std::string WithIndex(std::string_view path, std::size_t index) {
  std::string out(path);
  const std::size_t mark = out.find(kElementMark);
  if (mark != std::string::npos) {
    out.insert(mark + 1, std::to_string(index));
  }
  return out;
}

Config ExampleConfig() {
  Config config;
  for (const Row& row : Rows()) {
    if (const auto* elements = std::get_if<ElementsAccess>(&row.field)) {
      elements->resize(config, 0);  // an element of Config's own is no element of defaults
      elements->resize(config, 1);
    }
  }
  return config;
}

std::string EnvironmentName(std::string_view path) {
  std::string out = "NEARCACHED_";
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (path.substr(i).starts_with(kElementMark)) {
      out += "_<n>";
      ++i;
    } else if (c >= 'a' && c <= 'z') {
      out += static_cast<char>(c - 'a' + 'A');
    } else if (c >= '0' && c <= '9') {
      out += c;
    } else if (c != ']') {
      out += '_';
    }
  }
  return out;
}

}  // namespace nearcached::config
