#include "config/reload.h"

#include <chrono>
#include <string>

#include "tests/unit/config/config_cases.h"

namespace nearcached::config {
namespace {

Config Loaded(std::string_view text) {
  LoadResult result = Load(text);
  CAPTURE(AllProblems(result));
  REQUIRE(result.ok());
  return std::move(result.config);
}

TEST_CASE("the same configuration changes nothing") {
  const Config config = Loaded("rules: [{prefix: a, ttl: 5s}]\n");
  const ReloadDiff diff = CompareForReload(config, config);
  CHECK(diff.applied_paths.empty());
  CHECK(diff.refused.empty());
  CHECK_FALSE(diff.changes_anything());
  CHECK(diff.effective == config);
}

TEST_CASE("each row is applied or refused as it says, alone") {
  for (const Row& row : Rows()) {
    const bool fixed = row.range.min == row.range.max && row.range.max != 0;
    const bool moves_url = row.type == Type::kHosts;  // which is refused beside it
    if (row.type == Type::kElements || !row.list().empty() || fixed || NeedsCompany(row) ||
        moves_url) {
      continue;
    }
    CAPTURE(row.path);
    const Config current = !NeedsPassword(row) ? Config()
                           : row.path == "upstream.username"
                               ? Loaded("upstream: {password: secret}\n")
                               : Loaded("upstream: {sentinel: {password: secret}}\n");
    const Config next = Loaded(FileWith(row, OtherValue(row)));
    const ReloadDiff diff = CompareForReload(current, next);
    if (row.reloadable()) {
      CHECK(diff.applied_paths == std::vector<std::string>{std::string(row.path)});
      CHECK(diff.refused.empty());
      CHECK(diff.effective == next);
    } else {
      CHECK(diff.applied_paths.empty());
      REQUIRE(diff.refused.size() == 1);
      CHECK(diff.refused[0].starts_with(std::string(row.path) + ": needs a restart, "));
      CHECK(diff.effective == current);
    }
  }
}

TEST_CASE("what operators change most can be reloaded") {
  for (const char* path :
       {"l1.ttl", "l1.ttl_jitter", "l1.negative_ttl", "l1.entry_bytes_max", "l1.never_cache",
        "l1.bytes", "rules", "coalescing.enabled", "coalescing.waiters_max", "limits.clients_max",
        "log.level", "drain.timeout", "upstream.command_timeout"}) {
    CAPTURE(path);
    REQUIRE(FindRow(path) != nullptr);
    CHECK(FindRow(path)->reloadable());
  }
}

TEST_CASE("a list counts as one change") {
  const Config one = Loaded("rules: [{prefix: a, ttl: 5s}]\n");
  for (const char* text : {"rules: [{prefix: a, ttl: 6s}]\n", "rules: [{prefix: a}]\n", "",
                           "rules: [{prefix: a, ttl: 5s}, {prefix: b}]\n"}) {
    CAPTURE(text);
    const Config next = Loaded(text);
    const ReloadDiff diff = CompareForReload(one, next);
    CHECK(diff.applied_paths == std::vector<std::string>{"rules"});
    CHECK(diff.effective == next);
  }
  const ReloadDiff diff =
      CompareForReload(Config(), Loaded("listeners: [\"127.0.0.1:6380\", \"127.0.0.1:1\"]\n"));
  REQUIRE(diff.refused.size() == 1);
  CHECK(diff.refused[0].starts_with("listeners: needs a restart"));
}

TEST_CASE("what can be applied is applied beside what is refused") {
  const ReloadDiff diff =
      CompareForReload(Config(), Loaded("l1: {ttl: 7s}\nupstream: {links: 4}\n"));
  CHECK(diff.applied_paths == std::vector<std::string>{"l1.ttl"});
  REQUIRE(diff.refused.size() == 1);
  CHECK(diff.effective.l1.ttl == std::chrono::seconds(7));
  CHECK(diff.effective.upstream.links == 2);
}

TEST_CASE("rules that only moved in the file are no change, and their new lines are kept") {
  const ReloadDiff diff =
      CompareForReload(Loaded("rules:\n- prefix: a\n"), Loaded("\n\nrules:\n- prefix: a\n"));
  CHECK_FALSE(diff.changes_anything());
  CHECK(diff.effective.rules[0].line == 4);
}

TEST_CASE("what the server was asked to broadcast stays until a restart") {
  const std::string bcast = "tracking: {method: bcast}\n";
  const Config current = Loaded(bcast + "rules:\n- {prefix: a}\n- {prefix: b}\n");
  const ReloadDiff more = CompareForReload(
      current, Loaded(bcast + "l1: {ttl: 7s}\nrules:\n- {prefix: a}\n- {prefix: c}\n"));
  CHECK(more.applied_paths == std::vector<std::string>{"l1.ttl"});
  REQUIRE(more.refused.size() == 1);
  CHECK(more.refused[0].starts_with("rules: needs a restart"));
  CHECK(more.effective.rules == current.rules);
  const ReloadDiff same =
      CompareForReload(current, Loaded(bcast + "rules:\n- {prefix: a, ttl: 9s}\n- {prefix: b}\n"));
  CHECK(same.refused.empty());
  CHECK(same.applied_paths == std::vector<std::string>{"rules"});
}

TEST_CASE("a refused secret does not appear in the reason") {
  const ReloadDiff diff =
      CompareForReload(Config(), Loaded("upstream: {url: \"redis://:hidden@h\"}\n"));
  CHECK(diff.refused.size() == 2);
  for (const std::string& reason : diff.refused) {
    CHECK(reason.find("hidden") == std::string::npos);
  }
}

TEST_CASE("a mixture of old and new values that is not consistent is refused as a whole") {
  // No two rows of the schema that are compared differ in reloadability, so such a mixture is
  // made by hand: the running process holds a value no file could have given.
  Config current;
  current.upstream.reconnect_delay_min = std::chrono::seconds(60);
  Config next = current;
  next.l1.ttl = std::chrono::seconds(7);
  const ReloadDiff diff = CompareForReload(current, next);
  CHECK_FALSE(diff.changes_anything());
  REQUIRE(diff.refused.size() == 1);
  CHECK(diff.refused[0].find("reconnect_delay") != std::string::npos);
  CHECK(diff.effective == current);
}

}  // namespace
}  // namespace nearcached::config
