#include "daemon/cache/cohorts.h"

#include <limits>
#include <utility>

#include "daemon/base/check.h"

namespace nearcached {

CohortTable::CohortTable() {
  cohorts_.emplace_back();
}

std::optional<CohortId> CohortTable::Join(const FillOwner& owner) {
  if (owner.link >= links_.size()) {
    links_.resize(owner.link + std::size_t{1});
  }
  Link& link = links_[owner.link];
  if (owner.epoch < link.epoch_min) {
    return std::nullopt;
  }
  if (owner.epoch > link.epoch_min) {
    Kill(link.cohort);
    link.cohort = 0;
    link.epoch_min = owner.epoch;
  }
  if (link.cohort != 0) {
    return link.cohort;
  }
  if (!free_ids_.empty()) {
    link.cohort = free_ids_.back();
    free_ids_.pop_back();
  } else if (cohorts_.size() <= std::numeric_limits<CohortId>::max()) {
    link.cohort = static_cast<CohortId>(cohorts_.size());
    cohorts_.emplace_back();
  } else {
    return std::nullopt;
  }
  cohorts_[link.cohort].alive = true;
  return link.cohort;
}

void CohortTable::Drop(const FillOwner& owner) {
  Kill(Detach(owner));
}

void CohortTable::Shelve(const FillOwner& owner, MonoTime now) {
  const CohortId id = Detach(owner);
  if (id != 0) {
    Unshelve(owner.link);
    cohorts_[id].alive = false;
    cohorts_[id].shelved_at = now;
    links_[owner.link].shelved = id;
    ++shelved_;
  }
}

void CohortTable::Unshelve(std::uint16_t link) {
  if (link >= links_.size() || links_[link].shelved == 0) {
    return;
  }
  const CohortId id = std::exchange(links_[link].shelved, 0);
  cohorts_[id].shelved_at.reset();
  Kill(id);
  --shelved_;
}

// Ends this epoch of the link and all earlier ones. The cohort that was its, or 0.
CohortId CohortTable::Detach(const FillOwner& owner) {
  if (owner.link >= links_.size()) {
    links_.resize(owner.link + std::size_t{1});
  }
  Link& link = links_[owner.link];
  if (owner.epoch < link.epoch_min) {
    return 0;
  }
  link.epoch_min = std::uint64_t{owner.epoch} + 1;
  return std::exchange(link.cohort, 0);
}

void CohortTable::ClearShelf() {
  for (std::size_t link = 0; link < links_.size() && shelved_ != 0; ++link) {
    Unshelve(static_cast<std::uint16_t>(link));
  }
}

void CohortTable::DropAll() {
  ClearShelf();
  for (Link& link : links_) {
    Kill(link.cohort);
    link.cohort = 0;
  }
}

void CohortTable::Kill(CohortId id) {
  if (id == 0) {
    return;
  }
  cohorts_[id].alive = false;
  dropped_entries_ += cohorts_[id].entries;
  if (cohorts_[id].entries == 0) {
    free_ids_.push_back(id);
  }
}

void CohortTable::RemoveEntry(CohortId id) {
  Cohort& cohort = cohorts_[id];
  NC_CHECK(cohort.entries > 0);
  --cohort.entries;
  if (dropped(id)) {
    --dropped_entries_;
    if (cohort.entries == 0) {
      free_ids_.push_back(id);
    }
  }
}

std::uint64_t CohortTable::bytes() const {
  return cohorts_.capacity() * sizeof(Cohort) + free_ids_.capacity() * sizeof(CohortId) +
         links_.capacity() * sizeof(Link);
}

}  // namespace nearcached
