// Virtual time under the Scheduler seam.
//
// Two kinds of events share one clock. Product events (timers, socket readiness) run inside turns,
// as on a real event loop: one or several ready events, then the turn-end hooks. World events
// (bytes reaching a server, a client's next command, a fault) run between turns, because the world
// does not wait for the product's loop. A turn costs virtual time, so while the product is busy
// the world goes on and the next turn finds several events ready.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "daemon/base/rng.h"
#include "daemon/base/scheduler.h"

namespace nearcached::sim {

class SimScheduler final : public Scheduler {
 public:
  // The clock starts at a second, so that "zero" never looks like a valid time.
  explicit SimScheduler(Rng& rng) : rng_(rng), now_(std::chrono::seconds(1)) {}
  SimScheduler(const SimScheduler&) = delete;
  SimScheduler& operator=(const SimScheduler&) = delete;
  ~SimScheduler() = default;

  [[nodiscard]] MonoTime Now() const override { return now_; }
  [[nodiscard]] std::unique_ptr<Timer> After(Duration delay, std::function<void()> task) override;
  [[nodiscard]] std::unique_ptr<Timer> AtTurnEnd(std::function<void()> hook) override;

  // A world event: runs between turns, `delay` from now. Must not call the product.
  void Post(Duration delay, std::function<void()> event);

  // A product event that is not a timer: runs inside a turn that begins at `at` or later.
  void PostToProduct(MonoTime at, std::function<void()> event);

  // Runs the next world event or one turn. False when nothing is left to happen.
  bool Step();

  // The longest virtual time that one turn may take; drawn per turn, short ones far likelier.
  void SetTurnCostMax(Duration max) { turn_cost_max_ = max; }
  [[nodiscard]] Duration turn_cost_max() const { return turn_cost_max_; }

  // Timers and hooks that the product holds now (I7).
  [[nodiscard]] std::size_t timers() const { return timers_; }
  [[nodiscard]] std::size_t hooks() const;
  [[nodiscard]] std::uint64_t turns() const { return turns_; }

 private:
  using Key = std::pair<MonoTime, std::uint64_t>;  // ties are broken by the order of asking
  struct Event {
    std::function<void()> run;
    bool is_timer = false;
  };
  struct Hook {
    std::uint64_t id = 0;
    std::function<void()> run;  // empty: cancelled
  };
  class SimTimer;
  class SimHook;

  void RunTurn(MonoTime at);
  void RunHooks();
  void Cancel(const Key& key);
  void CancelHook(std::uint64_t id);

  Rng& rng_;
  MonoTime now_;
  MonoTime busy_until_{};
  Duration turn_cost_max_ = std::chrono::microseconds(200);
  std::uint64_t next_seq_ = 0;
  std::uint64_t turns_ = 0;
  std::size_t timers_ = 0;
  std::map<Key, Event> product_;
  std::map<Key, std::function<void()>> world_;
  std::vector<Hook> hooks_;
};

}  // namespace nearcached::sim
