#include "daemon/command_line.h"

#include <array>
#include <optional>
#include <utility>

#include "config/units.h"

namespace nearcached {
namespace {

struct Shortcut {
  std::string_view option;
  std::string_view path;
};
constexpr std::array<Shortcut, 4> kShortcuts = {{{"--listen", "listeners"},
                                                 {"--upstream", "upstream.url"},
                                                 {"--metrics", "metrics.address"},
                                                 {"--l1-bytes", "l1.bytes"}}};

struct Flag {
  std::string_view option;
  CommandLine::Action action;
};
constexpr std::array<Flag, 7> kFlags = {
    {{"--check-config", CommandLine::Action::kCheckConfig},
     {"--print-config", CommandLine::Action::kPrintConfig},
     {"--version", CommandLine::Action::kVersion},
     {"--help", CommandLine::Action::kHelp},
     {"-h", CommandLine::Action::kHelp},
     {"--print-config-reference", CommandLine::Action::kPrintReference},
     {"--print-metrics-reference", CommandLine::Action::kPrintMetricsReference}}};

constexpr std::string_view kUsage =
    R"(usage: nearcached [options]            run the sidecar
       nearcached wait [options]       wait until a sidecar answers

  --config FILE          settings in YAML; config/nearcached.yaml is a complete example
  --listen ADDR          where applications connect: 127.0.0.1:6380 (the default), [::1]:6380 or
                         unix:/path; may be given several times
  --upstream URL         redis://[user:password@]host:port[/db] or unix:///path
  --metrics ADDR         where Prometheus scrapes and probes ask: 127.0.0.1:9380 (the default)
  --l1-bytes SIZE        memory of the cache: 64mb (the default), 1gb, ...
  --check-config         say what is wrong with the settings, or that nothing is, and end
  --print-config         every setting in effect, wherever it came from; secrets hidden
  --print-config-reference   every setting, as Markdown
  --print-metrics-reference  every metric, as Markdown
  --version              print the version
  --help                 print this

  wait --timeout 30s     how long to wait
  wait --address ADDR    whom to ask; the first listener of the settings if not given

Every setting can also come from the environment: l1.ttl is NEARCACHED_L1_TTL, and a secret can be
read from a file named by NEARCACHED_UPSTREAM_PASSWORD_FILE. Command line beats environment beats
file.
)";

// Walks the arguments, splitting --option=value.
class Arguments {
 public:
  explicit Arguments(const std::vector<std::string>& args) : args_(args) {}

  bool Next() {
    inline_value_.reset();
    if (at_ == args_.size()) {
      return false;
    }
    option_ = args_[at_++];
    const std::size_t equals = option_.find('=');
    if (option_.starts_with("--") && equals != std::string::npos) {
      inline_value_ = option_.substr(equals + 1);
      option_.erase(equals);
    }
    return true;
  }

  [[nodiscard]] const std::string& option() const { return option_; }
  [[nodiscard]] bool has_inline_value() const { return inline_value_.has_value(); }

  Result<std::string> Value() {
    if (inline_value_) {
      return *inline_value_;
    }
    if (at_ == args_.size()) {
      return Error{Code::kInvalid, option_ + " needs a value; nearcached --help shows which"};
    }
    return args_[at_++];
  }

 private:
  const std::vector<std::string>& args_;
  std::size_t at_ = 0;
  std::string option_;
  std::optional<std::string> inline_value_;
};

std::optional<Error> TakeTimeout(const std::string& value, CommandLine& line) {
  const auto duration = config::ParseDuration(value);
  if (!duration.ok()) {
    return Error{Code::kInvalid, "--timeout: " + duration.error};
  }
  line.wait_timeout = *duration.value;
  return std::nullopt;
}

std::optional<Error> TakeOption(Arguments& args, CommandLine& line) {
  for (const Flag& flag : kFlags) {
    if (args.option() == flag.option && !args.has_inline_value()) {
      line.action = flag.action;
      return std::nullopt;
    }
  }
  std::string_view path;
  for (const Shortcut& shortcut : kShortcuts) {
    if (args.option() == shortcut.option) {
      path = shortcut.path;
    }
  }
  const std::string option = args.option();
  const bool wait_option =
      line.action == CommandLine::Action::kWait && (option == "--timeout" || option == "--address");
  if (path.empty() && option != "--config" && !wait_option) {
    return Error{Code::kInvalid,
                 "unknown option " + option + "; nearcached --help lists what there is"};
  }
  auto value = args.Value();
  if (!value.ok()) {
    return value.error();
  }
  if (option == "--config") {
    line.config_path = value.value();
  } else if (option == "--timeout") {
    return TakeTimeout(value.value(), line);
  } else if (option == "--address") {
    line.wait_address = value.value();
  } else {
    line.overrides.push_back({std::string(path), value.value(), option});
  }
  return std::nullopt;
}

}  // namespace

std::string_view UsageText() {
  return kUsage;
}

Result<CommandLine> ParseCommandLine(const std::vector<std::string>& args) {
  CommandLine line;
  Arguments arguments(args);
  bool first = true;
  while (arguments.Next()) {
    if (std::exchange(first, false) && arguments.option() == "wait") {
      line.action = CommandLine::Action::kWait;
      continue;
    }
    if (auto error = TakeOption(arguments, line)) {
      return *error;
    }
  }
  return line;
}

}  // namespace nearcached
