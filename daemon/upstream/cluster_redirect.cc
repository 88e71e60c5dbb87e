#include "daemon/upstream/cluster_redirect.h"

#include <string>

#include "daemon/base/read_number.h"

namespace nearcached {
namespace {

// "3999 127.0.0.1:6381", "3999 ::1:6381", "3999 :6381", "3999 host:6381".
bool ReadTarget(std::string_view text, const Endpoint& asked, Redirect& out) {
  const std::size_t blank = text.find(' ');
  const std::size_t colon = text.rfind(':');  // an IPv6 address has colons of its own
  if (blank == std::string_view::npos || colon == std::string_view::npos || colon < blank) {
    return false;
  }
  const auto slot = ReadNumber<Slot>(text.substr(0, blank));
  const auto port = ReadNumber<std::uint16_t>(text.substr(colon + 1));
  if (!slot || *slot >= kSlots || port.value_or(0) == 0) {
    return false;
  }
  std::string_view host = text.substr(blank + 1, colon - blank - 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  out.slot = *slot;
  out.to.host = host.empty() || host == "?" ? asked.host : std::string(host);
  out.to.port = *port;
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
  } else if (line == kErrSlotNotServed) {
    redirect.kind = Redirect::Kind::kUnserved;
  } else if (line.starts_with("CLUSTERDOWN ")) {
    redirect.kind = Redirect::Kind::kClusterDown;
  }
  return redirect;
}

}  // namespace nearcached
