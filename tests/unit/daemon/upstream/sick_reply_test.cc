#include "daemon/upstream/sick_reply.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

TEST_CASE("errors about the server are told from errors about the request") {
  for (std::size_t i = 0; i < kSickReplies; ++i) {
    const std::string name(kSickReplyNames[i]);
    CAPTURE(name);
    CHECK(SickReplyOf("-" + name + " why\r\n") == static_cast<SickReply>(i));
    CHECK_FALSE(SickReplyOf("-" + name + "NESS why\r\n").has_value());
    CHECK_FALSE(SickReplyOf("-ERR " + name + " why\r\n").has_value());
    CHECK_FALSE(SickReplyOf("-" + name).has_value());
  }
  CHECK_FALSE(SickReplyOf("-").has_value());
  CHECK_FALSE(SickReplyOf("-ERR no such key\r\n").has_value());
}

}  // namespace
}  // namespace nearcached
