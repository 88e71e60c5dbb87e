// A message about a bad URL names the part that is bad and never quotes the whole: passwords with
// an unescaped '@' or '/' are the usual reason why a URL is bad, and the message goes to a log.
#include "config/upstream_url.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <sys/un.h>
#include <system_error>

namespace nearcached::config {
namespace {

using ParsedUrl = Parsed<UpstreamUrl>;

constexpr std::string_view kUrlForms =
    "write redis://[user:password@]host[:port][,host[:port]…][/db], "
    "redis-sentinel://host[:port],host[:port][/db]#master-name, redis-cluster://host[:port],… or "
    "unix:///path/of/the.sock[?db=N]";

struct Scheme {
  std::string_view name;
  TopologyKind topology = TopologyKind::kSingle;
  bool tls = false;
};

// The first name of each kind is the one PlaceOnly() writes.
constexpr std::array<Scheme, 8> kTcpSchemes = {{
    {"redis", TopologyKind::kSingle, false},
    {"rediss", TopologyKind::kSingle, true},
    {"redis-sentinel", TopologyKind::kSentinel, false},
    {"rediss-sentinel", TopologyKind::kSentinel, true},
    {"redis+sentinel", TopologyKind::kSentinel, false},
    {"redis-cluster", TopologyKind::kCluster, false},
    {"rediss-cluster", TopologyKind::kCluster, true},
    {"redis+cluster", TopologyKind::kCluster, false},
}};

std::string_view SchemeOf(TopologyKind topology, bool tls) {
  if (topology == TopologyKind::kReplicated) {
    topology = TopologyKind::kSingle;  // the number of hosts tells them apart
  }
  const auto* const scheme = std::ranges::find_if(
      kTcpSchemes, [&](const Scheme& s) { return s.topology == topology && s.tls == tls; });
  return scheme->name;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || HexDigit(text[i + 1]) < 0 || HexDigit(text[i + 2]) < 0) {
      return std::nullopt;
    }
    out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
    i += 2;
  }
  return out;
}

std::string PercentEncode(std::string_view path) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '%' || c == '?' || c == '#') {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 0xf];
    } else {
      out += c;
    }
  }
  return out;
}

template <typename Number>
bool ReadNumber(std::string_view digits, Number& out) {
  const char* end = digits.data() + digits.size();
  const auto [rest, failed] = std::from_chars(digits.data(), end, out);
  return failed == std::errc{} && rest == end;
}

// An empty sentence is success, here and below.
std::string ReadDb(std::string_view digits, UpstreamUrl& url) {
  std::uint32_t db = 0;
  if (!ReadNumber(digits, db)) {
    return "the database in the URL is not a number: " + std::string(kUrlForms);
  }
  url.db = db;
  return {};
}

// "user:password@" or ":password@" or "user@" at the front of `rest`, which is left behind it.
std::string TakeCredentials(std::string_view& rest, UpstreamUrl& url) {
  const std::size_t at = rest.rfind('@');
  if (at == std::string_view::npos) {
    return {};
  }
  const std::string_view given = rest.substr(0, at);
  rest.remove_prefix(at + 1);
  const std::size_t colon = given.find(':');
  const auto user = PercentDecode(given.substr(0, colon));
  const auto password =
      PercentDecode(colon == std::string_view::npos ? "" : given.substr(colon + 1));
  if (!user || !password) {
    return "the user or password in the URL holds a '%' that two hexadecimal digits do not "
           "follow: write %25 for '%' itself, or give upstream.password on its own";
  }
  if (colon == std::string_view::npos) {
    return "the URL names a user but no password: write redis://user:password@host, or give "
           "upstream.username and upstream.password on their own";
  }
  const std::size_t inner_at = given.find('@');
  if (inner_at != std::string_view::npos && given.find(',', inner_at) != std::string_view::npos) {
    return "the URL names credentials more than once: they are given once, in front of the first "
           "host, and hold for all; write an '@' of a password as %40";
  }
  if (given.find_first_of("/?#") != std::string_view::npos) {
    return "the user or password in the URL holds '/', '?' or '#': write them as %2F, %3F and "
           "%23, or give upstream.password on its own";
  }
  if (!user->empty()) {
    url.username = *user;
  }
  if (!password->empty()) {
    url.password = *password;
  }
  return {};
}

// "h1:p1,h2:p2"
std::string ReadNodes(std::string_view places, UpstreamUrl& url) {
  while (true) {
    const std::size_t comma = places.find(',');
    const auto node = ParseHostPort(places.substr(0, comma), DefaultPort(url.topology));
    if (!node.ok()) {
      return node.error;
    }
    if (std::ranges::find(url.nodes, *node.value) != url.nodes.end()) {
      return "the URL names one host and port twice: name each node once";
    }
    if (url.nodes.size() == UpstreamUrl::kNodesMax) {
      return "the URL names more than " + std::to_string(UpstreamUrl::kNodesMax) +
             " hosts: some of them are enough to find the others";
    }
    url.nodes.push_back(*node.value);
    if (comma == std::string_view::npos) {
      return {};
    }
    places.remove_prefix(comma + 1);
  }
}

// "#master-name" at the end of `rest`, which is left in front of it.
std::string TakeMasterName(std::string_view& rest, UpstreamUrl& url) {
  const std::size_t hash = rest.find('#');
  if (hash == std::string_view::npos) {
    return {};  // it may have a key of its own
  }
  const auto name = PercentDecode(rest.substr(hash + 1));
  const auto is_blank = [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) == 0x7f;
  };
  if (!name || name->empty() || std::ranges::any_of(*name, is_blank)) {
    return "the master's name behind '#' is empty or holds a blank: write the name of the line "
           "\"sentinel monitor <name> …\", as in redis-sentinel://host:26379#mymaster";
  }
  url.master_name = *name;
  rest = rest.substr(0, hash);
  return {};
}

std::string ReadTcp(std::string_view rest, const Scheme& scheme, UpstreamUrl& url) {
  url.topology = scheme.topology;
  url.tls = scheme.tls;
  if (std::string error = TakeCredentials(rest, url); !error.empty()) {
    return error;
  }
  if (url.topology == TopologyKind::kSentinel) {
    if (std::string error = TakeMasterName(rest, url); !error.empty()) {
      return error;
    }
  }
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return "the URL has parameters ('?' or '#'), none are known: " + std::string(kUrlForms);
  }
  const std::size_t slash = rest.find('/');
  if (std::string error = ReadNodes(rest.substr(0, slash), url); !error.empty()) {
    return error;
  }
  if (url.topology == TopologyKind::kSingle && url.nodes.size() > 1) {
    url.topology = TopologyKind::kReplicated;
  }
  if (slash == std::string_view::npos || slash + 1 == rest.size()) {
    return {};
  }
  return ReadDb(rest.substr(slash + 1), url);
}

std::string ReadUnix(std::string_view rest, UpstreamUrl& url) {
  if (!rest.starts_with('/')) {  // otherwise an '@' belongs to the path
    if (std::string error = TakeCredentials(rest, url); !error.empty()) {
      return error;
    }
  }
  const std::size_t question = rest.find('?');
  const auto path = PercentDecode(rest.substr(0, question));
  constexpr std::size_t kPathMax = sizeof(sockaddr_un::sun_path) - 1;
  if (!path || !path->starts_with('/') || path->size() > kPathMax ||
      path->find('\0') != std::string::npos) {
    return "the path in the URL must be absolute and at most " + std::to_string(kPathMax) +
           " bytes long: write unix:///path/of/the.sock[?db=N]";
  }
  url.unix_path = *path;
  if (question == std::string_view::npos) {
    return {};
  }
  const std::string_view query = rest.substr(question + 1);
  constexpr std::string_view kDb = "db=";
  if (!query.starts_with(kDb)) {
    return "the only parameter a unix URL knows is db: write unix:///path/of/the.sock?db=N";
  }
  return ReadDb(query.substr(kDb.size()), url);
}

}  // namespace

std::uint16_t DefaultPort(TopologyKind topology) {
  return topology == TopologyKind::kSentinel ? 26379 : 6379;
}

std::string HostPort::ToString() const {
  const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return shown + ":" + std::to_string(port);
}

Parsed<HostPort> ParseHostPort(std::string_view text, std::uint16_t default_port) {
  using Node = Parsed<HostPort>;
  std::string_view host = text;
  std::string_view port;
  const std::size_t colon = text.rfind(':');
  const std::size_t bracket = text.rfind(']');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (has_port) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (host.starts_with('[') && host.ends_with(']') && host.size() > 2) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of("[]:") != std::string_view::npos) {
    return Node::Failure("an IPv6 address goes in brackets: [::1]:6379");
  }
  if (host.empty()) {
    return Node::Failure("a host is missing: write host or host:port");
  }
  for (const char c : host) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f ||
        std::string_view(",/@?#").find(c) != std::string_view::npos) {
      return Node::Failure("a host holds a byte that no name has: write host or host:port");
    }
  }
  HostPort node{std::string(host), default_port};
  if (has_port && (!ReadNumber(port, node.port) || node.port == 0)) {
    return Node::Failure("a port is not a number from 1 to 65535: write host:port");
  }
  return Node::Of(std::move(node));
}

std::string UpstreamUrl::PlaceOnly() const {
  if (!unix_path.empty()) {
    return "unix://" + PercentEncode(unix_path);
  }
  std::string out(SchemeOf(topology, tls));
  out += "://";
  for (const HostPort& node : nodes) {
    out += out.ends_with('/') ? "" : ",";
    out += node.ToString();
  }
  return master_name ? out + "#" + PercentEncode(*master_name) : out;
}

Parsed<UpstreamUrl> ParseUpstreamUrl(std::string_view text) {
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) {
    return ParsedUrl::Failure("the upstream is not a URL: " + std::string(kUrlForms));
  }
  const std::string_view name = text.substr(0, scheme_end);
  const std::string_view rest = text.substr(scheme_end + 3);
  UpstreamUrl url;
  std::string error;
  const auto* const scheme = std::ranges::find(kTcpSchemes, name, &Scheme::name);
  if (scheme != kTcpSchemes.end()) {
    error = ReadTcp(rest, *scheme, url);
  } else if (name == "unix" || name == "redis+unix" || name == "redis+socket") {
    error = ReadUnix(rest, url);
  } else {
    error = "the scheme of the URL is not known: " + std::string(kUrlForms);
  }
  if (!error.empty()) {
    return ParsedUrl::Failure(std::move(error));
  }
  return ParsedUrl::Of(std::move(url));
}

}  // namespace nearcached::config
