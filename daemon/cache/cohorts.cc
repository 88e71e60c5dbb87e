#include "daemon/cache/cohorts.h"

#include <limits>

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
  if (owner.link >= links_.size()) {
    links_.resize(owner.link + std::size_t{1});
  }
  Link& link = links_[owner.link];
  if (owner.epoch < link.epoch_min) {
    return;
  }
  Kill(link.cohort);
  link.cohort = 0;
  link.epoch_min = std::uint64_t{owner.epoch} + 1;
}

void CohortTable::DropAll() {
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
  if (!cohort.alive) {
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
