#include "daemon/command/absent_reply.h"

#include <array>
#include <string_view>

#include <doctest/doctest.h>

#include "daemon/command/command_table.h"

namespace nearcached {
namespace {

struct Case {
  AbsentReply absent;
  std::string_view reply;
};

// What a Redis 7.0.15 answers for a missing key, in RESP2 and in RESP3.
constexpr std::array kSaid = {
    Case{AbsentReply::kNil, "$-1\r\n"},
    Case{AbsentReply::kNil, "_\r\n"},
    Case{AbsentReply::kZero, ":0\r\n"},
    Case{AbsentReply::kEmpty, "*0\r\n"},
    Case{AbsentReply::kEmpty, "%0\r\n"},
    Case{AbsentReply::kEmpty, "~0\r\n"},
    Case{AbsentReply::kEmptyString, "$0\r\n\r\n"},
    Case{AbsentReply::kNone, "+none\r\n"},
    Case{AbsentReply::kEachNil, "*2\r\n$-1\r\n$-1\r\n"},
    Case{AbsentReply::kEachNil, "*2\r\n*-1\r\n*-1\r\n"},
    Case{AbsentReply::kEachNil, "*1\r\n_\r\n"},
    Case{AbsentReply::kEachZero, "*2\r\n:0\r\n:0\r\n"},
};

// What they answer when there is something.
constexpr std::array kNotSaid = {
    Case{AbsentReply::kNil, "$0\r\n\r\n"},
    Case{AbsentReply::kNil, ":0\r\n"},
    Case{AbsentReply::kZero, ":1\r\n"},
    Case{AbsentReply::kZero, ":00\r\n"},
    Case{AbsentReply::kEmpty, "*1\r\n$-1\r\n"},
    Case{AbsentReply::kEmpty, "$0\r\n\r\n"},
    Case{AbsentReply::kEmptyString, "$1\r\n0\r\n"},
    Case{AbsentReply::kNone, "+list\r\n"},
    Case{AbsentReply::kEachNil, "*2\r\n$-1\r\n$1\r\nx\r\n"},
    Case{AbsentReply::kEachNil, "*1\r\n$3\r\n_\r\n\r\n"},
    Case{AbsentReply::kEachNil, "$-1\r\n"},
    Case{AbsentReply::kEachZero, "*2\r\n:0\r\n:1\r\n"},
    Case{AbsentReply::kEachZero, ":0\r\n"},
};

TEST_CASE("each command's word for a missing key is known in both protocols") {
  for (const Case& said : kSaid) {
    CAPTURE(said.reply);
    CHECK(SaysAbsent(said.absent, said.reply));
    CHECK_FALSE(SaysAbsent(AbsentReply::kUnknown, said.reply));
  }
}

TEST_CASE("a reply with something in it is not taken for that of a missing key") {
  for (const Case& said : kNotSaid) {
    CAPTURE(said.reply);
    CHECK_FALSE(SaysAbsent(said.absent, said.reply));
  }
}

TEST_CASE("an error says nothing about the key") {
  for (const CommandRow& row : BuiltinRows()) {
    CAPTURE(row.name);
    CHECK_FALSE(SaysAbsent(row.absent, "-WRONGTYPE Operation against a key\r\n"));
  }
}

}  // namespace
}  // namespace nearcached
