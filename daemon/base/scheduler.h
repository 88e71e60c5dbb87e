// The seam to time: timers and the end of a loop turn. Owned by the worker; one per event loop.
//
// Real: net/uv_loop. Simulated: tests/sim. Loop thread only.
#pragma once

#include <functional>
#include <memory>

#include "daemon/base/time.h"

namespace nearcached {

// A pending call. Destroying it cancels the call; it is safe to destroy it inside the call itself.
class Timer {
 public:
  virtual ~Timer() = default;
};

class Scheduler {
 public:
  // The time this loop turn began. Constant within a turn, never goes back.
  [[nodiscard]] virtual MonoTime Now() const = 0;

  // Calls `task` once, at least `delay` from now, from the loop, never before returning.
  [[nodiscard]] virtual std::unique_ptr<Timer> After(Duration delay,
                                                     std::function<void()> task) = 0;

  // Calls `hook` at the end of every loop turn, after that turn's I/O callbacks and before the
  // loop sleeps. This is where writes are flushed (once per turn, performance.md 2) and where
  // closed sessions are reaped. Hooks run in the order they were added.
  [[nodiscard]] virtual std::unique_ptr<Timer> AtTurnEnd(std::function<void()> hook) = 0;

 protected:
  ~Scheduler() = default;
};

}  // namespace nearcached
