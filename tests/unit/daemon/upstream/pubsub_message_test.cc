#include "daemon/upstream/pubsub_message.h"

#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

constexpr std::string_view kSubscribed = "*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n";
constexpr std::string_view kMessage = "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n";

TEST_CASE("each form of subscribing and unsubscribing is confirmed by a message of its name") {
  for (const std::string_view name :
       {"subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"}) {
    const std::string head =
        "*3\r\n$" + std::to_string(name.size()) + "\r\n" + std::string(name) + "\r\n$2\r\nch\r\n";
    CAPTURE(head);
    CHECK(IsPubSubConfirmation(head));
    CHECK(IsPubSubMessage(head));
  }
}

TEST_CASE("a published message is a message, and confirms nothing") {
  for (const std::string_view name : {"message", "pmessage", "smessage"}) {
    const std::string head =
        "*3\r\n$" + std::to_string(name.size()) + "\r\n" + std::string(name) + "\r\n$2\r\nch\r\n";
    CAPTURE(head);
    CHECK_FALSE(IsPubSubConfirmation(head));
    CHECK(IsPubSubMessage(head));
  }
}

TEST_CASE("a push of RESP3 confirms, though it is no array") {
  std::string push(kSubscribed);
  push[0] = '>';
  CHECK(IsPubSubConfirmation(push));
  CHECK_FALSE(IsPubSubMessage(push));
}

TEST_CASE("other arrays and other replies are no messages") {
  for (const std::string_view head :
       {"*2\r\n$3\r\nfoo\r\n$3\r\nbar\r\n", "*2\r\n:1\r\n:2\r\n", "*0\r\n", "*-1\r\n", "+OK\r\n",
        "$7\r\nmessage\r\n", "*1\r\n$13\r\nxpunsubscribe\r\n", "*1\r\n$8\r\nmessages\r\n"}) {
    CAPTURE(head);
    CHECK_FALSE(IsPubSubMessage(head));
  }
}

TEST_CASE("a head cut short anywhere before its first element ends is not taken for one") {
  for (const std::string_view whole : {kSubscribed, kMessage}) {
    const std::size_t end = whole.find("\r\n", whole.find("\r\n", 4) + 2);
    for (std::size_t n = 0; n + 1 < end; ++n) {
      const std::string_view head = whole.substr(0, n);
      CAPTURE(head);
      CHECK_FALSE(IsPubSubMessage(head));
    }
  }
}

TEST_CASE("a line of MONITOR is told from any other status") {
  CHECK(IsMonitorLine("+1700000000.123456 [0 127.0.0.1:40000] \"get\""));
  CHECK(IsMonitorLine("+1.2 [15 lua] \"x\""));
  for (const std::string_view other :
       {"+OK\r\n", "+1700000000\r\n", "+1.2 [x]", "", "+", "+1.2 ["}) {
    CAPTURE(other);
    CHECK_FALSE(IsMonitorLine(other));
  }
}

}  // namespace
}  // namespace nearcached
