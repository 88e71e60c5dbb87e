// The event loop of one worker: libuv underneath, the Scheduler seam on top.
//
// A turn is a batch of work between two looks at the outside: either "what poll reported, then the
// turn-end hooks" or "the timers that were due, then the hooks". Time stands still within a turn.
// Owned by app, one per worker thread. Loop thread only, except Post and the atomics in LoopStats.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include <uv.h>

#include "daemon/base/counter.h"
#include "daemon/base/scheduler.h"
#include "daemon/net/timer_queue.h"
#include "daemon/net/uv_handle.h"

namespace nearcached {

// How the loop fares. Written by the loop thread, read by anyone.
struct LoopStats {
  Counter turns;
  Histogram turn_busy;  // from waking up to going back to sleep: what one client can delay another
  Histogram timer_lag;  // how long after its due time the first timer of a batch ran
  Gauge heartbeat_ns;   // steady clock at the end of the last turn; beats at least once a second
};

// What the streams of this loop moved.
struct StreamStats {
  Counter reads;  // read system calls
  Counter bytes_read;
  Counter writes;  // write system calls
  Counter bytes_written;
  Counter short_writes;  // the kernel's buffer was full: the peer reads slower than we write
  Counter broken;        // streams that ended with an error instead of an orderly end
};

class UvLoop final : public Scheduler {
 public:
  // Ends the process when the system grants no loop (out of descriptors or memory at startup).
  UvLoop();
  UvLoop(const UvLoop&) = delete;
  UvLoop& operator=(const UvLoop&) = delete;
  // Runs the loop dry. A lookup that is already in the thread pool is waited for.
  // REQUIRES: every timer, hook, stream, listener and handle on this loop has been destroyed.
  ~UvLoop();

  // Scheduler. Now() reads the clock at its first use in a turn and is constant until the turn
  // ends; while Run is not running, each call reads the clock. Timers are never early by Now() and
  // late by at most a millisecond plus the current turn; after a stall of the process, what has
  // come in on the sockets meanwhile is seen before them.
  [[nodiscard]] MonoTime Now() const override;
  [[nodiscard]] std::unique_ptr<Timer> After(Duration delay, std::function<void()> task) override;
  [[nodiscard]] std::unique_ptr<Timer> AtTurnEnd(std::function<void()> hook) override;

  // Runs turns until Stop, or until nothing is left that could ever happen (no streams, listeners
  // or timers). May be called again afterwards.
  void Run();

  // Makes Run return at the end of the current turn.
  void Stop();

  // Runs `task` on the loop thread in a coming turn. Any thread; the loop must outlive the call.
  // Does not keep Run going by itself. Tasks not yet run when the loop dies are dropped.
  void Post(std::function<void()> task);

  // For wrappers of libuv handles: the loop itself, and what each of their trampolines calls first,
  // so that a turn's busy time starts with its first callback.
  [[nodiscard]] uv_loop_t* raw() { return &loop_; }
  void BeginTurn() const;

  // Scratch memory shared by all streams of this loop, for one read at a time. Bytes in it are gone
  // when the callback that got them returns.
  [[nodiscard]] std::span<char> read_buffer() { return {read_buffer_.get(), kReadBufferBytes}; }

  [[nodiscard]] LoopStats& stats() { return stats_; }
  [[nodiscard]] StreamStats& stream_stats() { return stream_stats_; }

  // Large values move in steps of this; performance.md measured 64 KiB well ahead of 16 KiB.
  static constexpr std::size_t kReadBufferBytes = std::size_t{256} << 10U;

 private:
  class TurnHook;

  static void OnTimer(uv_timer_t* handle) noexcept;
  static void OnHeartbeat(uv_timer_t* handle) noexcept;
  static void OnPrepare(uv_prepare_t* handle) noexcept;
  static void OnCheck(uv_check_t* handle) noexcept;
  static void OnAsync(uv_async_t* handle) noexcept;

  void OpenHandles();
  void ArmTimer();
  void RunHooks();
  void EndTurn();
  void RunPosted();

  uv_loop_t loop_{};
  std::unique_ptr<char[]> read_buffer_;
  UvHandle<uv_timer_t> timer_;
  UvHandle<uv_timer_t> heartbeat_;
  UvHandle<uv_prepare_t> prepare_;
  UvHandle<uv_check_t> check_;
  UvHandle<uv_async_t> async_;

  mutable MonoTime now_{};           // valid while is_in_turn_
  mutable bool is_in_turn_ = false;  // set by the first look at the clock
  bool is_running_ = false;          // inside Run

  TimerQueue timers_;
  std::optional<MonoTime> armed_for_;  // the due time that timer_ is set to
  bool is_after_stall_ = false;        // timers are overdue and wait for one look at the sockets
  std::vector<TurnHook*> hooks_;       // borrowed; null: destroyed while the hooks were running
  bool is_running_hooks_ = false;

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by posted_mutex_

  LoopStats stats_;
  StreamStats stream_stats_;
};

}  // namespace nearcached
