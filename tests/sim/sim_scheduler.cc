#include "tests/sim/sim_scheduler.h"

#include <algorithm>

namespace nearcached::sim {

class SimScheduler::SimTimer final : public Timer {
 public:
  SimTimer(SimScheduler& scheduler, Key key) : scheduler_(scheduler), key_(key) {}
  SimTimer(const SimTimer&) = delete;
  SimTimer& operator=(const SimTimer&) = delete;
  ~SimTimer() override { scheduler_.Cancel(key_); }

 private:
  SimScheduler& scheduler_;
  Key key_;
};

class SimScheduler::SimHook final : public Timer {
 public:
  SimHook(SimScheduler& scheduler, std::uint64_t id) : scheduler_(scheduler), id_(id) {}
  SimHook(const SimHook&) = delete;
  SimHook& operator=(const SimHook&) = delete;
  ~SimHook() override { scheduler_.CancelHook(id_); }

 private:
  SimScheduler& scheduler_;
  std::uint64_t id_;
};

std::unique_ptr<Timer> SimScheduler::After(Duration delay, std::function<void()> task) {
  const Key key{now_ + std::max(delay, Duration::zero()), next_seq_++};
  product_.emplace(key, Event{std::move(task), true});
  ++timers_;
  return std::make_unique<SimTimer>(*this, key);
}

std::unique_ptr<Timer> SimScheduler::AtTurnEnd(std::function<void()> hook) {
  const std::uint64_t id = next_seq_++;
  hooks_.push_back(Hook{id, std::move(hook)});
  return std::make_unique<SimHook>(*this, id);
}

void SimScheduler::Post(Duration delay, std::function<void()> event) {
  world_.emplace(Key{now_ + std::max(delay, Duration::zero()), next_seq_++}, std::move(event));
}

void SimScheduler::PostToProduct(MonoTime at, std::function<void()> event) {
  product_.emplace(Key{std::max(at, now_), next_seq_++}, Event{std::move(event), false});
}

bool SimScheduler::Step() {
  if (product_.empty() && world_.empty()) {
    return false;
  }
  const MonoTime turn_at =
      product_.empty() ? MonoTime::max() : std::max(product_.begin()->first.first, busy_until_);
  if (!world_.empty() && world_.begin()->first.first <= turn_at) {
    auto node = world_.extract(world_.begin());
    now_ = std::max(now_, node.key().first);
    node.mapped()();
  } else {
    RunTurn(turn_at);
  }
  return true;
}

std::size_t SimScheduler::hooks() const {
  return static_cast<std::size_t>(std::count_if(
      hooks_.begin(), hooks_.end(), [](const Hook& hook) { return hook.run != nullptr; }));
}

void SimScheduler::RunTurn(MonoTime at) {
  now_ = std::max(now_, at);
  ++turns_;
  // What this turn's own events ask for belongs to a later turn: a real loop polls before it runs.
  const std::uint64_t boundary = next_seq_;
  std::uint64_t budget = rng_.Below(4) == 0 ? 64 : 1 + rng_.Below(4);
  while (budget-- > 0 && !product_.empty()) {
    const auto first = product_.begin();
    if (first->first.first > now_ || first->first.second >= boundary) {
      break;
    }
    auto node = product_.extract(first);
    if (node.mapped().is_timer) {
      --timers_;
    }
    node.mapped().run();
  }
  RunHooks();
  Duration cost = std::chrono::microseconds(1 + rng_.Below(20));
  if (rng_.Below(64) == 0) {
    cost += Duration(static_cast<std::int64_t>(
        rng_.Below(static_cast<std::uint64_t>(turn_cost_max_.count()) + 1)));
  }
  busy_until_ = now_ + cost;
}

void SimScheduler::RunHooks() {
  // By index and by copy: a hook may add hooks (they wait for the next turn) and cancel any,
  // itself included.
  const std::size_t count = hooks_.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (hooks_[i].run) {
      const std::function<void()> run = hooks_[i].run;
      run();
    }
  }
  std::erase_if(hooks_, [](const Hook& hook) { return hook.run == nullptr; });
}

void SimScheduler::Cancel(const Key& key) {
  const auto it = product_.find(key);
  if (it != product_.end()) {
    // The task may own the object whose destructor brought us here: erase it as the last thing.
    auto node = product_.extract(it);
    --timers_;
  }
}

void SimScheduler::CancelHook(std::uint64_t id) {
  for (Hook& hook : hooks_) {
    if (hook.id == id) {
      hook.run = nullptr;
    }
  }
}

}  // namespace nearcached::sim
