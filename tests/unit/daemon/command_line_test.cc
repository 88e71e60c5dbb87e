#include "daemon/command_line.h"

#include <chrono>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using namespace std::chrono_literals;
using Action = CommandLine::Action;

CommandLine Parse(const std::vector<std::string>& args) {
  auto line = ParseCommandLine(args);
  REQUIRE(line.ok());
  return line.value();
}

std::string Failure(const std::vector<std::string>& args) {
  const auto line = ParseCommandLine(args);
  REQUIRE_FALSE(line.ok());
  CHECK(line.error().code == Code::kInvalid);
  return line.error().message;
}

TEST_CASE("without arguments the sidecar runs on its defaults") {
  const CommandLine line = Parse({});
  CHECK(line.action == Action::kRun);
  CHECK(line.config_path.empty());
  CHECK(line.overrides.empty());
}

TEST_CASE("every option that is an action of its own") {
  CHECK(Parse({"--check-config"}).action == Action::kCheckConfig);
  CHECK(Parse({"--version"}).action == Action::kVersion);
  CHECK(Parse({"--help"}).action == Action::kHelp);
  CHECK(Parse({"-h"}).action == Action::kHelp);
  CHECK(Parse({"--print-config"}).action == Action::kPrintConfig);
  CHECK(Parse({"--print-config-reference"}).action == Action::kPrintReference);
  CHECK(Parse({"--print-metrics-reference"}).action == Action::kPrintMetricsReference);
}

TEST_CASE("every option that stands for a setting, with = and without, in the order given") {
  const CommandLine line =
      Parse({"--listen", "127.0.0.1:1", "--listen=unix:/run/x.sock", "--upstream",
             "redis://a:b@h:1/2", "--metrics=127.0.0.1:3", "--l1-bytes", "1gb"});
  REQUIRE(line.overrides.size() == 5);
  const std::vector<std::vector<std::string>> expected = {
      {"listeners", "127.0.0.1:1", "--listen"},
      {"listeners", "unix:/run/x.sock", "--listen"},
      {"upstream.url", "redis://a:b@h:1/2", "--upstream"},
      {"metrics.address", "127.0.0.1:3", "--metrics"},
      {"l1.bytes", "1gb", "--l1-bytes"}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(line.overrides[i].path == expected[i][0]);
    CHECK(line.overrides[i].value == expected[i][1]);
    CHECK(line.overrides[i].origin == expected[i][2]);
  }
}

TEST_CASE("a value may hold = and may be empty") {
  CHECK(Parse({"--upstream=redis://h?a=b"}).overrides.at(0).value == "redis://h?a=b");
  CHECK(Parse({"--metrics="}).overrides.at(0).value.empty());
  CHECK(Parse({"--metrics", ""}).overrides.at(0).value.empty());
}

TEST_CASE("the settings come from the last file named") {
  CHECK(Parse({"--config", "a.yaml"}).config_path == "a.yaml");
  CHECK(Parse({"--config=a.yaml", "--config=b.yaml"}).config_path == "b.yaml");
}

TEST_CASE("checking the settings takes them into account") {
  const CommandLine line = Parse({"--config", "a.yaml", "--check-config", "--l1-bytes=1mb"});
  CHECK(line.action == Action::kCheckConfig);
  CHECK(line.config_path == "a.yaml");
  CHECK(line.overrides.size() == 1);
}

TEST_CASE("wait is a word at the beginning, with options of its own and those of settings") {
  const CommandLine plain = Parse({"wait"});
  CHECK(plain.action == Action::kWait);
  CHECK(plain.wait_timeout == 30s);
  CHECK(plain.wait_address.empty());
  const CommandLine line =
      Parse({"wait", "--timeout", "250ms", "--address=127.0.0.1:9", "--config", "a.yaml"});
  CHECK(line.action == Action::kWait);
  CHECK(line.wait_timeout == 250ms);
  CHECK(line.wait_address == "127.0.0.1:9");
  CHECK(line.config_path == "a.yaml");
}

TEST_CASE("what is not understood is named, with where to look") {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"--lisen", "x"},
                                             {"run"},
                                             {"-x"},
                                             {"--config", "a.yaml", "wait"},
                                             {""},
                                             {"--timeout", "5s"},
                                             {"--address", "x"},
                                             {"--version=2"}}) {
    CAPTURE(args.back());
    const std::string failure = Failure(args);
    CHECK(failure.starts_with("unknown option "));
    CHECK(failure.find("nearcached --help") != std::string::npos);
  }
  CHECK(Failure({"--lisen", "x"}).starts_with("unknown option --lisen;"));
  CHECK(Failure({"--lisen=secret"}).find("secret") == std::string::npos);
}

TEST_CASE("an option whose value is missing says so") {
  for (const char* option : {"--config", "--listen", "--upstream", "--metrics", "--l1-bytes"}) {
    CAPTURE(option);
    CHECK(Failure({option}).starts_with(std::string(option) + " needs a value"));
  }
  CHECK(Failure({"wait", "--timeout"}).starts_with("--timeout needs a value"));
}

TEST_CASE("a timeout has to be a duration") {
  for (const char* wrong : {"soon", "", "-1s", "5"}) {
    CAPTURE(wrong);
    CHECK(Failure({"wait", "--timeout", wrong}).starts_with("--timeout: "));
  }
}

TEST_CASE("the help names every option there is") {
  const std::string_view usage = UsageText();
  for (const char* option :
       {"--config", "--listen", "--upstream", "--metrics", "--l1-bytes", "--check-config",
        "--print-config-reference", "--print-metrics-reference", "--version", "--help", "--timeout",
        "--address", "wait"}) {
    CAPTURE(option);
    CHECK(usage.find(option) != std::string_view::npos);
  }
}

}  // namespace
}  // namespace nearcached
