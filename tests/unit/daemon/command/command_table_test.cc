#include "daemon/command/command_table.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"
#include "daemon/command/key_extract.h"

namespace nearcached {
namespace {

const CommandRow& FindCall(const CommandTable& table, std::vector<std::string_view> args) {
  return table.Find(args);
}

UpstreamCommand Upstream(std::string name, std::vector<std::string> flags) {
  UpstreamCommand command;
  command.name = std::move(name);
  command.arity = -2;
  command.flags = std::move(flags);
  return command;
}

UpstreamKeySpec RangeSpec(std::int64_t index, std::int64_t last) {
  UpstreamKeySpec spec;
  spec.flags = {"RO", "access"};
  spec.begin_search = "index";
  spec.index = index;
  spec.find_keys = "range";
  spec.last_key = last;
  spec.key_step = 1;
  return spec;
}

CommandTable::MergeReport MergeOne(CommandTable& table, const UpstreamCommand& command) {
  return table.MergeUpstream(std::span(&command, 1));
}

// "R:a W:b" of a call against a table.
std::string KeysOf(const CommandTable& table, const std::vector<std::string_view>& args) {
  std::vector<KeyVisit> visits;
  if (ExtractKeys(table.Find(args), args, visits) == KeysVerdict::kUnknown) {
    return "unknown";
  }
  std::string text;
  for (const KeyVisit& visit : visits) {
    text +=
        (text.empty() ? "" : " ") + std::string(visit.write ? "W:" : "R:") + std::string(visit.key);
  }
  return text;
}

TEST_CASE("a row is found by its name in any mixture of cases") {
  const CommandTable table;
  Rng rng(1);
  for (const CommandRow& row : BuiltinRows()) {
    std::string name(row.name);
    CHECK(table.FindByName(name).name == row.name);
    for (int round = 0; round < 4; ++round) {
      for (char& c : name) {
        c = static_cast<char>(rng.Below(2) == 0 ? std::toupper(c) : std::tolower(c));
      }
      CAPTURE(name);
      CHECK(table.FindByName(name).name == row.name);
    }
  }
}

TEST_CASE("a name that differs in any bit beyond the case of a letter is another name") {
  const CommandTable table;
  for (const CommandRow& row : BuiltinRows()) {
    for (std::size_t at = 0; at < row.name.size(); ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        std::string name(row.name);
        name[at] = static_cast<char>(static_cast<unsigned char>(name[at]) ^ (1U << bit));
        const bool is_case = bit == 5 && std::isalpha(static_cast<unsigned char>(row.name[at]));
        const std::string_view found = table.FindByName(name).name;
        CAPTURE(name);
        CHECK((found == row.name) == is_case);
        CHECK((is_case || found == name || found == "unknown"));
      }
    }
  }
}

TEST_CASE("names that are empty, cut, longer or binary are unknown") {
  const CommandTable table;
  const std::string long_name(CommandTable::kNameBytesMax + 1, 'g');
  const std::string huge_name(1 << 20, 'g');
  for (const std::string_view name :
       {std::string_view(""), std::string_view("ge"), std::string_view("gett"),
        std::string_view("get\0", 4), std::string_view("\0\0\0", 3), std::string_view("|"),
        std::string_view("config|"), std::string_view("|get"), std::string_view("config|set|x"),
        std::string_view("georadiusbymember_rx"), std::string_view(long_name),
        std::string_view(huge_name)}) {
    CAPTURE(name);
    CHECK(&table.FindByName(name) == &table.unknown());
    CHECK(&FindCall(table, {name, name}) == &table.unknown());
  }
}

TEST_CASE("what is unknown is forwarded, never cached, and may write each argument") {
  const CommandTable table;
  const CommandRow& row = FindCall(table, {"NOSUCH", "a", "b"});
  CHECK(row.handling == Handling::kForward);
  CHECK(row.cache_class == CacheClass::kNever);
  CHECK(row.MayWrite());
  CHECK(row.id == kUnknownCommandId);
  CHECK(KeysOf(table, {"NOSUCH", "a"}) == "unknown");
}

TEST_CASE("the second argument chooses among the subcommands of a container") {
  const CommandTable table;
  CHECK(FindCall(table, {"CONFIG", "Set", "x", "y"}).name == "config|set");
  CHECK(FindCall(table, {"config", "GET", "x"}).name == "config|get");
  CHECK(FindCall(table, {"CONFIG"}).name == "config");
  CHECK(FindCall(table, {"CONFIG", "NOSUCH"}).name == "config");
  CHECK(FindCall(table, {"XINFO", "help"}).name == "xinfo|help");
  CHECK(FindCall(table, {"ACL", "help"}).name == "acl|help");
  // A subcommand's name is no command, and a plain command has no subcommands.
  CHECK(&FindCall(table, {"encoding", "k"}) == &table.unknown());
  CHECK(FindCall(table, {"GET", "help"}).name == "get");
}

TEST_CASE("a command is learned with the keys that the server specifies") {
  CommandTable table;
  UpstreamCommand read = Upstream("Mod.Read", {"readonly", "fast"});
  read.key_specs = {RangeSpec(2, -1)};
  UpstreamCommand write = Upstream("mod.write", {"write"});
  write.key_specs = {RangeSpec(1, 0)};
  UpstreamKeySpec keyword = RangeSpec(0, -1);
  keyword.begin_search = "keyword";
  keyword.keyword = "FROM";
  keyword.start_from = 1;
  UpstreamKeySpec counted = RangeSpec(1, 0);
  counted.find_keys = "keynum";
  counted.key_num_index = 0;
  counted.first_key = 1;
  UpstreamCommand movable = Upstream("mod.movable", {"readonly", "movablekeys"});
  movable.key_specs = {counted, keyword};
  const std::array commands{read, write, movable};

  const CommandTable::MergeReport report = table.MergeUpstream(commands);

  CHECK(report.added == 3);
  CHECK(report.refused == 0);
  CHECK(KeysOf(table, {"MOD.READ", "x", "a", "b"}) == "R:a R:b");
  CHECK_FALSE(table.FindByName("mod.read").MayWrite());
  CHECK(table.FindByName("mod.read").Is(CommandFlag::kFast));
  CHECK(KeysOf(table, {"MOD.WRITE", "a"}) == "W:a");
  CHECK(KeysOf(table, {"MOD.MOVABLE", "2", "a", "b", "from", "c", "d"}) == "R:a R:b R:c R:d");
  CHECK(table.FindByName("mod.read").cache_class == CacheClass::kNever);
  CHECK(table.FindByName("mod.read").id == kUnknownCommandId);
}

TEST_CASE("before Redis 7 first, last and step say where the keys are") {
  CommandTable table;
  UpstreamCommand pairs = Upstream("old.mset", {"write"});
  pairs.first_key = 1;
  pairs.last_key = -1;
  pairs.key_step = 2;
  UpstreamCommand two = Upstream("old.two", {"readonly"});
  two.first_key = 2;
  two.last_key = 3;
  two.key_step = 1;
  const std::array commands{pairs, two, Upstream("old.none", {"readonly"})};
  table.MergeUpstream(commands);
  CHECK(KeysOf(table, {"old.mset", "a", "1", "b", "2"}) == "W:a W:b");
  CHECK(KeysOf(table, {"old.two", "x", "a", "b", "y"}) == "R:a R:b");
  CHECK(KeysOf(table, {"old.none", "x"}).empty());
}

TEST_CASE("whatever the server leaves open is read as the worst") {
  CommandTable table;
  UpstreamCommand neither = Upstream("m.neither", {"fast"});
  neither.key_specs = {RangeSpec(1, 0)};
  UpstreamCommand both = Upstream("m.both", {"readonly", "write"});
  both.key_specs = {RangeSpec(1, 0)};
  UpstreamCommand movable = Upstream("m.movable", {"write", "movablekeys"});
  movable.key_specs = {RangeSpec(1, 0)};
  UpstreamCommand incomplete = Upstream("m.incomplete", {"write"});
  incomplete.key_specs = {RangeSpec(1, 0)};
  incomplete.key_specs[0].flags = {"RW", "incomplete"};
  UpstreamCommand odd = Upstream("m.odd", {"write"});
  odd.key_specs = {RangeSpec(1, 0)};
  odd.key_specs[0].find_keys = "unknown";
  UpstreamCommand huge = Upstream("m.huge", {"write"});
  huge.key_specs = {RangeSpec(1'000'000, 0)};
  UpstreamCommand stepless = Upstream("m.stepless", {"write"});
  stepless.key_specs = {RangeSpec(1, -1)};
  stepless.key_specs[0].key_step = 0;
  UpstreamCommand many = Upstream("m.many", {"write"});
  many.key_specs.assign(LearnedRow::kSpecsMax + 1, RangeSpec(1, 0));
  const std::array commands{neither, both, movable, incomplete, odd, huge, stepless, many};
  table.MergeUpstream(commands);
  for (const UpstreamCommand& command : commands) {
    CAPTURE(command.name);
    CHECK(table.FindByName(command.name).name == command.name);
    CHECK(table.FindByName(command.name).MayWrite());
    CHECK(KeysOf(table, {command.name, "a", "b"}) ==
          (command.name == "m.both" ? "W:a" : "unknown"));
  }
}

TEST_CASE("channels of publish and subscribe are no keys") {
  CommandTable table;
  UpstreamCommand command = Upstream("x.publish", {"readonly", "pubsub"});
  command.key_specs = {RangeSpec(1, 0)};
  command.key_specs[0].flags = {"not_key"};
  MergeOne(table, command);
  CHECK(KeysOf(table, {"x.publish", "a"}).empty());
}

TEST_CASE("the server can make a built-in read a write, and nothing else of it") {
  CommandTable table;
  UpstreamCommand get = Upstream("GET", {"write", "admin", "blocking"});
  get.arity = 9;
  CHECK(MergeOne(table, get).widened == 1);
  const CommandRow& row = table.FindByName("get");
  CHECK(row.Is(CommandFlag::kWrite));
  CHECK_FALSE(row.Is(CommandFlag::kReadOnly));
  CHECK(row.cache_class == CacheClass::kNever);
  CHECK(row.handling == Handling::kForward);
  CHECK(row.arity == 2);
  CHECK_FALSE(row.Is(CommandFlag::kAdmin));
  CHECK(KeysOf(table, {"GET", "k"}) == "W:k");
  CHECK(MergeOne(table, get).widened == 0);  // once is enough
  MergeOne(table, Upstream("get", {"readonly"}));
  CHECK(row.Is(CommandFlag::kWrite));  // for good
}

TEST_CASE("the server cannot make a built-in write a read, nor anything cached or handled here") {
  CommandTable table;
  const std::array commands{Upstream("set", {"readonly"}), Upstream("eval", {"readonly"}),
                            Upstream("monitor", {"readonly"}), Upstream("lpos", {"readonly"})};
  const CommandTable::MergeReport report = table.MergeUpstream(commands);
  CHECK(report.added == 0);
  CHECK(report.widened == 0);
  CHECK(KeysOf(table, {"SET", "k", "v"}) == "W:k");
  CHECK(table.FindByName("set").Is(CommandFlag::kWrite));
  CHECK(table.FindByName("eval").MayWrite());
  CHECK(table.FindByName("monitor").handling == Handling::kOwnLink);
  CHECK(table.FindByName("lpos").cache_class == CacheClass::kNever);
}

TEST_CASE("subcommands are learned under known and new containers") {
  CommandTable table;
  UpstreamCommand xgroup = Upstream("xgroup", {});
  UpstreamCommand rewind = Upstream("xgroup|rewind", {"write"});
  rewind.key_specs = {RangeSpec(2, 0)};
  xgroup.subcommands = {rewind, Upstream("xgroup|create", {"write"})};
  UpstreamCommand client = Upstream("client", {});
  client.subcommands = {Upstream("client|novelty", {"admin"})};
  UpstreamCommand fresh = Upstream("fresh", {});
  UpstreamCommand sub = Upstream("fresh|look", {"readonly"});
  sub.key_specs = {RangeSpec(2, 0)};
  fresh.subcommands = {sub};
  const std::array commands{xgroup, client, fresh};

  CHECK(table.MergeUpstream(commands).added == 4);

  CHECK(KeysOf(table, {"XGROUP", "REWIND", "k"}) == "W:k");
  CHECK(table.FindByName("xgroup|rewind").id == table.FindByName("xgroup").id);
  CHECK(FindCall(table, {"CLIENT", "NOVELTY"}).handling == Handling::kLocal);
  CHECK(KeysOf(table, {"FRESH", "LOOK", "k"}) == "R:k");
  CHECK(KeysOf(table, {"FRESH", "OTHER", "k"}) == "unknown");
  CHECK(&table.FindByName("rewind") == &table.unknown());
}

TEST_CASE("the latest reply of the server wins for what was learned") {
  CommandTable table;
  UpstreamCommand command = Upstream("mod.op", {"readonly"});
  command.key_specs = {RangeSpec(1, 0)};
  CHECK(MergeOne(table, command).added == 1);
  const CommandRow& row = table.FindByName("mod.op");
  CHECK_FALSE(row.MayWrite());
  command.flags = {"write"};
  command.key_specs = {RangeSpec(2, 0)};
  CHECK(MergeOne(table, command).added == 0);
  CHECK(&table.FindByName("mod.op") == &row);
  CHECK(KeysOf(table, {"MOD.OP", "x", "k"}) == "W:k");
}

TEST_CASE("what a server can make the table hold is bounded, and rows stay where they are") {
  CommandTable table;
  const CommandRow* get = &table.FindByName("get");
  std::vector<UpstreamCommand> commands;
  for (std::size_t i = 0; i < CommandTable::kLearnedRowsMax + 100; ++i) {
    commands.push_back(Upstream("flood" + std::to_string(i), {"readonly"}));
  }
  const CommandTable::MergeReport report = table.MergeUpstream(commands);
  CHECK(report.added == CommandTable::kLearnedRowsMax);
  CHECK(report.refused == 100);
  CHECK(&table.FindByName("GET") == get);
  CHECK(table.FindByName("flood4095").name == "flood4095");
  CHECK(&table.FindByName("flood4096") == &table.unknown());
  for (const CommandRow& row : BuiltinRows()) {
    CHECK(table.FindByName(row.name).name == row.name);
  }
}

TEST_CASE("names that cannot be names are refused") {
  CommandTable table;
  const std::string longest(CommandTable::kNameBytesMax, 'x');
  const std::array commands{
      Upstream("", {}),    Upstream("a b", {}),         Upstream("a|b", {}),
      Upstream("a\n", {}), Upstream(longest + "x", {}), Upstream(longest, {"readonly"})};
  const CommandTable::MergeReport report = table.MergeUpstream(commands);
  CHECK(report.refused == 5);
  CHECK(report.added == 1);
  CHECK(table.FindByName(longest).name == longest);
}

}  // namespace
}  // namespace nearcached
