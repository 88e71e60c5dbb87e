// The timers of one loop, ordered by when they are due and, among equals, by when they were added.
//
// Owned by UvLoop, which drives it from a single libuv timer. Pure: it is told the time, so its
// order can be tested without a loop. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "daemon/base/scheduler.h"
#include "daemon/base/time.h"

namespace nearcached {

class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;
  // REQUIRES: every timer still waiting has been destroyed by its owner.
  ~TimerQueue();

  // The returned timer must not outlive the queue while it is still waiting.
  [[nodiscard]] std::unique_ptr<Timer> Add(MonoTime due, std::function<void()> task);

  // When the first waiting timer is due; nothing when none waits.
  [[nodiscard]] std::optional<MonoTime> next_due() const;

  // Calls every task that is due at `now`, in order. A task may add and destroy any timers; those
  // added during the call wait for the next one, so a task that re-arms itself with zero delay
  // cannot keep the loop here.
  void RunDue(MonoTime now);

 private:
  class Entry;
  struct Earlier {
    bool operator()(const Entry* a, const Entry* b) const;
  };

  std::set<Entry*, Earlier> waiting_;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace nearcached
