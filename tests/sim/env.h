// What every part of a simulated world shares: the clock, the dice, the record, the verdict.
//
// One seed makes one world; nothing in it reads a real clock, a pointer order or an unseeded
// random source, so a seed always gives the same run.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/rng.h"
#include "tests/sim/sim_scheduler.h"

namespace nearcached::sim {

// A hash of everything that happened, and the last events in words.
class Trace {
 public:
  explicit Trace(bool print) : print_(print) {}

  // `who` and `what` are printed after the virtual time.
  void Add(MonoTime now, std::string_view who, std::string_view what);

  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }
  // Oldest first, at most kKept.
  [[nodiscard]] const std::deque<std::string>& last() const { return last_; }

 private:
  static constexpr std::size_t kKept = 60;
  bool print_;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::uint64_t events_ = 0;
  std::deque<std::string> last_;
};

// The first broken invariant of a run.
struct Failure {
  std::string invariant;  // "I1" … "I7"
  std::string message;
};

// Borrowed by every part of the world; owned by World.
class Env {
 public:
  Env(std::uint64_t seed, bool print_trace) : rng(seed), scheduler(rng), trace(print_trace) {}

  // Records a broken invariant; only the first one counts, the run stops at the next step.
  void Fail(std::string_view invariant, std::string message);
  [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }

  void Note(std::string_view who, std::string_view what) { trace.Add(scheduler.Now(), who, what); }

  // Dice. Chance(0.25) is true in one of four draws; Between is inclusive at both ends.
  bool Chance(double p) { return p > 0 && rng.Unit() < p; }
  std::uint64_t Between(std::uint64_t low, std::uint64_t high) {
    return low + rng.Below(high - low + 1);
  }
  Duration Between(Duration low, Duration high);

  Rng rng;
  SimScheduler scheduler;
  Trace trace;

 private:
  std::optional<Failure> failure_;
};

// "12.345678" seconds since the world began.
[[nodiscard]] std::string FormatTime(MonoTime t);
// Bytes for people: CR, LF and other control characters escaped, cut at 160 characters.
[[nodiscard]] std::string Printable(std::string_view bytes);

}  // namespace nearcached::sim
