#include "config/schema.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "tests/unit/config/config_cases.h"

namespace nearcached::config {
namespace {

bool HasNoValueOfItsOwn(const Row& row) {
  return row.type == Type::kElements || NeedsCompany(row);
}

TEST_CASE("every row can be set in a file") {
  for (const Row& row : Rows()) {
    if (HasNoValueOfItsOwn(row)) {
      continue;
    }
    const std::string value = OtherValue(row);
    const std::string file = FileWith(row, value);
    CAPTURE(file);
    const LoadResult result = Load(file);
    const std::string problems = AllProblems(result);
    CAPTURE(problems);
    CHECK(result.ok());
    REQUIRE(HasValue(row, 0, result.config));
    CHECK(FormatValue(row, 0, result.config) == value);
    if (row.range.min < row.range.max || row.range.max == 0) {
      CHECK(FormatValue(row, 0, ExampleConfig()) != value);
    }
  }
}

TEST_CASE("every row can be set by its environment variable") {
  const std::string base = "rules: [{prefix: \"p:\"}]\n";
  for (const Row& row : Rows()) {
    if (HasNoValueOfItsOwn(row)) {
      continue;
    }
    const std::string value = OtherValue(row);
    Environment environment;
    const std::string name = EnvironmentName(WithIndex(row.path, 0));
    CAPTURE(name);
    environment.variables[name] = value;
    if (NeedsPassword(row)) {
      environment.variables[name.substr(0, name.size() - 8) + "PASSWORD"] = "secret";
    }
    const LoadResult result = Load(base, environment);
    const std::string problems = AllProblems(result);
    CAPTURE(problems);
    CHECK(result.ok());
    CHECK(FormatValue(row, 0, result.config) == value);
  }
}

TEST_CASE("a value out of the range of its row is refused with its line and the range") {
  for (const Row& row : Rows()) {
    if (row.range.max == 0 || row.range.min == row.range.max) {
      continue;
    }
    std::string beyond;
    if (row.type == Type::kFraction) {
      beyond = "1.5";
    } else if (row.type == Type::kMode) {
      beyond = "1777";
    } else if (row.type == Type::kDuration) {
      beyond = FormatDuration(Duration{static_cast<Duration::rep>(row.range.max) + 1});
    } else {
      beyond = std::to_string(static_cast<std::uint64_t>(row.range.max) + 1);
    }
    const std::string file = FileWith(row, beyond);
    CAPTURE(file);
    const std::string line = row.list().empty() && row.path.find('.') == std::string::npos
                                 ? "test.yaml:1: "
                                 : "test.yaml:2: ";
    CheckOneProblem(Load(file), line + WithIndex(row.path, 0) + ": ", {"must be", RangeText(row)});
  }
}

TEST_CASE("no two rows share an environment variable") {
  std::map<std::string, std::string> owners;
  for (const Row& row : Rows()) {
    const std::string name = EnvironmentName(row.path);
    CAPTURE(name);
    CHECK(owners.emplace(name, row.path).second);
    if (row.secret()) {
      CHECK(owners.emplace(name + "_FILE", row.path).second);
    }
  }
}

TEST_CASE("every row explains itself in sentences") {
  std::set<std::string_view> paths;
  for (const Row& row : Rows()) {
    CAPTURE(row.path);
    CHECK(paths.insert(row.path).second);
    CHECK(row.help.size() > 10);
    CHECK(row.help.ends_with("."));
    CHECK((row.type == Type::kChoice) == !row.choices.empty());
  }
}

TEST_CASE("the rows of a list's elements follow the list") {
  std::string_view list;
  for (const Row& row : Rows()) {
    if (row.type == Type::kElements) {
      list = row.path;
    } else if (!row.list().empty()) {
      CAPTURE(row.path);
      CHECK(row.list() == list);
    } else {
      list = {};
    }
  }
}

TEST_CASE("every default lies in the range of its row") {
  const Config defaults = ExampleConfig();
  for (const Row& row : Rows()) {
    const bool list = IsTextList(row.type);
    const bool special = HasNoValueOfItsOwn(row) || list;
    if (special || !HasValue(row, 0, defaults)) {
      continue;
    }
    Config config = ExampleConfig();
    CAPTURE(row.path);
    CHECK(SetValue(row, 0, FormatValue(row, 0, defaults), config) == "");
    CHECK(config == defaults);
  }
}

TEST_CASE("a path with an index finds the row of the list's elements") {
  REQUIRE(FindRow("rules[12].ttl") != nullptr);
  CHECK(FindRow("rules[12].ttl")->path == "rules[].ttl");
  CHECK(FindRow("l1.ttl")->path == "l1.ttl");
  CHECK(FindRow("l1") == nullptr);
  CHECK(FindRow("") == nullptr);
  CHECK(WithIndex("rules[].ttl", 12) == "rules[12].ttl");
  CHECK(EnvironmentName("rules[12].ttl") == "NEARCACHED_RULES_12_TTL");
}

}  // namespace
}  // namespace nearcached::config
