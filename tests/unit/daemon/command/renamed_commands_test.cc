#include "daemon/command/renamed_commands.h"

#include <array>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/command/command_table.h"
#include "proto/encode.h"

namespace nearcached {
namespace {

std::string Request(const std::vector<std::string_view>& args) {
  std::string bytes;
  proto::AppendCommand(bytes, args);
  return bytes;
}

const std::vector<std::string> kPairs = {"flushall=X-9f", "CONFIG=admin-config", "wipe=unlink"};

TEST_CASE("a request gets the upstream's name, whatever its case, and is else as it was") {
  const RenamedCommands renamed(kPairs);
  std::string scratch;
  const auto sent = [&](const std::vector<std::string_view>& args) {
    return std::string(renamed.Translate(Request(args), scratch));
  };
  CHECK(sent({"FlushAll"}) == Request({"x-9f"}));
  CHECK(sent({"config", "get", "maxmemory"}) == Request({"admin-config", "get", "maxmemory"}));
  CHECK(sent({"WIPE", "a\r\nb", ""}) == Request({"unlink", "a\r\nb", ""}));
  CHECK(sent({"GET", "flushall"}) == Request({"GET", "flushall"}));
  CHECK(sent({"x-9f"}) == Request({"x-9f"}));
}

TEST_CASE("what is asked about commands is asked by the names that the upstream has for them") {
  const RenamedCommands renamed(kPairs);
  std::string scratch;
  const auto sent = [&](const std::vector<std::string_view>& args) {
    return std::string(renamed.Translate(Request(args), scratch));
  };
  CHECK(sent({"COMMAND", "INFO", "get", "FLUSHALL"}) ==
        Request({"COMMAND", "INFO", "get", "x-9f"}));
  CHECK(sent({"command", "docs", "wipe"}) == Request({"command", "docs", "unlink"}));
  CHECK(sent({"COMMAND", "GETKEYS", "wipe", "wipe"}) ==
        Request({"COMMAND", "GETKEYS", "unlink", "wipe"}));
  CHECK(sent({"COMMAND", "COUNT"}) == Request({"COMMAND", "COUNT"}));
}

TEST_CASE("without renames a request is handed back as it is") {
  const RenamedCommands none;
  std::string scratch;
  const std::string request = Request({"flushall"});
  CHECK(none.Translate(request, scratch).data() == request.data());
  CHECK(none.OtherNameOf("flushall").empty());
}

TEST_CASE("a command is the same by either of its names, and what it does is known") {
  CommandTable table;
  table.Rename(kPairs);
  const auto row = [&](std::string_view name, std::string_view sub = {}) -> const CommandRow& {
    const std::array<std::string_view, 2> args = {name, sub};
    return table.Find({args.data(), sub.empty() ? std::size_t{1} : 2});
  };
  CHECK(&row("X-9F") == &row("flushall"));
  CHECK(row("x-9f").Is(CommandFlag::kFlushesAll));
  CHECK(&row("wipe") == &row("unlink"));
  CHECK(&row("admin-config", "set") == &row("config", "set"));
  CHECK(row("admin-config", "set").name == "config|set");
  CHECK(&row("nonsense") == &table.unknown());
  CHECK(&table.FindByName("X-9F") == &row("flushall"));
}

}  // namespace
}  // namespace nearcached
