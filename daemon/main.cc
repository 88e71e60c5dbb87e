// Reads the command line and does what it says. Everything else is app's.
#include <cstdio>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "config/listen_address.h"
#include "config/loader.h"
#include "config/render.h"
#include "daemon/app.h"
#include "daemon/base/log.h"
#include "daemon/command_line.h"
#include "daemon/command_settings.h"
#include "daemon/metrics.h"
#include "daemon/tls_settings.h"
#include "daemon/wait.h"

namespace nearcached {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;  // the command line or the settings are wrong; nothing was started

void Print(std::FILE* to, std::string_view text) {
  (void)std::fwrite(text.data(), 1, text.size(), to);
}

config::LoadResult Load(const CommandLine& line) {
  const auto environment = config::Environment::FromProcess(environ);
  const config::LoadOptions options{line.overrides};
  return line.config_path.empty() ? config::LoadDefaults(environment, options)
                                  : config::LoadFile(line.config_path, environment, options);
}

// For whoever is going to use the settings, or wants to know whether that would work: with what
// the config room cannot see.
config::LoadResult LoadAndCheck(const CommandLine& line) {
  config::LoadResult loaded = Load(line);
  if (loaded.ok()) {
    CheckTlsFiles(loaded);
    CheckRenames(loaded);
  }
  return loaded;
}

// The first listener that can be asked in plain text; a TLS one only tells that it is there.
const std::string& AddressToAsk(const config::Config& config) {
  for (const config::ListenerConfig& listener : config.listeners) {
    if (!listener.tls.enabled()) {
      return listener.address;
    }
  }
  return config.listeners.front().address;
}

int Wait(const CommandLine& line, const config::Config& config) {
  const auto address = config::ParseListenAddress(line.wait_address.empty() ? AddressToAsk(config)
                                                                            : line.wait_address);
  if (!address.ok()) {
    Print(stderr, "nearcached: --address: " + address.error + "\n");
    return kExitUsage;
  }
  const std::string why = WaitForSidecar(*address.value, line.wait_timeout);
  if (!why.empty()) {
    Print(stderr, "nearcached: no answer: " + why + "\n");
    return kExitFailure;
  }
  return 0;
}

int Run(const CommandLine& line, const config::Config& config) {
  LogLevel level = LogLevel::kInfo;
  (void)ParseLogLevel(config.log.level, level);
  SetLogLevel(level);
  App app(config, [line] { return LoadAndCheck(line); });
  const auto result = app.Run();
  if (!result.ok()) {
    Print(stderr, "nearcached: " + result.error().message + "\n");
    return kExitFailure;
  }
  return result.value();
}

int Main(const std::vector<std::string>& args) {
  const auto parsed = ParseCommandLine(args);
  if (!parsed.ok()) {
    Print(stderr, "nearcached: " + parsed.error().message + "\n");
    return kExitUsage;
  }
  const CommandLine& line = parsed.value();
  switch (line.action) {
    case CommandLine::Action::kVersion:
      Print(stdout, "nearcached " NEARCACHED_VERSION "\n");
      return 0;
    case CommandLine::Action::kHelp:
      Print(stdout, UsageText());
      return 0;
    case CommandLine::Action::kPrintReference:
      Print(stdout, config::RenderReference());
      return 0;
    case CommandLine::Action::kPrintMetricsReference:
      Print(stdout, MetricReference());
      return 0;
    case CommandLine::Action::kRun:
    case CommandLine::Action::kCheckConfig:
    case CommandLine::Action::kPrintConfig:
    case CommandLine::Action::kWait:
      break;
  }
  const config::LoadResult loaded =
      line.action == CommandLine::Action::kWait ? Load(line) : LoadAndCheck(line);
  for (const auto& warning : loaded.warnings) {
    Print(stderr, "warning: " + warning.ToString() + "\n");
  }
  if (!loaded.ok()) {
    for (const auto& problem : loaded.problems) {
      Print(stderr, problem.ToString() + "\n");
    }
    return kExitUsage;
  }
  if (line.action == CommandLine::Action::kPrintConfig) {
    Print(stdout, config::RenderConfig(loaded.config));
    return 0;
  }
  if (line.action == CommandLine::Action::kCheckConfig) {
    Print(stdout, "the configuration is valid\n");
    return 0;
  }
  return line.action == CommandLine::Action::kWait ? Wait(line, loaded.config)
                                                   : Run(line, loaded.config);
}

}  // namespace
}  // namespace nearcached

// An exception that gets here is out of memory: the process ends, as it should.
int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape)
  return nearcached::Main(std::vector<std::string>(argv + 1, argv + argc));
}
