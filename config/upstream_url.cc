// A message about a bad URL names the part that is bad and never quotes the whole: passwords with
// an unescaped '@' or '/' are the usual reason why a URL is bad, and the message goes to a log.
#include "config/upstream_url.h"

#include <charconv>
#include <sys/un.h>
#include <system_error>

namespace nearcached::config {
namespace {

using Result = Parsed<UpstreamUrl>;

constexpr std::string_view kForms =
    "write redis://[user:password@]host[:port][/db] or unix:///path/of/the.sock[?db=N]";

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

std::string PercentEncodePath(std::string_view path) {
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
    return "the database in the URL is not a number: " + std::string(kForms);
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

std::string ReadHostAndPort(std::string_view place, UpstreamUrl& url) {
  std::string_view host = place;
  std::string_view port;
  const std::size_t colon = place.rfind(':');
  const std::size_t bracket = place.rfind(']');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (has_port) {
    host = place.substr(0, colon);
    port = place.substr(colon + 1);
  }
  if (host.starts_with('[') && host.ends_with(']') && host.size() > 2) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of("[]:") != std::string_view::npos) {
    return "an IPv6 address in a URL goes in brackets: redis://[::1]:6379";
  }
  if (host.empty()) {
    return "the URL names no host: " + std::string(kForms);
  }
  for (const char c : host) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      return "the host in the URL holds a blank, a control character or a byte that is no ASCII";
    }
  }
  url.host = host;
  if (has_port && (!ReadNumber(port, url.port) || url.port == 0)) {
    return "the port in the URL is not a number from 1 to 65535: " + std::string(kForms);
  }
  return {};
}

std::string ReadTcp(std::string_view rest, UpstreamUrl& url) {
  if (std::string error = TakeCredentials(rest, url); !error.empty()) {
    return error;
  }
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return "the URL has parameters ('?' or '#'), none are known: " + std::string(kForms);
  }
  const std::size_t slash = rest.find('/');
  if (std::string error = ReadHostAndPort(rest.substr(0, slash), url); !error.empty()) {
    return error;
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

std::string Unsupported(std::string_view scheme) {
  const std::string name(scheme);
  if (scheme == "rediss") {
    return "TLS to the upstream (rediss://) is not supported yet: use redis:// on a trusted "
           "network, or put a TLS tunnel such as stunnel beside nearcached";
  }
  if (scheme == "redis-sentinel" || scheme == "redis+sentinel" || scheme == "sentinel") {
    return "Sentinel (" + name +
           "://) is not supported yet: give the primary itself as "
           "redis://host:port";
  }
  if (scheme == "redis-cluster" || scheme == "redis+cluster" || scheme == "cluster") {
    return "Redis Cluster (" + name +
           "://) is not supported yet: give a single primary as "
           "redis://host:port";
  }
  return {};
}

}  // namespace

std::string UpstreamUrl::PlaceOnly() const {
  if (!unix_path.empty()) {
    return "unix://" + PercentEncodePath(unix_path);
  }
  const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return "redis://" + shown + ":" + std::to_string(port);
}

Parsed<UpstreamUrl> ParseUpstreamUrl(std::string_view text) {
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) {
    return Result::Failure("the upstream is not a URL: " + std::string(kForms));
  }
  const std::string_view scheme = text.substr(0, scheme_end);
  const std::string_view rest = text.substr(scheme_end + 3);
  UpstreamUrl url;
  std::string error;
  if (scheme == "redis") {
    error = ReadTcp(rest, url);
  } else if (scheme == "unix" || scheme == "redis+unix" || scheme == "redis+socket") {
    error = ReadUnix(rest, url);
  } else {
    error = Unsupported(scheme);
    if (error.empty()) {
      error = "the scheme of the URL is not known: " + std::string(kForms);
    }
  }
  if (!error.empty()) {
    return Result::Failure(std::move(error));
  }
  return Result::Of(std::move(url));
}

}  // namespace nearcached::config
