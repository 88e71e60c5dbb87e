// Who filled an entry, in two bytes: each entry names a cohort, and a cohort is everything that one
// fill link stored under one connection epoch since the last Clear. Dropping a cohort makes all its
// entries unservable at once; they are reclaimed later (consistency.md R6, R7). Shelving one does
// the same, but its entries stay until it is taken off the shelf: they can be found by who asks for
// what is shelved.
//
// Loop thread only. Owned by L1.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/base/time.h"
#include "daemon/cache/cache_key.h"

namespace nearcached {

using CohortId = std::uint16_t;

class CohortTable {
 public:
  CohortTable();

  // The cohort to file new entries of `owner` under, or nullopt if that epoch was dropped, is older
  // than the link's latest one, or no cohort is free (65,535 of them, all still holding entries). A
  // higher epoch than the link's latest drops the older one: a link has one connection at a time.
  [[nodiscard]] std::optional<CohortId> Join(const FillOwner& owner);

  // Drops this epoch of the link and all earlier ones.
  void Drop(const FillOwner& owner);
  // As Drop, but this epoch's cohort, if it has one, goes on the shelf, and ends what of the link
  // is there already.
  void Shelve(const FillOwner& owner, MonoTime now);
  // Drops what of this link is on the shelf, whatever its epoch.
  void Unshelve(std::uint16_t link);
  // Drops all that is on the shelf. Costs one step a link ever seen, unless there is nothing.
  void ClearShelf();
  // Drops every cohort, shelved or not; the links' epochs stay as they are. Costs one step a link
  // ever seen.
  void DropAll();

  [[nodiscard]] bool alive(CohortId id) const { return cohorts_[id].alive; }
  // When it was shelved; nothing for one that is not on the shelf.
  [[nodiscard]] std::optional<MonoTime> shelved_at(CohortId id) const {
    return cohorts_[id].shelved_at;
  }
  // Neither alive nor on the shelf: its entries are to be reclaimed.
  [[nodiscard]] bool dropped(CohortId id) const {
    return !cohorts_[id].alive && !cohorts_[id].shelved_at;
  }
  [[nodiscard]] bool shelf_empty() const { return shelved_ == 0; }
  void AddEntry(CohortId id) { ++cohorts_[id].entries; }
  void RemoveEntry(CohortId id);

  // Entries of dropped cohorts that are still held.
  [[nodiscard]] std::uint64_t dropped_entries() const { return dropped_entries_; }
  [[nodiscard]] std::uint64_t entries(CohortId id) const { return cohorts_[id].entries; }
  [[nodiscard]] std::size_t size() const { return cohorts_.size(); }
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  struct Cohort {
    std::uint64_t entries = 0;
    bool alive = false;
    std::optional<MonoTime> shelved_at;
  };
  struct Link {
    std::uint64_t epoch_min = 0;  // below: dropped
    CohortId cohort = 0;          // 0: none yet
    CohortId shelved = 0;         // of an earlier epoch; 0: none
  };

  void Kill(CohortId id);
  CohortId Detach(const FillOwner& owner);

  std::vector<Cohort> cohorts_;     // 0 is a dummy
  std::vector<CohortId> free_ids_;  // dead and empty
  std::vector<Link> links_;         // by link number
  std::size_t shelved_ = 0;         // links that have something on the shelf
  std::uint64_t dropped_entries_ = 0;
};

}  // namespace nearcached
