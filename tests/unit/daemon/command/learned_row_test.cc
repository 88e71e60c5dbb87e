// One row by itself: what Learn makes of one reply, and of the next. (What the table does with
// rows: command_table_test.cc.)
#include "daemon/command/learned_row.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/command/key_extract.h"

namespace nearcached {
namespace {

constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

UpstreamKeySpec IndexSpec(std::int64_t index, std::int64_t last) {
  UpstreamKeySpec spec;
  spec.begin_search = "index";
  spec.index = index;
  spec.find_keys = "range";
  spec.last_key = last;
  spec.key_step = 1;
  return spec;
}

UpstreamKeySpec KeywordSpec(std::string keyword, std::int64_t start_from) {
  UpstreamKeySpec spec = IndexSpec(0, 0);
  spec.begin_search = "keyword";
  spec.keyword = std::move(keyword);
  spec.start_from = start_from;
  return spec;
}

UpstreamCommand Command(std::vector<std::string> flags) {
  UpstreamCommand command;
  command.name = "m.cmd";
  command.arity = -2;
  command.flags = std::move(flags);
  return command;
}

UpstreamCommand OldCommand(std::int64_t first, std::int64_t last, std::int64_t step) {
  UpstreamCommand command = Command({"write"});
  command.first_key = first;
  command.last_key = last;
  command.key_step = step;
  return command;
}

// "a b" for the keys of a call, or "unknown".
std::string KeysOf(LearnedRow& learned, const std::vector<std::string_view>& args) {
  std::vector<KeyVisit> visits;
  if (ExtractKeys(learned.row(), args, visits) == KeysVerdict::kUnknown) {
    return "unknown";
  }
  std::string text;
  for (const KeyVisit& visit : visits) {
    text += (text.empty() ? "" : " ") + std::string(visit.key);
  }
  return text;
}

TEST_CASE("a row has its name before it has learned anything, and is not cached") {
  LearnedRow learned("m.cmd");
  CHECK(learned.row().name == "m.cmd");
  CHECK(learned.row().cache_class == CacheClass::kNever);
}

TEST_CASE("whatever the server calls it, a learned command is never cached and never local") {
  LearnedRow learned("m.cmd");
  learned.Learn(Command({"readonly", "fast", "admin", "noscript", "pubsub", "no_multi", "no_auth"}),
                nullptr);
  const CommandRow& row = learned.row();
  CHECK(row.cache_class == CacheClass::kNever);
  CHECK(row.handling == Handling::kForward);
  CHECK(row.Is(CommandFlag::kFast));
  CHECK(row.Is(CommandFlag::kAdmin));
  CHECK(row.Is(CommandFlag::kNoScript));
  CHECK(row.Is(CommandFlag::kPubSub));
  CHECK(row.Is(CommandFlag::kNoMulti));
  CHECK_FALSE(row.Is(CommandFlag::kNoAuth));  // not over our authenticated links
  CHECK_FALSE(row.MayWrite());
}

TEST_CASE("an arity that no argument list can have is read as any number of arguments") {
  LearnedRow learned("m.cmd");
  for (const std::int64_t arity : {kLeast, kMost, std::int64_t{40'000}}) {
    UpstreamCommand command = Command({"readonly"});
    command.arity = arity;
    learned.Learn(command, nullptr);
    CHECK(learned.row().arity == -1);
  }
  UpstreamCommand exact = Command({"readonly"});
  exact.arity = 3;
  learned.Learn(exact, nullptr);
  CHECK(learned.row().ArityHolds(3));
  CHECK_FALSE(learned.row().ArityHolds(4));
}

TEST_CASE("a command that blocks does so on a link of its own, nobody knows for how long") {
  LearnedRow learned("m.bpop");
  learned.Learn(Command({"write", "blocking"}), nullptr);
  CHECK(learned.row().handling == Handling::kBlocking);
  CHECK(learned.row().timeout.where == TimeoutArgument::Where::kUnknown);
}

TEST_CASE("output that the server calls nondeterministic is volatile") {
  LearnedRow learned("m.cmd");
  UpstreamCommand command = Command({"readonly"});
  command.tips = {"request_policy:all_shards", "nondeterministic_output"};
  learned.Learn(command, nullptr);
  CHECK(learned.row().Is(CommandFlag::kVolatile));
}

TEST_CASE("a container names no keys itself, a subcommand belongs to its parent") {
  LearnedRow container("m");
  UpstreamCommand command = Command({"readonly"});
  command.key_specs = {IndexSpec(1, 0)};
  command.subcommands = {Command({"readonly"})};
  container.Learn(command, nullptr);
  CHECK(container.row().Is(CommandFlag::kContainer));
  CHECK(KeysOf(container, {"m", "sub", "k"}) == "unknown");

  CommandRow parent;
  parent.id = 42;
  parent.handling = Handling::kLocal;
  LearnedRow sub("m|sub");
  sub.Learn(Command({"readonly", "blocking"}), &parent);
  CHECK(sub.row().name == "m|sub");
  CHECK(sub.row().id == 42);
  CHECK(sub.row().handling == Handling::kLocal);
}

TEST_CASE("learning again forgets all that was learned before") {
  LearnedRow learned("m.cmd");
  UpstreamCommand rich = Command({"write", "blocking", "admin"});
  rich.key_specs = {KeywordSpec("FROM", 1), IndexSpec(1, 0)};
  rich.tips = {"nondeterministic_output"};
  rich.subcommands = {Command({"write"})};
  CommandRow parent;
  parent.id = 7;
  learned.Learn(rich, &parent);

  UpstreamCommand plain = Command({"readonly"});
  plain.arity = 2;
  learned.Learn(plain, nullptr);
  const CommandRow& row = learned.row();
  CHECK(row.flags == CommandFlags(CommandFlag::kReadOnly));
  CHECK(row.handling == Handling::kForward);
  CHECK(row.timeout.where == TimeoutArgument::Where::kNone);
  CHECK(row.id == kUnknownCommandId);
  CHECK(row.arity == 2);
  CHECK(KeysOf(learned, {"m.cmd", "a"}).empty());
}

TEST_CASE("as many specifications as a row may hold are kept, each with its own keyword") {
  LearnedRow learned("m.cmd");
  {
    UpstreamCommand command = Command({"write"});
    for (std::size_t i = 0; i < LearnedRow::kSpecsMax; ++i) {
      command.key_specs.push_back(
          KeywordSpec("A-Keyword-Longer-Than-A-Short-String-" + std::to_string(i), 1));
    }
    learned.Learn(command, nullptr);
  }  // what the row points to must be its own
  CHECK(KeysOf(learned, {"m.cmd", "a-keyword-longer-than-a-short-string-15", "x",
                         "A-KEYWORD-LONGER-THAN-A-SHORT-STRING-0", "y"}) == "y x");
  CHECK(KeysOf(learned, {"m.cmd", "other", "x"}).empty());
}

TEST_CASE("a keyword that is too long leaves the keys unknown") {
  LearnedRow learned("m.cmd");
  UpstreamCommand command = Command({"write"});
  command.key_specs = {KeywordSpec(std::string(LearnedRow::kKeywordBytesMax, 'k'), 1)};
  learned.Learn(command, nullptr);
  CHECK(KeysOf(learned, {"m.cmd", "a"}).empty());
  command.key_specs = {KeywordSpec(std::string(LearnedRow::kKeywordBytesMax + 1, 'k'), 1)};
  learned.Learn(command, nullptr);
  CHECK(KeysOf(learned, {"m.cmd", "a"}) == "unknown");
}

TEST_CASE("numbers that make no sense in a specification leave the keys unknown") {
  const auto with = [](auto change) {
    UpstreamKeySpec spec = IndexSpec(1, 0);
    change(spec);
    return spec;
  };
  const UpstreamKeySpec odd[] = {
      with([](UpstreamKeySpec& s) { s.index = 0; }),
      with([](UpstreamKeySpec& s) { s.index = -1; }),
      with([](UpstreamKeySpec& s) { s.index = kMost; }),
      with([](UpstreamKeySpec& s) { s.last_key = kLeast; }),
      with([](UpstreamKeySpec& s) { s.last_key = 40'000; }),
      with([](UpstreamKeySpec& s) { s.key_step = 0; }),
      with([](UpstreamKeySpec& s) { s.key_step = -1; }),
      with([](UpstreamKeySpec& s) { s.key_step = kMost; }),
      with([](UpstreamKeySpec& s) { s.limit = kMost; }),
      with([](UpstreamKeySpec& s) { s.begin_search = ""; }),
      with([](UpstreamKeySpec& s) { s.find_keys = "RANGE"; }),
      with([](UpstreamKeySpec& s) { s.find_keys = "keynum", s.key_num_index = kLeast; }),
      with([](UpstreamKeySpec& s) { s.find_keys = "keynum", s.first_key = kMost; }),
      KeywordSpec("from", 0),
      KeywordSpec("from", kLeast),
  };
  LearnedRow learned("m.cmd");
  for (std::size_t i = 0; i < std::size(odd); ++i) {
    CAPTURE(i);
    UpstreamCommand command = Command({"write"});
    command.key_specs = {IndexSpec(1, 0), odd[i]};
    learned.Learn(command, nullptr);
    CHECK(KeysOf(learned, {"m.cmd", "a", "b"}) == "unknown");
  }
}

TEST_CASE("a counted specification whose numbers point outside the call leaves its keys unknown") {
  LearnedRow learned("m.cmd");
  UpstreamCommand command = Command({"write"});
  UpstreamKeySpec counted = IndexSpec(1, 0);
  counted.find_keys = "keynum";
  counted.key_num_index = -1;  // the command's own name
  counted.first_key = 1;
  command.key_specs = {counted};
  learned.Learn(command, nullptr);
  CHECK(KeysOf(learned, {"m.cmd", "1", "b"}) == "unknown");
  command.key_specs[0].key_num_index = 0;
  command.key_specs[0].first_key = -1;
  learned.Learn(command, nullptr);
  CHECK(KeysOf(learned, {"m.cmd", "1", "b"}) == "unknown");
  CHECK(KeysOf(learned, {"m.cmd", "0", "b"}).empty());
}

TEST_CASE("three old numbers that contradict each other leave the keys unknown") {
  LearnedRow learned("m.cmd");
  learned.Learn(OldCommand(1, 3, 2), nullptr);
  CHECK(KeysOf(learned, {"m.cmd", "a", "x", "b", "y"}) == "a b");
  learned.Learn(OldCommand(2, -2, 1), nullptr);
  CHECK(KeysOf(learned, {"m.cmd", "x", "a", "b", "y"}) == "a b");
  learned.Learn(OldCommand(0, 0, 0), nullptr);
  CHECK(KeysOf(learned, {"m.cmd", "x"}).empty());

  const UpstreamCommand odd[] = {
      OldCommand(3, 1, 1),      OldCommand(2, 0, 1),       OldCommand(-1, 2, 1),
      OldCommand(kLeast, 1, 1), OldCommand(kLeast, -1, 1), OldCommand(1, kMost, 1),
      OldCommand(1, kLeast, 1), OldCommand(kMost, -1, 1),  OldCommand(1, 1, 0),
  };
  for (std::size_t i = 0; i < std::size(odd); ++i) {
    CAPTURE(i);
    learned.Learn(odd[i], nullptr);
    CHECK(KeysOf(learned, {"m.cmd", "a", "b", "c"}) == "unknown");
  }
}

}  // namespace
}  // namespace nearcached
