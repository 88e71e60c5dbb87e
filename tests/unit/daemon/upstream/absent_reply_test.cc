#include "daemon/upstream/absent_reply.h"

#include <array>
#include <string_view>

#include <doctest/doctest.h>

#include "daemon/command/command_table.h"

namespace nearcached {
namespace {

TEST_CASE("commands that a cluster's replica is asked only read, and name one key") {
  const CommandTable commands;
  for (const std::string_view name : kAbsenceShown) {
    CHECK(ShowsAbsence(name));
    const std::array<std::string_view, 1> call = {name};
    const CommandRow& row = commands.Find(call);
    if (row.name == name) {  // the server may know some that the built-in table does not
      CHECK_MESSAGE(row.Is(CommandFlag::kReadOnly), name);
      CHECK_MESSAGE(!row.MayWrite(), name);
    }
  }
  for (const char* name : {"hmget", "zmscore", "smismember", "geopos", "mget", "set", "json.get"}) {
    CHECK_FALSE_MESSAGE(ShowsAbsence(name), name);
  }
}

TEST_CASE("nothing but a whole reply that says so may mean that a key is not there") {
  CHECK(MayMeanAbsent("$-1\r\n"));
  CHECK(MayMeanAbsent(":0\r\n"));
  for (const char* reply :
       {"$1\r\n0\r\n", ":1\r\n", ":-1\r\n", "*1\r\n$-1\r\n", "", "+OK\r\n", "*0", "$0\r\n"}) {
    CHECK_FALSE_MESSAGE(MayMeanAbsent(reply), reply);
  }
}

}  // namespace
}  // namespace nearcached
