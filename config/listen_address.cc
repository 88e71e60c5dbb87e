#include "config/listen_address.h"

#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <optional>
#include <sys/un.h>
#include <system_error>

#include "config/quote.h"

namespace nearcached::config {
namespace {

using ParsedAddress = Parsed<ListenAddress>;

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::string_view kAddressForms =
    ": write host:port as in 127.0.0.1:6380 or [::1]:6380, or unix:/path/of/the.sock";

bool IsIpv6(std::string_view host) {
  return host.find(':') != std::string_view::npos;
}

// The one spelling of a numeric address, or nothing.
std::optional<std::string> CanonicalHost(std::string_view host) {
  if (host == "localhost") {
    return "127.0.0.1";
  }
  if (host == "*") {
    return "0.0.0.0";
  }
  const std::string name(host);
  const int family = IsIpv6(host) ? AF_INET6 : AF_INET;
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (name.find('\0') != std::string::npos || inet_pton(family, name.c_str(), bytes.data()) != 1 ||
      inet_ntop(family, bytes.data(), text.data(), text.size()) == nullptr) {
    return std::nullopt;
  }
  return std::string(text.data());
}

ParsedAddress ParseUnix(std::string_view text) {
  std::string_view path = text.substr(kUnixPrefix.size());
  if (path.starts_with("//")) {
    path.remove_prefix(2);  // "unix:///run/x.sock", as in URLs
  }
  if (!path.starts_with('/')) {
    return ParsedAddress::Failure(
        QuotedForMessage(text) +
        ": the path of a socket must be absolute, as in unix:/run/nearcached.sock");
  }
  constexpr std::size_t kPathMax = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() > kPathMax) {
    return ParsedAddress::Failure(
        QuotedForMessage(text) + ": the path of a socket can have at most " +
        std::to_string(kPathMax) + " bytes, this one has " + std::to_string(path.size()));
  }
  if (path.find('\0') != std::string_view::npos) {
    return ParsedAddress::Failure(QuotedForMessage(text) + ": a path cannot hold a zero byte");
  }
  ListenAddress address;
  address.unix_path = path;
  return ParsedAddress::Of(std::move(address));
}

}  // namespace

bool ListenAddress::loopback() const {
  return is_unix() || host.starts_with("127.") || host == "::1" || host.starts_with("::ffff:127.");
}

std::string ListenAddress::ToString() const {
  if (is_unix()) {
    return std::string(kUnixPrefix) + unix_path;
  }
  const std::string shown = IsIpv6(host) ? "[" + host + "]" : host;
  return shown + ":" + std::to_string(port);
}

Parsed<ListenAddress> ParseListenAddress(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) {
    return ParseUnix(text);
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return ParsedAddress::Failure(QuotedForMessage(text) + " is not an address" +
                                  std::string(kAddressForms));
  }
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  if (IsIpv6(host) != bracketed) {
    return ParsedAddress::Failure(QuotedForMessage(text) +
                                  ": an IPv6 address, and only that, goes in brackets: [::1]:6380");
  }
  const auto canonical = CanonicalHost(host);
  if (!canonical) {
    // The text as a whole is not repeated: it may be "password:secret" in the wrong place.
    return ParsedAddress::Failure(QuotedForMessage(host) + " is not a numeric address" +
                                  std::string(kAddressForms));
  }
  const std::string_view digits = text.substr(colon + 1);
  ListenAddress address;
  address.host = *canonical;
  const char* end = digits.data() + digits.size();
  const auto [rest, failed] = std::from_chars(digits.data(), end, address.port);
  if (failed != std::errc{} || rest != end) {
    return ParsedAddress::Failure(
        QuotedForMessage(text) + ": " + QuotedForMessage(digits) +
        " is not a port: write a number from 1 to 65535, or 0 for any free one");
  }
  return ParsedAddress::Of(std::move(address));
}

bool Clash(const ListenAddress& a, const ListenAddress& b) {
  if (a.is_unix() || b.is_unix()) {
    return a.unix_path == b.unix_path;
  }
  if (a.port != b.port || a.port == 0 || IsIpv6(a.host) != IsIpv6(b.host)) {
    return false;
  }
  return a.host == b.host || a.any() || b.any();
}

}  // namespace nearcached::config
