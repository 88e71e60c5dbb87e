// What the tests of this room share: loading texts, and a value for each row that is not its
// default, so that tests can go through all rows without naming any.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "config/loader.h"
#include "config/schema.h"
#include "config/units.h"
#include "config/value.h"

namespace nearcached::config {

inline LoadResult Load(std::string_view text, const Environment& environment = {}) {
  return LoadText(text, "test.yaml", environment);
}

inline std::string AllProblems(const LoadResult& result) {
  std::string out;
  for (const Problem& problem : result.problems) {
    out += problem.ToString() + "\n";
  }
  return out;
}

// `text` has exactly one problem, which begins with `where` ("test.yaml:2: l1.ttl: ") and holds
// all of `words`.
inline void CheckOneProblem(const LoadResult& result, std::string_view where,
                            std::initializer_list<std::string_view> words) {
  const std::string all = AllProblems(result);
  CAPTURE(all);
  REQUIRE(result.problems.size() == 1);
  CHECK_FALSE(result.ok());
  const std::string shown = result.problems.front().ToString();
  CHECK(shown.substr(0, where.size()) == where);
  for (const std::string_view word : words) {
    CAPTURE(word);
    CHECK(shown.find(word) != std::string::npos);
  }
}

// A value in the row's range that differs from the default where the range has two, and that goes
// with the defaults of all other rows (but for usernames, which need a password).
inline std::string OtherValue(const Row& row) {
  const Config defaults = ExampleConfig();
  const std::string now = FormatValue(row, 0, defaults);
  switch (row.type) {
    case Type::kBool:
      return now == "true" ? "false" : "true";
    case Type::kCount: {
      const auto& access = std::get<Access<std::uint32_t>>(row.field);
      const std::uint32_t value = access.read(defaults, 0);
      return std::to_string(value < row.range.max ? value + 1 : value);
    }
    case Type::kFraction:
      return "0.05";
    case Type::kDuration:
      return now.empty() ? "4s" : FormatDuration(*ParseDuration(now).value + Duration{1});
    case Type::kBytes:
      return now.empty() ? "3kb" : FormatBytes(*ParseBytes(now).value + 1);
    case Type::kAddress:
      return "127.0.0.1:7777";
    case Type::kUrl:
      return "redis://db.example:7001";
    case Type::kHosts:
      return "[\"db.example:7001\"]";
    case Type::kCommands:
      return "[\"flushall\", \"config|set\"]";
    case Type::kCached:
      return "[\"hgetall\", \"zrange\"]";
    case Type::kRenames:
      return "[\"flushall=x-flush\", \"wipe=unlink\"]";
    case Type::kChannels:
      return "[\"cache:changes\", \"news.*\"]";
    case Type::kPattern:
      return "[\"a*\", \"*b\"]";
    case Type::kPrefix:
      return "user:";
    case Type::kChoice:
      return std::string(row.choices.back() == now ? row.choices.front() : row.choices.back());
    case Type::kMode:
      return "0600";
    case Type::kText:
      return "some text";
    case Type::kElements:
      break;
  }
  return {};
}

// No value but the default is right without other keys: validate_test.cc and tls_config_test.cc
// have the combinations.
inline bool NeedsCompany(const Row& row) {
  return row.path == "upstream.topology" ||
         (row.path.find(".tls.") != std::string_view::npos && row.path != "upstream.tls.enabled");
}

inline bool NeedsPassword(const Row& row) {
  return row.path.ends_with("username");
}

// A file that sets `row` to `value` and is right otherwise.
inline std::string FileWith(const Row& row, const std::string& value) {
  const bool list_of_texts = IsTextList(row.type);
  const std::string shown = list_of_texts ? value : "\"" + value + "\"";
  const std::string name(row.path.substr(row.path.rfind('.') + 1));
  if (row.list().empty()) {
    const std::size_t dot = row.path.find('.');
    if (dot == std::string_view::npos) {
      return name + ": " + shown + "\n";
    }
    // A section inside a section is written in one line, so that every key is in line 2.
    const std::string section = std::string(row.path.substr(0, dot)) + ":\n  ";
    const std::string password = NeedsPassword(row) ? "password: secret" : "";
    const std::string_view inner = row.path.substr(dot + 1);
    const std::size_t second = inner.find('.');
    if (second != std::string_view::npos) {
      return section + std::string(inner.substr(0, second)) + ": {" + name + ": " + shown +
             (password.empty() ? "" : ", " + password) + "}\n";
    }
    return section + name + ": " + shown + "\n" + (password.empty() ? "" : "  " + password + "\n");
  }
  const bool nested = row.path.find('.', row.list().size() + 3) != std::string_view::npos;
  std::string file = std::string(row.list()) + ":\n  - " +
                     (nested ? "tls: {" + name + ": " + shown + "}" : name + ": " + shown) + "\n";
  if (row.list() == "rules" && name != "prefix") {
    file += "    prefix: \"p:\"\n";
  }
  if (row.list() == "listeners" && name != "address") {
    file += "    address: \"127.0.0.1:6380\"\n";
  }
  return file + (NeedsPassword(row) ? "    password: secret\n" : "");
}

}  // namespace nearcached::config
