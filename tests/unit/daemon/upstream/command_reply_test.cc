#include "daemon/upstream/command_reply.h"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>

#include "tests/support/fixture_file.h"

namespace nearcached {
namespace {

using Strings = std::vector<std::string>;

std::vector<UpstreamCommand> Parse(std::string_view bytes) {
  const auto reply = ParseUpstreamReply(bytes);
  REQUIRE(reply.has_value());
  return ParseCommandReply(*reply);
}

// What redis-server 7.0.15 said.
const std::vector<UpstreamCommand>& Recorded() {
  static const std::vector<UpstreamCommand> commands = [] {
    std::string bytes;
    for (const std::string& line : FixtureLines("redis_7_0_15_command_reply.txt")) {
      bytes += line + "\r\n";
    }
    return Parse(bytes);
  }();
  return commands;
}

const UpstreamCommand& Command(const std::vector<UpstreamCommand>& in, std::string_view name) {
  const auto it = std::find_if(in.begin(), in.end(), [&](const auto& c) { return c.name == name; });
  REQUIRE(it != in.end());
  return *it;
}

TEST_CASE("a recorded reply gives its commands, and leaves out the one that does not exist") {
  Strings names;
  for (const UpstreamCommand& command : Recorded()) {
    names.push_back(command.name);
  }
  CHECK(names == Strings{"get", "mset", "object", "xreadgroup", "eval", "set"});
}

TEST_CASE("arity, flags, positions and categories are taken as they were sent") {
  const UpstreamCommand& get = Command(Recorded(), "get");
  CHECK(get.arity == 2);
  CHECK(get.flags == Strings{"readonly", "fast"});
  CHECK(get.first_key == 1);
  CHECK(get.last_key == 1);
  CHECK(get.key_step == 1);
  CHECK(get.acl_categories == Strings{"@read", "@string", "@fast"});
  CHECK(get.subcommands.empty());

  const UpstreamCommand& mset = Command(Recorded(), "mset");
  CHECK(mset.arity == -3);
  CHECK(mset.last_key == -1);
  CHECK(mset.key_step == 2);
  CHECK_FALSE(mset.tips.empty());
}

TEST_CASE("a key specification by range") {
  const UpstreamCommand& mset = Command(Recorded(), "mset");
  REQUIRE(mset.key_specs.size() == 1);
  const UpstreamKeySpec& spec = mset.key_specs[0];
  CHECK(spec.flags == Strings{"OW", "update"});
  CHECK(spec.begin_search == "index");
  CHECK(spec.index == 1);
  CHECK(spec.find_keys == "range");
  CHECK(spec.last_key == -1);
  CHECK(spec.key_step == 2);
  CHECK(spec.limit == 0);
}

TEST_CASE("a key specification by keyword") {
  const UpstreamCommand& xreadgroup = Command(Recorded(), "xreadgroup");
  REQUIRE(xreadgroup.key_specs.size() == 1);
  const UpstreamKeySpec& spec = xreadgroup.key_specs[0];
  CHECK(spec.begin_search == "keyword");
  CHECK(spec.keyword == "STREAMS");
  CHECK(spec.start_from == 4);
  CHECK(spec.find_keys == "range");
  CHECK(spec.limit == 2);
}

TEST_CASE("a key specification by the number of keys") {
  const UpstreamCommand& eval = Command(Recorded(), "eval");
  REQUIRE(eval.key_specs.size() == 1);
  const UpstreamKeySpec& spec = eval.key_specs[0];
  CHECK(spec.index == 2);
  CHECK(spec.find_keys == "keynum");
  CHECK(spec.key_num_index == 0);
  CHECK(spec.first_key == 1);
  CHECK(spec.key_step == 1);
}

TEST_CASE("subcommands carry their full names and keys of their own") {
  const UpstreamCommand& object = Command(Recorded(), "object");
  const UpstreamCommand& encoding = Command(object.subcommands, "object|encoding");
  CHECK(encoding.arity == 3);
  REQUIRE(encoding.key_specs.size() == 1);
  CHECK(encoding.key_specs[0].index == 2);
}

TEST_CASE("an entry as Redis before 6 sends it is enough") {
  const auto commands =
      Parse("*1\r\n*6\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n");
  REQUIRE(commands.size() == 1);
  CHECK(commands[0].name == "get");
  CHECK(commands[0].key_step == 1);
  CHECK(commands[0].key_specs.empty());
}

TEST_CASE("entries of another form are left out, and the others are taken all the same") {
  const std::string good = "*6\r\n$3\r\nget\r\n:2\r\n*0\r\n:1\r\n:1\r\n:1\r\n";
  for (const char* bad : {"*-1\r\n", ":1\r\n", "*0\r\n", "*2\r\n$1\r\nx\r\n:1\r\n",
                          "*6\r\n:9\r\n:2\r\n*0\r\n:1\r\n:1\r\n:1\r\n"}) {
    CAPTURE(bad);
    const auto commands = Parse("*2\r\n" + std::string(bad) + good);
    REQUIRE(commands.size() == 1);
    CHECK(commands[0].name == "get");
  }
}

TEST_CASE("fields of another kind count as absent") {
  const auto commands = Parse("*1\r\n*6\r\n$1\r\nx\r\n+two\r\n:5\r\n+a\r\n$-1\r\n*0\r\n");
  REQUIRE(commands.size() == 1);
  CHECK(commands[0].arity == 0);
  CHECK(commands[0].flags.empty());
  CHECK(commands[0].first_key == 0);
}

TEST_CASE("a reply that is no list names no commands") {
  CHECK(Parse("+OK\r\n").empty());
  CHECK(Parse("-ERR unknown command\r\n").empty());
}

}  // namespace
}  // namespace nearcached
