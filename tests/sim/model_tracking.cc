#include "tests/sim/model_tracking.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace nearcached::sim {

void TrackingTable::SetMode(SessionNumber session, TrackingMode mode) {
  modes_[session] = std::move(mode);
}

const TrackingMode* TrackingTable::Mode(SessionNumber session) const {
  const auto it = modes_.find(session);
  return it == modes_.end() ? nullptr : &it->second;
}

void TrackingTable::Remember(SessionNumber session, const std::string& key) {
  table_[key].insert(session);
  while (table_.size() > max_keys_) {
    const auto victim =
        std::next(table_.begin(), static_cast<std::ptrdiff_t>(rng_.Below(table_.size())));
    const auto [name, sessions] = *victim;
    table_.erase(victim);
    for (const SessionNumber number : sessions) {
      if (modes_.count(number) != 0) {
        push_(number, name);
      }
    }
  }
}

void TrackingTable::Invalidate(const std::string& key, SessionNumber writer, const Hears& hears) {
  for (const auto& [number, mode] : modes_) {
    const bool listens =
        hears(number) && mode.bcast && !(mode.noloop && number == writer) &&
        (mode.prefixes.empty() ||
         std::any_of(mode.prefixes.begin(), mode.prefixes.end(),
                     [&](const std::string& prefix) { return key.starts_with(prefix); }));
    if (listens) {
      pending_.emplace(number, key);
    }
  }
  auto node = table_.extract(key);
  if (node.empty()) {
    return;
  }
  const std::set<SessionNumber> sessions = std::exchange(node.mapped(), {});
  for (const SessionNumber number : sessions) {
    if (!hears(number)) {
      node.mapped().insert(number);
    }
  }
  if (!node.mapped().empty()) {
    table_.insert(std::move(node));
  }
  for (const SessionNumber number : sessions) {
    const TrackingMode* mode = Mode(number);
    if (hears(number) && mode != nullptr && !mode->bcast && !(mode->noloop && number == writer)) {
      push_(number, key);
    }
  }
}

std::vector<SessionNumber> TrackingTable::InvalidateAll(const Hears& hears) {
  for (auto entry = table_.begin(); entry != table_.end();) {
    std::erase_if(entry->second, hears);
    entry = entry->second.empty() ? table_.erase(entry) : std::next(entry);
  }
  std::vector<SessionNumber> sessions;
  for (const auto& [number, mode] : modes_) {
    if (hears(number)) {
      sessions.push_back(number);
    }
  }
  return sessions;
}

void TrackingTable::Broadcast() {
  for (const auto& [number, key] : std::exchange(pending_, {})) {
    if (modes_.count(number) != 0) {
      push_(number, key);
    }
  }
}

void TrackingTable::Clear() {
  table_.clear();
  pending_.clear();
  modes_.clear();
}

}  // namespace nearcached::sim
