#include "tests/support/fake_scheduler.h"

#include <algorithm>

namespace nearcached {

class FakeScheduler::Pending final : public Timer {
 public:
  Pending(FakeScheduler& scheduler, Key key) : scheduler_(scheduler), key_(key) {}
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending() override { scheduler_.timers_.erase(key_); }

 private:
  FakeScheduler& scheduler_;
  Key key_;
};

class FakeScheduler::Hook final : public Timer {
 public:
  Hook(FakeScheduler& scheduler, std::uint64_t id) : scheduler_(scheduler), id_(id) {}
  Hook(const Hook&) = delete;
  Hook& operator=(const Hook&) = delete;
  ~Hook() override { scheduler_.hooks_.erase(id_); }

 private:
  FakeScheduler& scheduler_;
  std::uint64_t id_;
};

std::unique_ptr<Timer> FakeScheduler::After(Duration delay, std::function<void()> task) {
  const Key key{now_ + std::max(delay, Duration::zero()), next_++};
  timers_.emplace(key, std::move(task));
  return std::make_unique<Pending>(*this, key);
}

std::unique_ptr<Timer> FakeScheduler::AtTurnEnd(std::function<void()> hook) {
  const std::uint64_t id = next_++;
  hooks_.emplace(id, std::move(hook));
  return std::make_unique<Hook>(*this, id);
}

void FakeScheduler::Advance(Duration by) {
  const MonoTime until = now_ + by;
  while (!timers_.empty() && timers_.begin()->first.first <= until) {
    // Taken out first: the task may destroy its own timer, or ask for another.
    auto due = timers_.extract(timers_.begin());
    now_ = std::max(now_, due.key().first);
    due.mapped()();
    EndTurn();
  }
  now_ = until;
  EndTurn();
}

void FakeScheduler::EndTurn() {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, hook] : hooks_) {
    ids.push_back(id);
  }
  for (const std::uint64_t id : ids) {
    const auto it = hooks_.find(id);
    if (it != hooks_.end()) {
      const std::function<void()> run = it->second;  // a copy: it may cancel itself
      run();
    }
  }
}

}  // namespace nearcached
