#include "daemon/command/blocking_wait.h"

#include <string>

#include <doctest/doctest.h>

#include "daemon/command/command_table.h"
#include "tests/support/fixture_file.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

struct Case {
  std::string_view call;
  BlockingWait::Kind kind;
  Duration wait;
};

constexpr auto kFor = BlockingWait::Kind::kFor;
constexpr auto kNo = BlockingWait::Kind::kNotBlocking;
constexpr auto kForever = BlockingWait::Kind::kForever;

constexpr Case kCases[] = {
    {"GET k", kNo, 0ns},
    {"BLPOP a b 1.5", kFor, 1500ms},
    {"blpop a 0", kForever, 0ns},
    {"BLPOP a 0.0000000001", kFor, 1ns},
    {"BRPOPLPUSH a b 2", kFor, 2s},
    {"BLMOVE a b LEFT RIGHT 3", kFor, 3s},
    {"BLMPOP 4 2 a b LEFT", kFor, 4s},
    {"BZMPOP 0 1 a MIN", kForever, 0ns},
    {"BZPOPMIN a 1e1", kFor, 10s},
    {"BLPOP a -1", kNo, 0ns},
    {"BLPOP", kNo, 0ns},
    {"BLPOP a 0x10", kForever, 0ns},
    {"BLPOP a nan", kForever, 0ns},
    {"BLPOP a 1e300", kForever, 0ns},
    {"BLPOP a soon", kForever, 0ns},
    {"WAIT 1 250", kFor, 250ms},
    {"WAIT 1 0", kForever, 0ns},
    {"WAITAOF 1 0 7", kFor, 7ms},
    {"XREAD STREAMS a 0", kNo, 0ns},
    {"XREAD BLOCK 20 STREAMS a $", kFor, 20ms},
    {"XREAD COUNT 1 block 0 STREAMS a $", kForever, 0ns},
    {"XREAD STREAMS block 0", kNo, 0ns},
    {"XREAD BLOCK", kNo, 0ns},
    {"XREADGROUP GROUP block c STREAMS a >", kNo, 0ns},
    {"XREADGROUP GROUP g block BLOCK 5 STREAMS a >", kFor, 5ms},
    {"XREAD NEWOPTION 1 BLOCK 30 STREAMS a $", kFor, 30ms},
    {"MIGRATE h 1 k 0 5000", kFor, 5s},
};

TEST_CASE("a call waits as long as its own timeout argument says") {
  const CommandTable table;
  for (const Case& c : kCases) {
    CAPTURE(c.call);
    const std::vector<std::string_view> args = Words(c.call);
    const BlockingWait wait = BlockingWaitOf(table.Find(args), args);
    CHECK(wait.kind == c.kind);
    CHECK(wait.wait == c.wait);
  }
}

TEST_CASE("a blocking command learned from the server waits for ever") {
  CommandTable table;
  UpstreamCommand command;
  command.name = "mod.bpop";
  command.flags = {"write", "blocking"};
  REQUIRE(table.MergeUpstream(std::span(&command, 1)).added == 1);
  const std::vector<std::string_view> args{"MOD.BPOP", "k", "1"};
  CHECK(table.Find(args).handling == Handling::kBlocking);
  CHECK(BlockingWaitOf(table.Find(args), args).kind == kForever);
}

}  // namespace
}  // namespace nearcached
