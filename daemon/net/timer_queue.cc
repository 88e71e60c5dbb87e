#include "daemon/net/timer_queue.h"

#include <tuple>
#include <utility>

#include "daemon/base/check.h"

namespace nearcached {

class TimerQueue::Entry final : public Timer {
 public:
  Entry(TimerQueue& queue, MonoTime due, std::function<void()> task)
      : queue_(queue), due_(due), sequence_(queue.next_sequence_++), task_(std::move(task)) {
    queue_.waiting_.insert(this);
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  ~Entry() override {
    if (is_waiting_) {
      queue_.waiting_.erase(this);
    }
  }

  // Leaves the queue and hands over the task: running it may destroy this entry.
  std::function<void()> TakeTask() {
    queue_.waiting_.erase(this);
    is_waiting_ = false;
    return std::move(task_);
  }

  [[nodiscard]] MonoTime due() const { return due_; }
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }

 private:
  TimerQueue& queue_;
  const MonoTime due_;
  const std::uint64_t sequence_;
  bool is_waiting_ = true;
  std::function<void()> task_;
};

bool TimerQueue::Earlier::operator()(const Entry* a, const Entry* b) const {
  return std::tuple(a->due(), a->sequence()) < std::tuple(b->due(), b->sequence());
}

TimerQueue::~TimerQueue() {
  NC_CHECK(waiting_.empty());
}

std::unique_ptr<Timer> TimerQueue::Add(MonoTime due, std::function<void()> task) {
  return std::make_unique<Entry>(*this, due, std::move(task));
}

std::optional<MonoTime> TimerQueue::next_due() const {
  if (waiting_.empty()) {
    return std::nullopt;
  }
  return (*waiting_.begin())->due();
}

void TimerQueue::RunDue(MonoTime now) {
  const std::uint64_t first_added_meanwhile = next_sequence_;
  auto it = waiting_.begin();
  while (it != waiting_.end() && (*it)->due() <= now) {
    if ((*it)->sequence() >= first_added_meanwhile) {
      ++it;
      continue;
    }
    const std::function<void()> task = (*it)->TakeTask();
    task();
    it = waiting_.begin();  // the task may have changed anything
  }
}

}  // namespace nearcached
