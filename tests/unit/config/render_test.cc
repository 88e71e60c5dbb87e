#include "config/render.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "tests/unit/config/config_cases.h"

namespace nearcached::config {
namespace {

// A file of the config folder, found beside this source file.
std::string ReadConfigFile(const std::string& name) {
  const auto root = std::filesystem::path(__FILE__).parent_path() / "../../..";
  std::ifstream in(root / "config" / name, std::ios::binary);
  REQUIRE(in.is_open());
  return {std::istreambuf_iterator<char>(in), {}};
}

// Removes the "#" of lines such as "  #ttl: 10m", which are settings and no prose.
std::string WithExamples(const std::string& file) {
  std::istringstream in(file);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const std::size_t mark = line.find_first_not_of(' ');
    if (mark != std::string::npos && line[mark] == '#' && mark + 1 < line.size() &&
        line[mark + 1] != ' ') {
      line.erase(mark, 1);
    }
    out += line + "\n";
  }
  return out;
}

TEST_CASE("REFERENCE.md is what the schema prints") {
  const bool same = ReadConfigFile("REFERENCE.md") == RenderReference();
  CHECK_MESSAGE(same, "stale: nearcached --print-config-reference > config/REFERENCE.md");
}

TEST_CASE("the example file gives exactly the defaults") {
  const LoadResult result = Load(ReadConfigFile("nearcached.yaml"));
  CHECK(AllProblems(result) == "");
  CHECK(result.config == Config());
}

TEST_CASE("the example file names every key, and what is commented out is right as well") {
  const std::string file = WithExamples(ReadConfigFile("nearcached.yaml"));
  const LoadResult result = Load(file);
  CHECK(AllProblems(result) == "");
  CHECK(result.config.listeners.size() == 2);
  CHECK(result.config.rules.size() == 3);
  for (const Row& row : Rows()) {
    const std::string name(row.path.substr(row.path.rfind('.') + 1));
    CAPTURE(row.path);
    CHECK(file.find(name + ":") != std::string::npos);
  }
}

TEST_CASE("the listing names every key with a value, and says what was set") {
  const LoadResult result = Load("l1: {ttl: 7s}\nrules: [{prefix: \"a:\", ttl: 9s}]\n");
  const auto list = ListConfig(result.config);
  const auto value = [&](std::string_view path) {
    const auto at = std::ranges::find(list, path, [](const auto& entry) { return entry.first; });
    return at == list.end() ? std::string("nothing") : at->second;
  };
  CHECK(value("l1.ttl") == "7s");
  CHECK(value("rules[0].ttl") == "9s");
  CHECK(value("rules[0].negative_ttl") == "nothing");
  CHECK(value("listeners[0].address") == "127.0.0.1:6380");
  CHECK(value("tracking.mode") == "auto");
  for (const Row& row : Rows()) {
    if (row.list().empty() && row.type != Type::kElements) {
      CAPTURE(row.path);
      CHECK(value(row.path) != "nothing");
    }
  }
}

TEST_CASE("no secret is ever shown") {
  for (const Row& row : Rows()) {
    if (!row.secret() || row.type == Type::kUrl) {
      continue;
    }
    CAPTURE(row.path);
    Config config = ExampleConfig();
    REQUIRE(SetValue(row, 0, "hidden", config).empty());
    CHECK(RenderConfig(config).find("hidden") == std::string::npos);
    CHECK(RenderConfig(config).find(WithIndex(row.path, 0) + ": \"******\"") != std::string::npos);
  }
  const LoadResult result = Load("upstream: {url: \"redis://u:hidden@h\"}\n");
  CHECK(RenderConfig(result.config).find("hidden") == std::string::npos);
  Config unresolved;
  unresolved.upstream.url = "redis://u:hidden@h";
  CHECK(RenderConfig(unresolved).find("hidden") == std::string::npos);
}

TEST_CASE("a text cannot add a line to the listing") {
  Config config;
  config.upstream.username = "a\nlog.level: debug";
  const std::string shown = RenderConfig(config);
  CHECK(shown.find("\nlog.level: debug") == std::string::npos);
  CHECK(shown.find("\nlog.level: info\n") != std::string::npos);
}

}  // namespace
}  // namespace nearcached::config
