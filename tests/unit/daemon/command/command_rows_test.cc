#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "daemon/command/command_table.h"
#include "tests/support/fixture_file.h"

namespace nearcached {
namespace {

// What a real server says of one of its commands.
struct ServerCommand {
  std::string_view name;
  int arity = 0;
  std::string flags;  // ",write,fast,"

  explicit ServerCommand(std::string_view line) {
    const std::vector<std::string_view> words = Words(line);
    REQUIRE(words.size() == 6);
    name = words[0];
    arity = std::atoi(std::string(words[1]).c_str());
    flags = "," + std::string(words[2]) + ",";
  }
  [[nodiscard]] bool Has(std::string_view flag) const {
    return flags.find("," + std::string(flag) + ",") != std::string::npos;
  }
};

const std::vector<std::string>& Fixture() {
  static const std::vector<std::string> lines = FixtureLines("redis_7_0_15_commands.txt");
  return lines;
}

TEST_CASE("every command and subcommand of Redis 7.0.15 has a row of its own") {
  const CommandTable table;
  REQUIRE(Fixture().size() == 366);
  for (const std::string& line : Fixture()) {
    const ServerCommand server(line);
    CAPTURE(server.name);
    CHECK(table.FindByName(server.name).name == server.name);
  }
}

TEST_CASE("rows and server agree on arity and on the flags they share") {
  const CommandTable table;
  for (const std::string& line : Fixture()) {
    const ServerCommand server(line);
    const CommandRow& row = table.FindByName(server.name);
    CAPTURE(server.name);
    CHECK(row.arity == server.arity);
    CHECK(row.Is(CommandFlag::kFast) == server.Has("fast"));
    CHECK(row.Is(CommandFlag::kBlocking) == server.Has("blocking"));
    CHECK(row.Is(CommandFlag::kNoScript) == server.Has("noscript"));
    CHECK(row.Is(CommandFlag::kAdmin) == server.Has("admin"));
    CHECK(row.Is(CommandFlag::kPubSub) == server.Has("pubsub"));
    CHECK(row.Is(CommandFlag::kNoAuth) == server.Has("no_auth"));
    CHECK(row.Is(CommandFlag::kNoMulti) == server.Has("no_multi"));
  }
}

TEST_CASE("rows and server agree on what writes, but for PFCOUNT, which the server undersells") {
  // PFCOUNT stores the cardinality it has computed in the key, where GET can see it.
  const CommandTable table;
  for (const std::string& line : Fixture()) {
    const ServerCommand server(line);
    const CommandRow& row = table.FindByName(server.name);
    CAPTURE(server.name);
    const bool undersold = server.name == "pfcount";
    CHECK(row.Is(CommandFlag::kWrite) == (server.Has("write") || undersold));
    CHECK(row.Is(CommandFlag::kReadOnly) == (server.Has("readonly") && !undersold));
  }
}

TEST_CASE("what looks like a read and writes is a write") {
  const CommandTable table;
  for (const std::string_view name : {"getex",
                                      "getdel",
                                      "getset",
                                      "set",
                                      "sort",
                                      "georadius",
                                      "georadiusbymember",
                                      "eval",
                                      "evalsha",
                                      "fcall",
                                      "bitfield",
                                      "pfcount",
                                      "hgetdel",
                                      "hgetex",
                                      "spop",
                                      "xreadgroup",
                                      "ft.dropindex",
                                      "migrate",
                                      "restore",
                                      "touch"}) {
    CAPTURE(name);
    CHECK(table.FindByName(name).MayWrite() == (name != "touch"));
  }
}

TEST_CASE("what is cached is read by the path of its cache class, and nothing else is") {
  std::set<std::string_view> strings;
  std::size_t replies = 0;
  for (const CommandRow& row : BuiltinRows()) {
    CAPTURE(row.name);
    const bool reply = row.cache_class == CacheClass::kReply;
    CHECK(reply == (row.handling == Handling::kRead));
    replies += reply ? 1 : 0;
    if (row.cache_class != CacheClass::kNever && !reply) {
      strings.insert(row.name);
    }
    if (!reply) {
      CHECK(row.absent == AbsentReply::kUnknown);
    }
  }
  CHECK(strings == std::set<std::string_view>{"get", "mget"});
  CHECK(replies == 43);
}

// The last column of a row: what of a missing key is kept.
std::string_view AbsentText(const CommandRow& row) {
  switch (row.absent) {
    case AbsentReply::kUnknown:
      return row.cache_class == CacheClass::kReply ? "not kept" : "nil";  // GET and MGET: nil
    case AbsentReply::kNil:
      return "nil";
    case AbsentReply::kZero:
      return "`:0`";
    case AbsentReply::kEmpty:
      return "empty";
    case AbsentReply::kEmptyString:
      return "empty string";
    case AbsentReply::kNone:
      return "`none`";
    case AbsentReply::kEachNil:
      return "nils";
    case AbsentReply::kEachZero:
      return "zeros";
  }
  return {};
}

TEST_CASE("CACHED_COMMANDS.md has a row for each command that is cached, and says what it is") {
  std::ifstream file(std::filesystem::path(__FILE__).parent_path() /
                     "../../../../CACHED_COMMANDS.md");
  REQUIRE(file.is_open());
  std::map<std::string, std::string> rows;  // the last column by command
  for (std::string line; std::getline(file, line);) {
    const std::size_t name_end = line.find(" | ");
    const std::size_t last = line.rfind(" | ");
    if (line.starts_with("| ") && line.ends_with(" |") && last > name_end) {
      rows[line.substr(2, name_end - 2)] = line.substr(last + 3, line.size() - last - 5);
    }
  }
  rows.erase("command");
  std::size_t cached = 0;
  for (const CommandRow& row : BuiltinRows()) {
    if (row.cache_class != CacheClass::kNever) {
      CAPTURE(row.name);
      CHECK(rows[std::string(row.name)] == AbsentText(row));
      ++cached;
    }
  }
  CHECK(rows.size() == cached);
}

TEST_CASE("handling follows the command, subcommands included") {
  const CommandTable table;
  const auto handling = [&](std::string_view name) { return table.FindByName(name).handling; };
  for (const std::string_view name :
       {"hello", "auth", "select", "quit", "reset", "client", "client|reply", "client|setinfo",
        "ping", "echo", "nearcache"}) {
    CAPTURE(name);
    CHECK(handling(name) == Handling::kLocal);
  }
  for (const std::string_view name : {"multi", "exec", "discard", "watch", "unwatch"}) {
    CAPTURE(name);
    CHECK(handling(name) == Handling::kTransaction);
  }
  for (const std::string_view name :
       {"subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe"}) {
    CAPTURE(name);
    CHECK(handling(name) == Handling::kSubscribe);
  }
  for (const std::string_view name :
       {"monitor", "sync", "psync", "replconf", "asking", "readonly"}) {
    CAPTURE(name);
    CHECK(handling(name) == Handling::kOwnLink);
  }
  for (const std::string_view name : {"script|kill", "function|kill", "client|unpause"}) {
    CAPTURE(name);
    CHECK(handling(name) == Handling::kUrgent);
  }
  CHECK(handling("shutdown") == Handling::kRefused);
  CHECK(handling("get") == Handling::kGet);
  CHECK(handling("mget") == Handling::kMget);
  CHECK(handling("set") == Handling::kForward);
}

TEST_CASE("every command that the server may block on, and WAIT, is handled as blocking") {
  const CommandTable table;
  for (const std::string& line : Fixture()) {
    const ServerCommand server(line);
    CAPTURE(server.name);
    const bool blocks = server.Has("blocking") || server.name == "wait";
    CHECK((table.FindByName(server.name).handling == Handling::kBlocking) == blocks);
  }
}

TEST_CASE("a refusal is one RESP error line") {
  for (const CommandRow& row : BuiltinRows()) {
    if (row.handling == Handling::kRefused) {
      CAPTURE(row.name);
      CHECK(row.refusal.starts_with("ERR "));
      CHECK(row.refusal.find_first_of("\r\n") == std::string_view::npos);
    }
  }
}

TEST_CASE("ids are dense, named, shared with subcommands and 0 for what is unknown") {
  std::set<std::uint16_t> ids;
  for (const CommandRow& row : BuiltinRows()) {
    CAPTURE(row.name);
    CHECK(CommandTable::IdName(row.id) == row.name.substr(0, row.name.find('|')));
    ids.insert(row.id);
  }
  CHECK(ids.size() == CommandTable::IdCount() - 1);
  CHECK(*ids.begin() == 1);
  CHECK(*ids.rbegin() == CommandTable::IdCount() - 1);
  CHECK(CommandTable::IdName(kUnknownCommandId) == "unknown");
}

TEST_CASE("commands of later servers, of forks and of modules are known") {
  const CommandTable table;
  for (const std::string_view name : {"waitaof",
                                      "client|no-touch",
                                      "cluster|myshardid",
                                      "hexpire",
                                      "hpttl",
                                      "hgetdel",
                                      "hsetex",
                                      "vadd",
                                      "vsim",
                                      "xackdel",
                                      "delex",
                                      "msetex",
                                      "digest",
                                      "delifeq",
                                      "commandlog|get",
                                      "json.set",
                                      "json.mget",
                                      "ft.search",
                                      "bf.add",
                                      "cf.del",
                                      "cms.merge",
                                      "topk.list",
                                      "tdigest.add",
                                      "ts.add",
                                      "ts.mrange"}) {
    CAPTURE(name);
    CHECK(table.FindByName(name).name == name);
  }
}

}  // namespace
}  // namespace nearcached
