#include "daemon/command/absent_reply.h"

namespace nearcached {
namespace {

bool IsNil(std::string_view reply) {
  return reply == "_\r\n" || reply == "$-1\r\n" || reply == "*-1\r\n";
}

// An array, each of whose items is_absent. None of these items has a payload, so each is a line.
template <typename IsAbsent>
bool EachItem(std::string_view reply, IsAbsent&& is_absent) {
  if (!reply.starts_with('*')) {
    return false;
  }
  for (reply.remove_prefix(reply.find('\n') + 1); !reply.empty();) {
    const std::string_view item = reply.substr(0, reply.find('\n') + 1);
    if (!is_absent(item)) {
      return false;
    }
    reply.remove_prefix(item.size());
  }
  return true;
}

}  // namespace

bool SaysAbsent(AbsentReply absent, std::string_view reply) {
  switch (absent) {
    case AbsentReply::kUnknown:
      return false;
    case AbsentReply::kNil:
      return IsNil(reply);
    case AbsentReply::kZero:
      return reply == ":0\r\n";
    case AbsentReply::kEmpty:
      return reply == "*0\r\n" || reply == "~0\r\n" || reply == "%0\r\n";
    case AbsentReply::kEmptyString:
      return reply == "$0\r\n\r\n";
    case AbsentReply::kNone:
      return reply == "+none\r\n";
    case AbsentReply::kEachNil:
      return EachItem(reply, IsNil);
    case AbsentReply::kEachZero:
      return EachItem(reply, [](std::string_view item) { return item == ":0\r\n"; });
  }
  return false;
}

}  // namespace nearcached
