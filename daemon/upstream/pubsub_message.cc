#include "daemon/upstream/pubsub_message.h"

#include <algorithm>

namespace nearcached {
namespace {

// The first element of a message from the server, given its first bytes:
// "*3\r\n$7\r\nmessage\r\n…".
std::string_view FirstElement(std::string_view head) {
  const std::size_t header = head.find("\r\n");
  if (header == std::string_view::npos) {
    return {};
  }
  head.remove_prefix(header + 2);
  const std::size_t length = head.find("\r\n");
  if (length == std::string_view::npos || head[0] != '$') {
    return {};
  }
  head.remove_prefix(length + 2);
  return head.substr(0, head.find("\r\n"));
}

}  // namespace

bool IsPubSubConfirmation(std::string_view head) {
  const std::string_view first = FirstElement(head);
  return first.ends_with("subscribe") && first.size() <= std::string_view("punsubscribe").size();
}

bool IsPubSubMessage(std::string_view head) {
  const std::string_view first = FirstElement(head);
  return head.starts_with('*') && (first == "message" || first == "pmessage" ||
                                   first == "smessage" || IsPubSubConfirmation(head));
}

bool IsMonitorLine(std::string_view head) {
  const auto skip_digits = [&head] {
    const std::size_t end = std::min(head.find_first_not_of("0123456789"), head.size());
    head.remove_prefix(end);
    return end != 0;
  };
  const auto skip = [&head](std::string_view expected) {
    const bool there = head.starts_with(expected);
    head.remove_prefix(there ? expected.size() : 0);
    return there;
  };
  return skip("+") && skip_digits() && skip(".") && skip_digits() && skip(" [") && skip_digits() &&
         skip(" ");
}

}  // namespace nearcached
