#include "daemon/command_settings.h"

#include <string>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

config::LoadResult Loaded(const std::string& renames) {
  const std::string text = "upstream:\n  url: redis://127.0.0.1:1\ncommands:\n  rename: " + renames;
  auto loaded = config::LoadText(text + "\n", "n.yaml", config::Environment{}, {});
  REQUIRE(loaded.ok());
  CheckRenames(loaded);
  return loaded;
}

TEST_CASE("a rename that makes one command out of another is refused, with its place") {
  for (const char* pair : {"get=set", "GET=Set", "ping=get", "flushall=json.get", "client=info"}) {
    CAPTURE(pair);
    const auto loaded = Loaded("[\"pttl=x-pttl\", \"" + std::string(pair) + "\"]");
    REQUIRE(loaded.problems.size() == 1);
    CHECK(loaded.problems[0].file == "n.yaml");
    CHECK(loaded.problems[0].line == 4);
    CHECK(loaded.problems[0].path == "commands.rename");
    CHECK(loaded.problems[0].message.find(pair) != std::string::npos);
    CHECK(loaded.problems[0].message.find("rename-command") != std::string::npos);
  }
}

TEST_CASE("names of the operator's own and aliases are allowed") {
  for (const char* renames : {"[]", "[\"flushall=x-9f\", \"get=b840\"]", "[\"wipe=unlink\"]",
                              "[\"my.module=another.module\"]"}) {
    CAPTURE(renames);
    CHECK(Loaded(renames).ok());
  }
}

TEST_CASE("every such pair is named") {
  CHECK(Loaded("[\"get=set\", \"del=exists\", \"append=x\"]").problems.size() == 2);
}

}  // namespace
}  // namespace nearcached
