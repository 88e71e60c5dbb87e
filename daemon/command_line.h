// The command line: what to do, and which settings it changes. Pure; main.cc acts on it.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "config/overrides.h"
#include "daemon/base/result.h"

namespace nearcached {

struct CommandLine {
  enum class Action : std::uint8_t {
    kRun,
    kCheckConfig,  // load, say what is wrong or that nothing is, end
    kPrintConfig,  // load, print every setting in effect, end
    kWait,         // wait until a running nearcached answers, end
    kVersion,
    kHelp,
    kPrintReference,         // print config/REFERENCE.md
    kPrintMetricsReference,  // print METRICS.md
  };
  Action action = Action::kRun;
  std::string config_path;                         // empty: no file
  std::vector<config::Override> overrides;         // --listen, --upstream, --metrics, --l1-bytes
  std::chrono::milliseconds wait_timeout{30'000};  // kWait
  std::string wait_address;                        // kWait; empty: the first listener configured
};

// `args` without the program's name. The error names the option and what would be right.
[[nodiscard]] Result<CommandLine> ParseCommandLine(const std::vector<std::string>& args);

[[nodiscard]] std::string_view UsageText();

}  // namespace nearcached
