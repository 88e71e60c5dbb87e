// libFuzzer target for the configuration: any bytes are either a Config that is consistent, shows
// and reloads as itself, or a bounded list of problems that each have something to say.
//
// The input is the file; a line "#env NAME=value" in it also becomes an environment variable and
// "#arg path=value" a command-line override, so that one corpus reaches all three sources.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/loader.h"
#include "config/reload.h"
#include "config/render.h"

namespace {

using nearcached::config::Environment;
using nearcached::config::LoadOptions;
using nearcached::config::LoadResult;
using nearcached::config::ProblemList;

void Require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

void ReadOtherSources(std::string_view text, Environment& environment, LoadOptions& options) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    const bool is_variable = TakePrefix(line, "#env ");
    if (!is_variable && !TakePrefix(line, "#arg ")) {
      continue;
    }
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
      continue;
    }
    const std::string name(line.substr(0, equals));
    const std::string value(line.substr(equals + 1));
    if (!is_variable) {
      options.overrides.push_back({name, value, "--option"});
    } else if (!name.ends_with("_FILE")) {  // a fuzzer has no business with files
      environment.variables[name] = value;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  Environment environment;
  LoadOptions options;
  ReadOtherSources(text, environment, options);
  const LoadResult result = nearcached::config::LoadText(text, "fuzz.yaml", environment, options);
  Require(result.problems.size() <= ProblemList::kMax + 1);
  for (const auto& problem : result.problems) {
    Require(!problem.message.empty() && !problem.file.empty());
    Require(problem.ToString().size() < 10'000);
  }
  if (!result.ok()) {
    return 0;
  }
  const std::string shown = nearcached::config::RenderConfig(result.config);
  Require(!shown.empty());
  const auto same = nearcached::config::CompareForReload(result.config, result.config);
  Require(!same.changes_anything() && same.refused.empty() && same.effective == result.config);
  const auto back = nearcached::config::CompareForReload({}, result.config);
  Require(back.changes_anything() || back.effective == nearcached::config::Config());
  return 0;
}
