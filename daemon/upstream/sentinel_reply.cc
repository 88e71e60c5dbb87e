#include "daemon/upstream/sentinel_reply.h"

#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// Through the parser of configured hosts, so that nothing odd gets further than that would.
std::optional<config::HostPort> NodeOf(std::string_view host, std::string_view port) {
  const bool bare_ipv6 = host.find(':') != std::string_view::npos && !host.starts_with('[');
  std::string text = bare_ipv6 ? "[" + std::string(host) + "]" : std::string(host);
  text.append(":").append(port);
  auto node = config::ParseHostPort(text, 0);
  return node.ok() ? std::move(node.value) : std::nullopt;
}

}  // namespace

Result<config::HostPort> ParseMasterAddress(const UpstreamReply& reply) {
  if (reply.kind == UpstreamReply::Kind::kNil) {
    return Error{Code::kInvalid,
                 "knows no master of this name: check upstream.sentinel.master_name"};
  }
  if (reply.is_error()) {
    std::string message = proto::Printable(reply.text);
    if (reply.text.starts_with("NOAUTH")) {
      message += "; set upstream.sentinel.password";
    } else if (reply.text.starts_with("ERR unknown command")) {
      message = "is no sentinel: it does not know the command SENTINEL";
    }
    return Error{Code::kInvalid, std::move(message)};
  }
  if (reply.elements.size() == 2) {
    if (auto node = NodeOf(reply.elements[0].text, reply.elements[1].text)) {
      return *std::move(node);
    }
  }
  return Error{Code::kProtocol, "answered with something that is no address"};
}

std::uint64_t ParseConfigEpoch(const UpstreamReply& reply) {
  const UpstreamReply* epoch = reply.Find("config-epoch");
  std::uint64_t number = 0;
  if (epoch != nullptr) {
    const char* const begin = epoch->text.data();
    (void)std::from_chars(begin, begin + epoch->text.size(), number);
  }
  return number;
}

std::vector<config::HostPort> ParseSentinels(const UpstreamReply& reply, std::size_t max) {
  std::vector<config::HostPort> found;
  for (const UpstreamReply& entry : reply.elements) {
    const UpstreamReply* host = entry.Find("ip");
    const UpstreamReply* port = entry.Find("port");
    if (found.size() >= max || host == nullptr || port == nullptr) {
      continue;
    }
    if (auto node = NodeOf(host->text, port->text)) {
      found.push_back(*std::move(node));
    }
  }
  return found;
}

std::optional<config::HostPort> ParseSwitchMaster(std::string_view payload, std::string_view name) {
  std::array<std::string_view, 5> words{};
  for (std::string_view& word : words) {
    const std::size_t blank = payload.find(' ');
    word = payload.substr(0, blank);
    payload.remove_prefix(blank == std::string_view::npos ? payload.size() : blank + 1);
  }
  if (words[0] != name || !payload.empty()) {
    return std::nullopt;
  }
  return NodeOf(words[3], words[4]);
}

}  // namespace nearcached
