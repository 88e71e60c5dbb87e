#include "daemon/upstream/cluster_redirect.h"

#include <charconv>
#include <string>

namespace nearcached {
namespace {

// Reads a whole number at most `max`; false when it is none.
bool ReadNumber(std::string_view text, std::uint32_t max, std::uint32_t& value) {
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && at == end && value <= max;
}

// "3999 127.0.0.1:6381", "3999 ::1:6381", "3999 :6381", "3999 host:6381".
bool ReadTarget(std::string_view text, const Endpoint& asked, Redirect& out) {
  const std::size_t blank = text.find(' ');
  const std::size_t colon = text.rfind(':');  // an IPv6 address has colons of its own
  if (blank == std::string_view::npos || colon == std::string_view::npos || colon < blank) {
    return false;
  }
  std::uint32_t slot = 0;
  std::uint32_t port = 0;
  if (!ReadNumber(text.substr(0, blank), kSlots - 1, slot) ||
      !ReadNumber(text.substr(colon + 1), 65'535, port) || port == 0) {
    return false;
  }
  std::string_view host = text.substr(blank + 1, colon - blank - 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  out.slot = static_cast<Slot>(slot);
  out.to.host = host.empty() || host == "?" ? asked.host : std::string(host);
  out.to.port = static_cast<int>(port);
  out.to.tls = asked.tls;
  return true;
}

}  // namespace

Redirect ParseRedirect(std::string_view reply, const Endpoint& asked) {
  Redirect redirect;
  if (!reply.starts_with('-') || !reply.ends_with("\r\n")) {
    return redirect;
  }
  const std::string_view line = reply.substr(1, reply.size() - 3);
  constexpr std::string_view kMoved = "MOVED ";
  constexpr std::string_view kAsk = "ASK ";
  if (line.starts_with(kMoved) && ReadTarget(line.substr(kMoved.size()), asked, redirect)) {
    redirect.kind = Redirect::Kind::kMoved;
  } else if (line.starts_with(kAsk) && ReadTarget(line.substr(kAsk.size()), asked, redirect)) {
    redirect.kind = Redirect::Kind::kAsk;
  } else if (line.starts_with("TRYAGAIN ")) {
    redirect.kind = Redirect::Kind::kTryAgain;
  } else if (line.starts_with("CLUSTERDOWN ")) {
    redirect.kind = Redirect::Kind::kClusterDown;
  }
  return redirect;
}

}  // namespace nearcached
