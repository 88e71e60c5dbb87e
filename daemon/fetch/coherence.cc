#include "daemon/fetch/coherence.h"

#include <algorithm>
#include <utility>

#include "daemon/base/check.h"

namespace nearcached {

void Coherence::DropKeys(const Footprint& footprint) {
  if (footprint.flushes_all) {
    Flush(FlushReason::kCommand);
    return;
  }
  for (const FootprintKey& key : footprint.keys) {
    stats_.own_entries_dropped.Add(l1_.EraseInAllDatabases(key.key, key.hash));
    flights_.Poison(key.hash, key.key);
  }
}

void Coherence::BeginWrite(const Footprint& footprint) {
  if (!footprint.write) {
    return;
  }
  stats_.own_writes.Add();
  DropKeys(footprint);
  if (footprint.flushes_all) {
    ++flush_holds_;
  }
  for (const FootprintKey& key : footprint.keys) {
    if (key.write && ++holds_[key.hash] == 1) {
      stats_.holds.Add();
    }
  }
}

void Coherence::Release(const Footprint& footprint) {
  if (!footprint.write) {
    return;
  }
  if (footprint.flushes_all) {
    NC_CHECK(flush_holds_ > 0);
    --flush_holds_;
  }
  for (const FootprintKey& key : footprint.keys) {
    if (!key.write) {
      continue;
    }
    const auto it = holds_.find(key.hash);
    NC_CHECK(it != holds_.end());
    if (--it->second == 0) {
      holds_.erase(it);
      stats_.holds.Sub();
    }
  }
}

void Coherence::Finish(std::unique_ptr<Footprint> footprint, Outcome outcome) {
  DropKeys(*footprint);
  const Duration hold = footprint->flushes_all ? hold_after_lost_flush_ : hold_after_loss_;
  if (footprint->write && outcome == Outcome::kLost && hold > Duration::zero()) {
    late_releases_.push_back({scheduler_.Now() + hold, std::move(footprint)});
    return;
  }
  Release(*footprint);
}

// Keys that somebody else says have changed, whoever says it: their entries go, and what is on its
// way may be older than the change and is for nobody but those who wait for it already (R1, R2).
std::size_t Coherence::DropNamed(std::span<const std::string_view> keys) {
  std::size_t dropped = 0;
  for (const std::string_view key : keys) {
    const std::uint64_t hash = hasher_(key);
    dropped += l1_.EraseInAllDatabases(key, hash);
    flights_.Poison(hash, key);
  }
  return dropped;
}

void Coherence::OnInvalidate(std::span<const std::string_view> keys) {
  stats_.pushes.Add();
  stats_.pushed_keys.Add(keys.size());
  stats_.entries_invalidated.Add(DropNamed(keys));
  if (!watched_.empty() && std::ranges::find(keys, watched_) != keys.end()) {
    heard_();
  }
}

void Coherence::OnEventKeys(std::span<const std::string_view> keys) {
  stats_.entries_event.Add(DropNamed(keys));
}

void Coherence::OnEventPrefix(std::string_view prefix) {
  flights_.PoisonPrefix(prefix);
  stats_.entries_event.Add(l1_.ErasePrefix(std::nullopt, prefix));
}

std::size_t Coherence::Invalidate(std::span<const std::string_view> keys) {
  const std::size_t dropped = DropNamed(keys);
  stats_.entries_admin.Add(dropped);
  return dropped;
}

void Coherence::Flush(FlushReason reason) {
  switch (reason) {
    case FlushReason::kPush:
      stats_.pushes.Add();
      stats_.flushes_push.Add();
      break;
    case FlushReason::kCommand:
      stats_.flushes_command.Add();
      break;
    case FlushReason::kTrackingLost:
      stats_.flushes_tracking.Add();
      break;
    case FlushReason::kPrimaryChanged:
      stats_.flushes_primary.Add();
      break;
    case FlushReason::kAdmin:
      stats_.flushes_admin.Add();
      break;
    case FlushReason::kEvent:
      stats_.flushes_event.Add();
      break;
  }
  l1_.Clear();
  flights_.PoisonAll();
}

void Coherence::OnFillersLost(std::span<const FillOwner> owners, bool away) {
  stats_.flushes_tracking.Add();
  if (away && stale_max_ > Duration::zero()) {
    const MonoTime now = scheduler_.Now();
    l1_.ShelveOwners(owners, now);
    shelf_until_ = now + stale_max_;
  } else {
    l1_.DropOwners(owners);
  }
  // The flights on that link are told by the link itself (OnReplyLost), and fill nothing.
}

void Coherence::OnSlotsMoved(std::span<const FillOwner> owners) {
  OnFillersLost(owners, false);
  l1_.Unshelve(owners);
  flights_.PoisonAll();
}

std::size_t Coherence::FlushPrefix(std::string_view prefix) {
  stats_.flushes_admin.Add();
  flights_.PoisonAll();
  return l1_.ErasePrefix(std::nullopt, prefix);
}

void Coherence::ReleaseAll() {
  while (!late_releases_.empty()) {
    Release(*late_releases_.front().footprint);
    late_releases_.pop_front();
  }
}

void Coherence::Tick(MonoTime now) {
  while (!late_releases_.empty() && late_releases_.front().at <= now) {
    const auto late = std::move(late_releases_.front().footprint);
    late_releases_.pop_front();
    DropKeys(*late);
    Release(*late);
  }
  if (!l1_.shelf_empty() && now >= shelf_until_) {
    l1_.ClearShelf();
  }
  l1_.Tick(now);
}

}  // namespace nearcached
