// libuv runs an iteration as: timers, prepare, poll (sleeps, then I/O callbacks), check, close
// callbacks. We want one flush of all writes after each batch of callbacks and none left over when
// the loop sleeps. So the turn-end hooks run twice per iteration: in check, after the I/O, and in
// prepare, after the timers and before the sleep. What a hook finds to do is recorded by the
// callbacks themselves, so the run with nothing to do costs a call per hook.
//
// Time: libuv's own clock is in milliseconds, from the coarse clock, and truncated. A timer armed
// as "its now plus delay" could fire up to a millisecond early by a finer clock, and code that
// checks its deadline in the callback would re-arm forever. So due times are kept in nanoseconds of
// the precise clock, the single libuv timer is armed for the due time rounded up to the next
// absolute millisecond, and Now() is read afresh after libuv has decided to call us: the coarse
// clock never leads the precise one, hence by Now() no timer is early.
//
// libuv looks at its timers before it looks at the sockets. After a stall (a process that was
// stopped, a machine without a CPU to give) that would declare everything dead that waits for a
// reply, although the replies lie there. So timers that come much too late wait until the sockets
// have been looked at once.
//
// One libuv timer drives all of ours (timer_queue.h): arming and cancelling a request deadline is
// then an insert and an erase in a set, without a handle, a close callback or an allocation that
// outlives the owner. The libuv timer is brought in line with the queue once a turn.
#include "daemon/net/uv_loop.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "daemon/base/check.h"

namespace nearcached {
namespace {

constexpr std::uint64_t kHeartbeatMs = 1000;
// This late, a timer tells of a stall of ours rather than of its own time.
constexpr Duration kStall = std::chrono::milliseconds(20);
constexpr Duration kLongestDelay = std::chrono::hours(24 * 365);  // keeps sums far from overflow

MonoTime ReadClock() {
  return MonoTime(Duration(static_cast<std::int64_t>(uv_hrtime())));
}

// Start-up only: without a loop there is no process (style: no degraded start).
void MustSucceed(int rc, const char* what) {
  if (rc < 0) {
    (void)std::fprintf(stderr, "event loop: %s: %s\n", what, uv_strerror(rc));
    std::abort();
  }
}

// Names the handle somebody still owns before the check in ~UvLoop ends the process.
void ReportOpenHandle(uv_handle_t* handle, void* found) noexcept {
  if (uv_is_closing(handle) == 0) {
    (void)std::fprintf(stderr, "event loop destroyed before its %s handle\n",
                       uv_handle_type_name(handle->type));
    *static_cast<bool*>(found) = true;
  }
}

}  // namespace

class UvLoop::TurnHook final : public Timer {
 public:
  TurnHook(UvLoop& loop, std::function<void()> hook) : loop_(loop), hook_(std::move(hook)) {
    loop_.hooks_.push_back(this);
  }
  TurnHook(const TurnHook&) = delete;
  TurnHook& operator=(const TurnHook&) = delete;
  ~TurnHook() override {
    auto it = std::find(loop_.hooks_.begin(), loop_.hooks_.end(), this);
    if (loop_.is_running_hooks_) {
      *it = nullptr;  // RunHooks walks by index: positions must hold still
    } else {
      loop_.hooks_.erase(it);
    }
  }

  std::function<void()> TakeHook() { return std::move(hook_); }
  void PutHook(std::function<void()> hook) { hook_ = std::move(hook); }

 private:
  UvLoop& loop_;
  std::function<void()> hook_;
};

UvLoop::UvLoop() : read_buffer_(new char[kReadBufferBytes]) {
  MustSucceed(uv_loop_init(&loop_), "cannot start");
  OpenHandles();
  stats_.heartbeat_ns.Set(ReadClock().time_since_epoch().count());
}

void UvLoop::OpenHandles() {
  uv_loop_t* loop = &loop_;
  MustSucceed(timer_.Open(this, [loop](uv_timer_t* h) { return uv_timer_init(loop, h); }), "timer");
  MustSucceed(heartbeat_.Open(this, [loop](uv_timer_t* h) { return uv_timer_init(loop, h); }),
              "timer");
  MustSucceed(prepare_.Open(this, [loop](uv_prepare_t* h) { return uv_prepare_init(loop, h); }),
              "prepare");
  MustSucceed(check_.Open(this, [loop](uv_check_t* h) { return uv_check_init(loop, h); }), "check");
  MustSucceed(async_.Open(this, [loop](uv_async_t* h) { return uv_async_init(loop, h, &OnAsync); }),
              "async");
  MustSucceed(uv_timer_start(heartbeat_.get(), &OnHeartbeat, kHeartbeatMs, kHeartbeatMs), "timer");
  MustSucceed(uv_prepare_start(prepare_.get(), &OnPrepare), "prepare");
  MustSucceed(uv_check_start(check_.get(), &OnCheck), "check");
  // Our own machinery is no reason to keep running.
  for (uv_handle_t* handle : {heartbeat_.base(), prepare_.base(), check_.base(), async_.base()}) {
    uv_unref(handle);
  }
}

UvLoop::~UvLoop() {
  NC_CHECK(hooks_.empty());
  NC_CHECK(!timers_.next_due().has_value());
  timer_.Close();
  heartbeat_.Close();
  prepare_.Close();
  check_.Close();
  async_.Close();
  bool is_handle_open = false;
  uv_walk(&loop_, &ReportOpenHandle, &is_handle_open);
  NC_CHECK(!is_handle_open);
  // Close callbacks, and lookups still in the thread pool. A Stop() that no Run() came after makes
  // the first call return at once.
  while (uv_run(&loop_, UV_RUN_DEFAULT) != 0) {
  }
  NC_CHECK(uv_loop_close(&loop_) == 0);
}

void UvLoop::BeginTurn() const {
  if (!is_in_turn_) {
    is_in_turn_ = is_running_;
    now_ = ReadClock();
  }
}

MonoTime UvLoop::Now() const {
  BeginTurn();
  return now_;
}

std::unique_ptr<Timer> UvLoop::After(Duration delay, std::function<void()> task) {
  return timers_.Add(Now() + std::clamp(delay, Duration::zero(), kLongestDelay), std::move(task));
}

// Makes the libuv timer agree with the queue, wherever libuv is about to look: before it sleeps and
// before it asks whether anything is alive.
void UvLoop::ArmTimer() {
  const auto due = timers_.next_due();
  if (due == armed_for_) {
    return;
  }
  armed_for_ = due;
  if (!due.has_value()) {
    uv_timer_stop(timer_.get());
    return;
  }
  const auto loop_ms = static_cast<std::int64_t>(uv_now(&loop_));
  const std::int64_t due_ms =
      std::chrono::ceil<std::chrono::milliseconds>(due->time_since_epoch()).count();
  const auto wait_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(due_ms - loop_ms, 0));
  NC_CHECK(uv_timer_start(timer_.get(), &OnTimer, wait_ms, 0) == 0);
}

void UvLoop::OnTimer(uv_timer_t* handle) noexcept {
  auto* self = static_cast<UvLoop*>(handle->data);
  if (self == nullptr) {
    return;
  }
  self->armed_for_.reset();  // OnPrepare follows and arms it again
  const MonoTime now = self->Now();
  const auto due = self->timers_.next_due();
  if (due.has_value() && now - *due > kStall && !std::exchange(self->is_after_stall_, true)) {
    self->armed_for_ = due;
    // Not 0: libuv would call us again before it polls.
    NC_CHECK(uv_timer_start(handle, &OnTimer, 1, 0) == 0);
    return;
  }
  self->is_after_stall_ = false;
  if (due.has_value() && *due <= now) {
    self->stats_.timer_lag.Observe(now - *due);
    self->timers_.RunDue(now);
  }
}

// Wakes an idle loop so that its heartbeat proves it could still wake; EndTurn stores the beat.
void UvLoop::OnHeartbeat(uv_timer_t* handle) noexcept {
  if (auto* self = static_cast<UvLoop*>(handle->data); self != nullptr) {
    self->BeginTurn();
  }
}

std::unique_ptr<Timer> UvLoop::AtTurnEnd(std::function<void()> hook) {
  return std::make_unique<TurnHook>(*this, std::move(hook));
}

// A hook may add hooks (they run from the next turn's end on) and destroy any hook, itself too.
void UvLoop::RunHooks() {
  is_running_hooks_ = true;
  const std::size_t count = hooks_.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (hooks_[i] == nullptr) {
      continue;
    }
    std::function<void()> hook = hooks_[i]->TakeHook();
    hook();
    if (hooks_[i] != nullptr) {
      hooks_[i]->PutHook(std::move(hook));
    }
  }
  is_running_hooks_ = false;
  std::erase(hooks_, nullptr);
}

void UvLoop::EndTurn() {
  const MonoTime end = ReadClock();
  stats_.turns.Add();
  stats_.turn_busy.Observe(end - now_);
  stats_.heartbeat_ns.Set(end.time_since_epoch().count());
  is_in_turn_ = false;
}

void UvLoop::OnCheck(uv_check_t* handle) noexcept {
  if (auto* self = static_cast<UvLoop*>(handle->data); self != nullptr) {
    self->BeginTurn();
    self->RunHooks();
    self->ArmTimer();
    self->EndTurn();
  }
}

void UvLoop::OnPrepare(uv_prepare_t* handle) noexcept {
  auto* self = static_cast<UvLoop*>(handle->data);
  if (self == nullptr) {
    return;
  }
  const bool did_timers_run = self->is_in_turn_;
  self->RunHooks();
  self->ArmTimer();
  if (did_timers_run) {
    self->EndTurn();
  }
  // A hook may have looked at the clock; without timers that was no turn worth counting.
  self->is_in_turn_ = false;
}

void UvLoop::Post(std::function<void()> task) {
  const std::lock_guard lock(posted_mutex_);
  posted_.push_back(std::move(task));
  // Under the lock, so that the task cannot run and end the loop before this call is done with it.
  NC_CHECK(uv_async_send(async_.get()) == 0);
}

void UvLoop::OnAsync(uv_async_t* handle) noexcept {
  if (auto* self = static_cast<UvLoop*>(handle->data); self != nullptr) {
    self->BeginTurn();
    self->RunPosted();
  }
}

void UvLoop::RunPosted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(posted_mutex_);
    tasks.swap(posted_);
  }
  for (const auto& task : tasks) {
    task();
  }
}

void UvLoop::Run() {
  is_running_ = true;
  ArmTimer();
  uv_run(&loop_, UV_RUN_DEFAULT);
  is_running_ = false;
  is_in_turn_ = false;
}

void UvLoop::Stop() {
  uv_stop(&loop_);
}

}  // namespace nearcached
