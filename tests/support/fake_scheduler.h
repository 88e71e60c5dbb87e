// Time that stands still until a test moves it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "daemon/base/scheduler.h"

namespace nearcached {

class FakeScheduler final : public Scheduler {
 public:
  FakeScheduler() = default;
  FakeScheduler(const FakeScheduler&) = delete;
  FakeScheduler& operator=(const FakeScheduler&) = delete;
  ~FakeScheduler() = default;

  [[nodiscard]] MonoTime Now() const override { return now_; }
  [[nodiscard]] std::unique_ptr<Timer> After(Duration delay, std::function<void()> task) override;
  [[nodiscard]] std::unique_ptr<Timer> AtTurnEnd(std::function<void()> hook) override;

  // Moves time on. Timers run in order, each at its own time and in a turn of its own; a turn ends
  // at the new time even if none was due.
  void Advance(Duration by);
  // Ends the turn: runs the hooks in the order they were added.
  void EndTurn();

  // What the code under test still holds; a fixture checks that it is nothing in the end.
  [[nodiscard]] std::size_t timers() const { return timers_.size(); }
  [[nodiscard]] std::size_t hooks() const { return hooks_.size(); }

 private:
  using Key = std::pair<MonoTime, std::uint64_t>;  // equal times run in the order of asking
  class Pending;
  class Hook;

  std::map<Key, std::function<void()>> timers_;
  std::map<std::uint64_t, std::function<void()>> hooks_;
  MonoTime now_{std::chrono::seconds(1000)};
  std::uint64_t next_ = 0;
};

}  // namespace nearcached
