#include "config/item_checks.h"

#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace nearcached::config {
namespace {

bool Says(const std::string& sentence, std::string_view part) {
  return sentence.find(part) != std::string::npos;
}

TEST_CASE("a pattern has its star in front, at the end or both, and something besides") {
  for (const char* good : {"lock:*", "*:lock", "*lock*", "a*", "*a", "**a"}) {
    CAPTURE(good);
    // "**a" has a second star inside.
    CHECK(CheckPattern(good).empty() == (std::string(good) != "**a"));
  }
  CHECK(Says(CheckPattern("a*b"), "only be the first or the last"));
  CHECK(Says(CheckPattern("a**"), "only be the first or the last"));
  for (const char* every : {"*", "**", ""}) {
    CAPTURE(every);
    CHECK(Says(CheckPattern(every), "would match every key"));
  }
  CHECK(Says(CheckPattern("lock"), "\"lock*\""));
  CHECK(Says(CheckPattern("lock"), "\"*lock*\""));
}

TEST_CASE("a prefix may hold anything but a pattern") {
  for (const char* good : {"", "user:", "a[b", "a]b", "]x[", "naïve:"}) {
    CAPTURE(good);
    CHECK(CheckPrefix(good).empty());
  }
  for (const char* bad : {"user:*", "user:?", "user:[ab]", "*", "?"}) {
    CAPTURE(bad);
    CHECK(Says(CheckPrefix(bad), "is compared byte for byte"));
  }
  CHECK(Says(CheckPrefix("a:?b*"), "write \"a:\""));
}

TEST_CASE("the name of a command has no blanks, stars or dangling bars") {
  for (const char* good : {"get", "config|set", "JSON.GET", "x-flush-7"}) {
    CAPTURE(good);
    CHECK(CheckCommandName(good).empty());
  }
  for (const char* bad : {"", "flush all", "flush*", "|set", "config|", "caf\xC3\xA9", "a\tb"}) {
    CAPTURE(bad);
    CHECK(Says(CheckCommandName(bad), "is no command"));
  }
}

TEST_CASE("a command that cannot be cached is named, and the one that was meant") {
  for (const char* good : {"get", "GET", "hgetall", "all", "ALL"}) {
    CAPTURE(good);
    CHECK(CheckCachedCommand(good).empty());
  }
  CHECK(Says(CheckCachedCommand("hgetal"), "did you mean \"hgetall\"?"));
  CHECK(Says(CheckCachedCommand("set"), "is no command whose replies can be cached"));
  CHECK(Says(CheckCachedCommand("zzzzzzzzzzzz"), "CACHED_COMMANDS.md lists them"));
}

TEST_CASE("a rename is two names, and not of what nearcached itself needs") {
  CHECK(CheckRename("flushall=x-flush").empty());
  CHECK(CheckRename("wipe=unlink").empty());
  for (const char* bad : {"", "flushall", "=x", "x=", "a=b=c", "config|set=x", "a=b|c", "a b=c"}) {
    CAPTURE(bad);
    CHECK(Says(CheckRename(bad), "is no rename"));
  }
  for (const char* own : {"auth=x", "HELLO=x", "Cluster=x", "role=x", "sentinel=x"}) {
    CAPTURE(own);
    CHECK(Says(CheckRename(own), "nearcached itself needs this command"));
  }
}

}  // namespace
}  // namespace nearcached::config
