// nearcached_sim: runs the product in simulated worlds and reports the first broken invariant of
// each world that has one. See ARCHITECTURE.md, "Simulation".
//
//   nearcached_sim --seeds 1000                 every profile in turn, from seed 1
//   nearcached_sim --profile faults --seed 42 --trace      one world, every event printed
//   nearcached_sim --every-byte --seeds 2       profile cuts: a session is cut at each of its bytes
//   nearcached_sim --selftest                   the checker against a proxy with planted bugs
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "daemon/base/log.h"
#include "tests/sim/checker_selftest.h"
#include "tests/sim/product.h"
#include "tests/sim/profile.h"
#include "tests/sim/world.h"

namespace nearcached::sim {

namespace {

constexpr const char* kRegressions = "tests/sim/regressions.txt";  // seen from the repository root
constexpr std::uint64_t kTwiceEvery = 50;  // every so many worlds one is run again and compared

struct Flags {
  std::uint64_t seeds = 100;
  std::uint64_t start = 1;
  std::optional<std::uint64_t> seed;
  const Profile* profile = nullptr;
  bool trace = false;
  bool selftest = false;
  bool verbose = false;
  bool keep_going = false;
  bool every_byte = false;
  std::optional<Cut> cut;   // of a single world
  std::string regressions;  // empty: kRegressions where it exists
};

struct Totals {
  std::uint64_t passed = 0;
  std::uint64_t failed = 0;
  std::uint64_t replies = 0;
  std::uint64_t errors = 0;
  std::uint64_t hits = 0;
  std::uint64_t stale = 0;
  std::uint64_t misses = 0;
  std::uint64_t fills = 0;
  std::uint64_t coalesced = 0;
  std::uint64_t server_commands = 0;
  std::uint64_t turns = 0;
  std::map<std::string, std::uint64_t> by_invariant;
};

// Names the world for the report when the product ends the process.
std::uint64_t running_seed = 0;
const char* running_profile = "";
std::string running_cut;

void OnAbort(int /*signal*/) {
  // The process is lost and nothing else runs: the rules for signal handlers may be bent.
  std::printf("FAIL seed %llu profile %s: the process was aborted (see the line above)\n",
              static_cast<unsigned long long>(running_seed), running_profile);
  for (const std::string& line : LastEventsOfRunningWorld()) {
    std::printf("    %s\n", line.c_str());
  }
  std::printf("  replay: nearcached_sim --profile %s --seed %llu --trace%s\n", running_profile,
              static_cast<unsigned long long>(running_seed), running_cut.c_str());
  std::fflush(stdout);
  std::_Exit(134);
}

bool Number(std::string_view text, std::uint64_t& out) {
  const auto [ptr, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  return ec == std::errc() && ptr == text.data() + text.size();
}

// "sent:120:reset": which bytes are counted, how many of them, and whether it is "reset" or
// "close".
std::string TextOf(const Cut& cut) {
  return std::string(cut.received ? "received:" : "sent:") + std::to_string(cut.bytes) +
         (cut.reset ? ":reset" : ":close");
}

bool ParseCut(std::string_view text, Cut& cut) {
  const std::size_t first = text.find(':');
  const std::size_t last = text.rfind(':');
  if (first == last || !Number(text.substr(first + 1, last - first - 1), cut.bytes)) {
    return false;
  }
  cut.received = text.substr(0, first) == "received";
  cut.reset = text.substr(last + 1) == "reset";
  return TextOf(cut) == text;
}

// False: something is wrong with the arguments.
bool ParseValue(std::string_view flag, std::string_view value, Flags& flags) {
  if (flag == "--seeds") {
    return Number(value, flags.seeds);
  }
  if (flag == "--start") {
    return Number(value, flags.start);
  }
  if (flag == "--seed") {
    return Number(value, flags.seed.emplace());
  }
  if (flag == "--profile") {
    flags.profile = FindProfile(value);
    return flags.profile != nullptr;
  }
  if (flag == "--cut") {
    return ParseCut(value, flags.cut.emplace());
  }
  if (flag == "--regressions") {
    flags.regressions = value;
    return true;
  }
  return false;
}

bool ParseFlags(int argc, char** argv, Flags& flags) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--trace") {
      flags.trace = true;
    } else if (flag == "--selftest") {
      flags.selftest = true;
    } else if (flag == "--verbose") {
      flags.verbose = true;
    } else if (flag == "--keep-going") {
      flags.keep_going = true;
    } else if (flag == "--every-byte") {
      flags.every_byte = true;
      flags.profile = FindProfile("cuts");
    } else if (i + 1 < argc && ParseValue(flag, argv[i + 1], flags)) {
      ++i;
    } else {
      return false;
    }
  }
  return true;
}

void PrintFailure(const Failure& failure, std::uint64_t seed, const Profile& profile,
                  const std::vector<std::string>& last_events, const std::string& further) {
  std::printf("FAIL seed %llu profile %s invariant %s: %s\n", static_cast<unsigned long long>(seed),
              std::string(profile.name).c_str(), failure.invariant.c_str(),
              failure.message.c_str());
  for (const std::string& line : last_events) {
    std::printf("    %s\n", line.c_str());
  }
  std::printf("  replay: nearcached_sim --profile %s --seed %llu --trace%s\n",
              std::string(profile.name).c_str(), static_cast<unsigned long long>(seed),
              further.c_str());
}

class Runner {
 public:
  Runner(const Flags& flags, ProductFactory factory)
      : flags_(flags), factory_(std::move(factory)) {}

  RunResult RunOne(std::uint64_t seed, const Profile& profile, bool twice,
                   const std::optional<Cut>& cut = std::nullopt) {
    running_seed = seed;
    running_profile = profile.name.data();
    running_cut = cut ? " --cut " + TextOf(*cut) : std::string();
    RunResult result = RunWorld({seed, &profile, flags_.trace, cut}, factory_);
    if (twice && !result.failure) {
      const RunResult again = RunWorld({seed, &profile, false, cut}, factory_);
      if (again.trace_hash != result.trace_hash) {
        result.failure = Failure{"determinism", "two runs of one seed went different ways"};
      }
    }
    Count(result);
    if (result.failure) {
      ++totals_.failed;
      ++totals_.by_invariant[result.failure->invariant];
      PrintFailure(*result.failure, seed, profile, result.last_events, running_cut);
    } else {
      ++totals_.passed;
    }
    return result;
  }

  // The same world again and again, its first client's connection cut after each byte that it
  // sends and after each that it is sent, by a reset and by a close.
  void RunEveryByte() {
    for (std::uint64_t seed = flags_.start; seed < flags_.start + flags_.seeds; ++seed) {
      constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();
      const RunResult whole = RunOne(seed, *flags_.profile, false, Cut{.bytes = kNever});
      for (const bool received : {false, true}) {
        const std::uint64_t end = received ? whole.first_received : whole.first_sent;
        for (std::uint64_t bytes = received ? 1 : 0; bytes <= end; ++bytes) {
          for (const bool reset : {false, true}) {
            (void)RunOne(seed, *flags_.profile, false, Cut{bytes, received, reset});
            if (TooMany()) {
              return;
            }
          }
        }
      }
      std::printf("sim: seed %llu, every byte of %llu sent and %llu received\n",
                  static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(whole.first_sent),
                  static_cast<unsigned long long>(whole.first_received));
    }
  }

  // Each line: profile, seed, and whatever explains it.
  bool RunRegressions() {
    std::ifstream file(flags_.regressions);
    if (!file) {
      std::fprintf(stderr, "cannot read %s\n", flags_.regressions.c_str());
      return false;
    }
    std::string line;
    while (std::getline(file, line)) {
      std::istringstream words(line);
      std::string name;
      std::uint64_t seed = 0;
      if (line.empty() || line[0] == '#') {
        continue;
      }
      if (!(words >> name >> seed) || FindProfile(name) == nullptr) {
        std::fprintf(stderr, "%s: bad line: %s\n", flags_.regressions.c_str(), line.c_str());
        return false;
      }
      RunOne(seed, *FindProfile(name), false);
    }
    return true;
  }

  void RunSeeds() {
    const auto& profiles = Profiles();
    for (std::uint64_t i = 0; i < flags_.seeds; ++i) {
      const std::uint64_t seed = flags_.start + i;
      const Profile& profile =
          flags_.profile != nullptr ? *flags_.profile : profiles[seed % profiles.size()];
      RunOne(seed, profile, i % kTwiceEvery == 0);
      if (TooMany()) {
        return;
      }
    }
  }

  int Report(double seconds) const {
    const auto n = [](std::uint64_t v) { return static_cast<unsigned long long>(v); };
    for (const auto& [invariant, count] : totals_.by_invariant) {
      std::printf("sim: %s failed %llu times\n", invariant.c_str(), n(count));
    }
    std::printf(
        "sim: %llu replies (%llu errors), %llu hits, %llu stale, %llu misses, %llu fills, "
        "%llu coalesced, %llu server commands, %llu turns, %.1f s\n",
        n(totals_.replies), n(totals_.errors), n(totals_.hits), n(totals_.stale), n(totals_.misses),
        n(totals_.fills), n(totals_.coalesced), n(totals_.server_commands), n(totals_.turns),
        seconds);
    std::printf("sim: %llu seeds passed, %llu failed\n", n(totals_.passed), n(totals_.failed));
    return totals_.failed == 0 && totals_.passed > 0 ? 0 : 1;
  }

 private:
  [[nodiscard]] bool TooMany() const {
    static constexpr std::uint64_t kFailuresMax = 5;
    if (totals_.failed < kFailuresMax || flags_.keep_going) {
      return false;
    }
    std::printf("sim: too many failures, stopping\n");
    return true;
  }

  void Count(const RunResult& result) {
    totals_.replies += result.replies;
    totals_.errors += result.errors;
    totals_.hits += result.figures.hits;
    totals_.stale += result.figures.stale;
    totals_.misses += result.figures.misses;
    totals_.fills += result.figures.fills;
    totals_.coalesced += result.figures.coalesced;
    totals_.server_commands += result.server_commands;
    totals_.turns += result.turns;
  }

  const Flags& flags_;
  ProductFactory factory_;
  Totals totals_;
};

int Main(int argc, char** argv) {
  Flags flags;
  if (!ParseFlags(argc, argv, flags)) {
    std::fprintf(
        stderr,
        "usage: nearcached_sim [--seeds N] [--start S] [--profile NAME] [--keep-going]\n"
        "                      [--seed N [--trace] [--cut sent:N:reset]] [--regressions FILE]\n"
        "       nearcached_sim --every-byte [--seeds N] [--start S]\n"
        "       nearcached_sim --selftest [--verbose]\n");
    return 2;
  }
  SetLogLevel(LogLevel::kError);
  if (std::signal(SIGABRT, OnAbort) == SIG_ERR) {
    return 2;
  }
  if (flags.selftest) {
    return RunSelftest(flags.verbose) ? 0 : 1;
  }
  const auto begin = std::chrono::steady_clock::now();
  Runner runner(flags, MakeProductFactory());
  if (flags.regressions.empty() && !flags.seed && std::ifstream(kRegressions)) {
    flags.regressions = kRegressions;
  }
  if (!flags.regressions.empty() && !runner.RunRegressions()) {
    return 2;
  }
  if (flags.seed) {
    (void)runner.RunOne(*flags.seed, flags.profile != nullptr ? *flags.profile : Profiles().front(),
                        false, flags.cut);
  } else if (flags.every_byte) {
    runner.RunEveryByte();
  } else {
    runner.RunSeeds();
  }
  return runner.Report(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
}

}  // namespace
}  // namespace nearcached::sim

int main(int argc, char** argv) {
  return nearcached::sim::Main(argc, argv);
}
