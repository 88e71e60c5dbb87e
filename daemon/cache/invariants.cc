#include "daemon/base/check.h"
#include "daemon/cache/l1.h"

// I5: the accounted bytes equal the sum of the entries, and the gauges match reality.

namespace nearcached {

void L1::CheckInvariants() const {
  arena_.CheckInvariants();
  ghost_.CheckInvariants();
  index_.CheckInvariants([this](EntryId id) { return arena_.At(id).hash; });
  NC_CHECK(arena_.live_slots() == entries());
  NC_CHECK(wheel_.CheckInvariants() == entries());
  Tally all;
  for (const EntryQueue& queue : queues_) {
    const Tally tally = TallyOf(queue);
    NC_CHECK(queue.size() == tally.entries && queue.bytes() == tally.bytes);
    all.entries += tally.entries;
    all.bytes += tally.bytes;
    all.blob_bytes += tally.blob_bytes;
    all.dropped += tally.dropped;
    all.variants += tally.variants;
  }
  NC_CHECK(all.entries == entries() && all.dropped == cohorts_.dropped_entries() &&
           all.variants == variants_);
  NC_CHECK(all.blob_bytes == blobs_->cached_bytes() &&
           all.bytes == arena_.live_bytes() + all.blob_bytes);
  CheckStats();
}

// Walks a queue, checks its links and adds up what is on it.
L1::Tally L1::TallyOf(const EntryQueue& queue) const {
  Tally tally;
  EntryId prev = kNoEntry;
  for (EntryId id = queue.front(); id != kNoEntry; id = arena_.At(id).queue_next) {
    const Entry& e = arena_.At(id);
    NC_CHECK(e.live() && &Queue(e.queue()) == &queue && e.queue_prev == prev);
    NC_CHECK(index_.Contains(e.hash, id) && e.variant() == !VariantOf(e).empty());
    ++tally.entries;
    tally.bytes += ChargeOf(id);
    tally.blob_bytes += e.outlined() ? BlobHeap::ChargeFor(BlobOf(e)->size) : 0;
    tally.dropped += cohorts_.dropped(e.cohort) ? 1 : 0;
    tally.variants += e.variant() ? 1 : 0;
    prev = id;
  }
  NC_CHECK(queue.back() == prev);
  return tally;
}

void L1::CheckStats() const {
  const auto is = [](const Gauge& gauge, std::uint64_t v) {
    return gauge.value() == static_cast<std::int64_t>(v);
  };
  NC_CHECK(is(stats_.entries, entries()) && is(stats_.negative_entries, negative_entries()) &&
           is(stats_.dropped_entries, cohorts_.dropped_entries()) &&
           is(stats_.variants, variants_));
  NC_CHECK(is(stats_.bytes, bytes_used()) && is(stats_.bytes_max, bytes_max_) &&
           is(stats_.pinned_bytes, blobs_->pinned_bytes()) &&
           is(stats_.negative_bytes, negative_bytes()));
  NC_CHECK(stats_.inserts.value() ==
           entries() + stats_.evictions_size.value() + stats_.evictions_expired.value() +
               stats_.evictions_erased.value() + stats_.evictions_dropped.value());
}

}  // namespace nearcached
