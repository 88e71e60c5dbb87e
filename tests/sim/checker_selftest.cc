#include "tests/sim/checker_selftest.h"

#include <array>
#include <cstdio>
#include <string>

#include "tests/sim/naive_proxy.h"
#include "tests/sim/world.h"

namespace nearcached::sim {
namespace {

constexpr std::uint64_t kHonestSeeds = 150;  // per profile
constexpr std::uint64_t kHuntSeeds = 300;    // per profile, until the bug is found
constexpr std::array<const char*, 4> kProfiles = {"calm", "churn", "tracking-off", "identity"};

ProductFactory Factory(PlantedBug bug) {
  return [bug](const ProductSetup& setup, Scheduler& scheduler, Dialer& dialer) {
    return MakeNaiveProxy(bug, setup, scheduler, dialer);
  };
}

// The invariants that a bug may be found by.
std::string_view ExpectedBy(PlantedBug bug) {
  switch (bug) {
    case PlantedBug::kLostWaiter:
      return "I6";
    case PlantedBug::kReordered:
      return "I1 I2 I6";  // whose reply is taken for whose decides
    case PlantedBug::kWrongNil:
    case PlantedBug::kSharesIncr:
    case PlantedBug::kSendsTwice:
    case PlantedBug::kDropsAtHalfClose:
      return "I1";
    case PlantedBug::kFetchesTwice:
      return "I2 I3";  // two answers to one question also let time run backwards
    case PlantedBug::kNeverIdle:
      return "I7";
    case PlantedBug::kSharesUsers:
      // An error that was due, a value that was not, one older than the user had seen.
      return "I1 I10 I2";
    default:
      return "I2";
  }
}

bool Honest() {
  std::uint64_t replies = 0;
  std::uint64_t hits = 0;
  for (const char* name : kProfiles) {
    for (std::uint64_t seed = 1; seed <= kHonestSeeds; ++seed) {
      const RunResult result =
          RunWorld({seed, FindProfile(name), false}, Factory(PlantedBug::kNone));
      replies += result.replies;
      hits += result.figures.hits;
      if (result.failure) {
        std::printf("selftest: FALSE ALARM: profile %s seed %llu: %s: %s\n", name,
                    static_cast<unsigned long long>(seed), result.failure->invariant.c_str(),
                    result.failure->message.c_str());
        for (const std::string& line : result.last_events) {
          std::printf("    %s\n", line.c_str());
        }
        return false;
      }
    }
  }
  std::printf("selftest: honest proxy passes %llu worlds, %llu replies, %llu hits\n",
              static_cast<unsigned long long>(kHonestSeeds) * kProfiles.size(),
              static_cast<unsigned long long>(replies), static_cast<unsigned long long>(hits));
  return hits > replies / 100;  // a cache that never hits proves nothing
}

bool Hunt(PlantedBug bug, bool verbose) {
  const std::string name(NameOf(bug));
  for (std::uint64_t seed = 1; seed <= kHuntSeeds; ++seed) {
    for (const char* profile : kProfiles) {
      const RunResult result = RunWorld({seed, FindProfile(profile), false}, Factory(bug));
      if (!result.failure) {
        continue;
      }
      const bool right = ExpectedBy(bug).find(result.failure->invariant) != std::string_view::npos;
      std::printf("selftest: %-22s found at seed %llu (%s) by %s%s\n", name.c_str(),
                  static_cast<unsigned long long>(seed), profile, result.failure->invariant.c_str(),
                  right ? "" : ", NOT the one expected");
      if (verbose || !right) {
        std::printf("    %s\n", result.failure->message.c_str());
      }
      return right;
    }
  }
  std::printf("selftest: %-22s NOT FOUND\n", name.c_str());
  return false;
}

}  // namespace

bool RunSelftest(bool verbose) {
  bool good = Honest();
  for (int i = 1; i < kPlantedBugs; ++i) {
    good = Hunt(static_cast<PlantedBug>(i), verbose) && good;
  }
  std::printf("selftest: %s\n", good ? "passed" : "FAILED");
  return good;
}

}  // namespace nearcached::sim
