#include "tests/sim/model_store.h"

#include <algorithm>

namespace nearcached::sim {
Value* Store::Find(const KeyId& id) {
  const auto it = live_.find(id);
  if (it == live_.end()) {
    return nullptr;
  }
  if (it->second.expire_at && *it->second.expire_at <= env_.scheduler.Now()) {
    Expire(id);
    return nullptr;
  }
  return &it->second;
}

void Store::Put(const KeyId& id, Value value) {
  if (value.type == Value::Type::kNone) {
    live_.erase(id);
  } else {
    live_[id] = std::move(value);
  }
  Record(id);
}

void Store::Changed(const KeyId& id) {
  Record(id);
}

std::size_t Store::Flush(int db) {
  const std::vector<KeyId> keys = LiveKeys(db);
  for (const KeyId& id : keys) {
    Put(id, {});
  }
  return keys.size();
}

void Store::Swap(int a, int b) {
  std::map<KeyId, Value> after;
  for (const int from : {a, b}) {
    for (const KeyId& id : LiveKeys(from)) {
      after.try_emplace(id);  // absent, unless the other database has a key of this name
    }
  }
  for (const int from : {a, b}) {
    for (const KeyId& id : LiveKeys(from)) {
      after[KeyId{from == a ? b : a, id.name}] = live_.at(id);
    }
  }
  for (auto& [id, value] : after) {
    Put(id, std::move(value));
  }
}

void Store::RollBack(const std::function<bool(const KeyId&)>& concerns, MonoTime to) {
  ++op_;
  for (const KeyId& id : KnownKeys()) {
    const std::vector<Version>& versions = history_.at(id);
    if (!concerns(id) || versions.back().at <= to) {
      continue;
    }
    const auto after =
        std::partition_point(versions.begin(), versions.end(),
                             [to](const Version& version) { return version.at <= to; });
    Value value = after == versions.begin() ? Value{} : std::prev(after)->value;
    const bool dead = value.expire_at && *value.expire_at <= env_.scheduler.Now();
    Put(id, dead ? Value{} : std::move(value));
  }
}

std::vector<KeyId> Store::KnownKeys() const {
  std::vector<KeyId> keys;
  for (const auto& [id, versions] : history_) {
    keys.push_back(id);
  }
  return keys;
}

std::vector<KeyId> Store::LiveKeys(int db) const {
  std::vector<KeyId> keys;
  for (auto it = live_.lower_bound(KeyId{db, ""}); it != live_.end() && it->first.db == db; ++it) {
    keys.push_back(it->first);
  }
  return keys;
}

const std::vector<Version>& Store::History(const KeyId& id) const {
  static const std::vector<Version> kEmpty;
  const auto it = history_.find(id);
  return it == history_.end() ? kEmpty : it->second;
}

const Version* Store::Before(const KeyId& id, std::uint64_t op) const {
  const std::vector<Version>& versions = History(id);
  const auto it = std::partition_point(versions.begin(), versions.end(),
                                       [op](const Version& version) { return version.op < op; });
  return it == versions.begin() ? nullptr : &*std::prev(it);
}

void Store::Record(const KeyId& id) {
  const auto it = live_.find(id);
  Version version{op_, env_.scheduler.Now(), it == live_.end() ? Value{} : it->second};
  std::vector<Version>& versions = history_[id];
  if (!versions.empty() && versions.back().op == op_) {
    versions.back() = version;  // two changes by one command: nobody can see the first
  } else {
    versions.push_back(version);
  }
  if (version.value.expire_at) {
    const Duration lag = env_.Between(Duration::zero(), expiry_lag_max_);
    ScheduleExpiry(id, *version.value.expire_at,
                   *version.value.expire_at - env_.scheduler.Now() + lag);
  }
}

void Store::ScheduleExpiry(const KeyId& id, MonoTime expire_at, Duration delay) {
  env_.scheduler.Post(delay, [this, id, expire_at] {
    const auto it = live_.find(id);
    if (it == live_.end() || it->second.expire_at != expire_at) {
      return;
    }
    if (frozen_) {
      ScheduleExpiry(id, expire_at, std::chrono::milliseconds(10));
    } else {
      Expire(id);
    }
  });
}

void Store::Expire(const KeyId& id) {
  ++op_;
  env_.Note("redis", "expired " + std::to_string(id.db) + ":" + id.name);
  Put(id, {});
  deleted_(id);
}

}  // namespace nearcached::sim
