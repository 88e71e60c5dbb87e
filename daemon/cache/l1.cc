#include "daemon/cache/l1.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "daemon/base/check.h"
#include "daemon/base/same_bytes.h"
#include "daemon/cache/prefetch.h"

// How the parts work together.
//
// An entry is on the index (by hash), on one of three queues (probation, main, negative;
// eviction.cc) and on the timing wheel (by deadline), and belongs to a cohort (who filled it). All
// four name it by its 4-byte id, the place of its slot in the slab arena. Remove takes it off all
// of them; Relocated tells all of them when compaction moved it. Nothing else changes these links.
//
// What cannot be done at once in bounded time is done lazily. Unservable entries (expired, or of a
// dropped cohort) stay where they are and are refused by Find until the wheel, the sweep, eviction
// or Find itself removes them. The index re-spreads a few buckets with each insert. Large values
// are unmapped piece by piece. A lowered limit is approached 32 evictions at a time.
//
// The limit: MakeRoom counts the worst that an insert may allocate (a chunk, a blob, blocks of the
// index) before it allocates anything, so bytes_used() stays within bytes_max() at every moment.

namespace nearcached {
namespace {

constexpr std::size_t kKeyBytesMax = 65535;
constexpr std::size_t kVisitsPerStep = 64;  // of ErasePrefix
constexpr std::size_t kResizeStepsPerInsert = 2;

// A chunk is about a thousandth of the budget, so that a partly filled one per class stays small.
std::uint32_t ChunkBytesFor(std::uint64_t bytes_max) {
  return static_cast<std::uint32_t>(
      std::bit_floor(std::clamp<std::uint64_t>(bytes_max / 1024, 4096, 65536)));
}

std::size_t ShadowCapacityFor(std::uint64_t bytes_max) {
  return std::clamp<std::size_t>(bytes_max / 32768, 16, 256);
}

}  // namespace

L1::L1(const L1Options& options)
    : bytes_max_(options.bytes_max),
      negative_share_(std::clamp(options.negative_share, 0.0, 1.0)),
      variants_max_(std::max(options.variants_max, 1U)),
      blobs_(new BlobHeap(stats_)),
      arena_(ChunkBytesFor(options.bytes_max), options.bytes_max),
      queues_{EntryQueue(arena_, QueueKind::kSmall), EntryQueue(arena_, QueueKind::kMain),
              EntryQueue(arena_, QueueKind::kNegative)},
      wheel_(arena_),
      tuner_(ShadowCapacityFor(options.bytes_max)) {
  Publish();
}

// Outlined values go back to the heap of blobs, which keeps those that are still referred to.
L1::~L1() {
  std::uint32_t cursor = 0;
  do {
    visited_.clear();
    cursor = index_.Visit(cursor, visited_);
    for (const EntryId id : visited_) {
      if (arena_.At(id).outlined()) {
        blobs_->LeaveCache(BlobOf(arena_.At(id)));
      }
    }
  } while (cursor != 0);
}

void L1::Prefetch(std::uint64_t hash) const {
  index_.Prefetch(IndexHash(hash));
}

void L1::PrefetchEntry(std::uint64_t hash) const {
  const std::uintptr_t at = arena_.Near(index_.Guess(IndexHash(hash), IndexTag(hash)));
  PrefetchLine(at);
  PrefetchLine(at + 64);
  PrefetchLine(at + 124);  // entries lie across lines: the end of a usual one may be in a third
}

EntryId L1::LocateValue(const CacheKey& key) const {
  return index_.Find(IndexHash(key.hash), IndexTag(key.hash), [this, &key](EntryId id) {
    const Entry& e = arena_.At(id);
    PrefetchLine(reinterpret_cast<const char*>(&e) + 64);  // the value, while the key is compared
    if (!e.extended() && !e.outlined()) [[likely]] {
      return key.db == 0 && e.key_size == key.key.size() &&
             SameBytes(BodyOf(e), key.key.data(), key.key.size());
    }
    return !e.variant() && ExtensionOf(e).db == key.db && KeyOf(e) == key.key;
  });
}

bool L1::Servable(const Entry& entry, MonoTime now) const {
  return cohorts_.alive(entry.cohort) && now < entry.deadline();
}

std::uint64_t L1::ChargeOf(EntryId id) const {
  const Entry& e = arena_.At(id);
  return arena_.SlotBytes(id) + (e.outlined() ? BlobHeap::ChargeFor(BlobOf(e)->size) : 0);
}

void L1::NoteTime(MonoTime now) {
  latest_now_ = std::max(latest_now_, now);
}

std::optional<L1Hit> L1::Find(const CacheKey& key, MonoTime now) {
  auto hit = key.variant.empty() ? FindHit(key, now) : FindVariantHit(key, now);
  if (!hit) {
    CountMiss(key, now);
  }
  return hit;
}

void L1::CountMiss(const CacheKey& key, MonoTime now) {
  const EntryId id = Locate(key);
  if (id == kNoEntry) {
    stats_.misses_absent.Add();
    return;
  }
  const Entry& e = arena_.At(id);
  NC_CHECK(!Servable(e, now));
  NoteTime(now);
  const bool dropped = !cohorts_.alive(e.cohort);
  (dropped ? stats_.misses_dropped : stats_.misses_expired).Add();
  Remove(id, dropped ? Removal::kDropped : Removal::kExpired);
  Publish();
}

// Counts a hit. `hash` is the history's. Inlined whatever the compiler thinks: a call here is two
// of a hundred instructions.
[[gnu::always_inline]] inline L1Hit L1::Hit(EntryId id, std::uint64_t hash) {
  Entry& e = arena_.At(id);
  if (e.frequency() < 3) {
    e.set_frequency(e.frequency() + 1);
  }
  if (e.negative()) {
    stats_.hits_negative.Add();
  } else {
    stats_.hits_value.Add();
    tuner_.Observe(hash);
  }
  return L1Hit{ValueOf(e), e.negative(), e.deadline(), id};
}

std::optional<L1Hit> L1::FindHit(const CacheKey& key, MonoTime now) {
  const EntryId id = LocateValue(key);
  if (id == kNoEntry || !Servable(arena_.At(id), now)) [[unlikely]] {
    return std::nullopt;
  }
  return Hit(id, key.hash);
}

std::optional<L1Hit> L1::Peek(const CacheKey& key, MonoTime now) const {
  const EntryId id = LocateValue(key);
  if (id == kNoEntry || !Servable(arena_.At(id), now)) {
    return std::nullopt;
  }
  const Entry& e = arena_.At(id);
  return L1Hit{ValueOf(e), e.negative(), e.deadline(), id};
}

std::optional<L1Hit> L1::FindVariantHit(const CacheKey& key, MonoTime now) {
  const EntryId id = LocateVariant(key);
  if (id == kNoEntry || !Servable(arena_.At(id), now)) {
    return std::nullopt;
  }
  return Hit(id, HistoryHash(key));
}

ValueRef L1::Pin(const L1Hit& hit) {
  const Entry& e = arena_.At(hit.handle);
  if (e.outlined()) {
    BlobHeap::AddRef(BlobOf(e));
    return ValueRef(BlobOf(e));
  }
  ValueRef copy(blobs_->Make({}, {}, hit.value, false));
  Publish();
  return copy;
}

std::optional<L1Hit> L1::FindShelved(const CacheKey& key, MonoTime now, Duration age_max) const {
  const EntryId id = Locate(key);
  if (id == kNoEntry) {
    return std::nullopt;
  }
  const Entry& e = arena_.At(id);
  const auto since = cohorts_.shelved_at(e.cohort);
  if (!since || now - *since >= age_max || now >= e.deadline() || e.negative()) {
    return std::nullopt;
  }
  return L1Hit{ValueOf(e), false, e.deadline(), id};
}

std::uint64_t L1::negative_bytes_max() const {
  return static_cast<std::uint64_t>(negative_share_ * static_cast<double>(bytes_max_));
}

L1::Shape L1::ShapeOf(const CacheKey& key, std::size_t value_size) const {
  Shape shape;
  std::size_t slot = InlineBytes(key, value_size);
  if (slot > arena_.slot_bytes_max()) {
    shape.outlined = true;
    shape.blob_bytes = BlobHeap::ChargeFor(key.key.size() + key.variant.size() + value_size);
    slot = OutlinedBytes(key);
  }
  shape.slab_class = arena_.ClassFor(slot);
  shape.charge = arena_.ClassSlotBytes(shape.slab_class) + shape.blob_bytes;
  return shape;
}

// Takes the old entry of the key away, because whatever becomes of the new value, the old one must
// not be served any more, and says what the new one inherits from it.
L1::Standing L1::TakeStanding(const CacheKey& key, bool negative) {
  Standing standing;
  standing.queue = negative ? QueueKind::kNegative : QueueKind::kSmall;
  if (const EntryId old = Locate(key); old != kNoEntry) {
    const Entry& e = arena_.At(old);
    if (Servable(e, latest_now_)) {
      standing.replaces = true;
      if (!negative && !e.negative()) {
        standing.proven = true;
        standing.queue = e.queue();
        standing.frequency = e.frequency();
      }
      Remove(old, Removal::kReplaced);
    } else {
      Remove(old, cohorts_.alive(e.cohort) ? Removal::kExpired : Removal::kDropped);
    }
  }
  return standing;
}

L1::InsertResult L1::Insert(const CacheKey& key, std::string_view value, bool negative,
                            MonoTime deadline, MonoTime now, FillOwner owner) {
  NoteTime(now);
  const Standing standing = TakeStanding(key, negative);
  const InsertResult result = Store({key, value, DeadlineMicros(deadline), owner}, standing);
  switch (result) {
    case InsertResult::kStored:
      stats_.inserts.Add();
      break;
    case InsertResult::kReplaced:
      stats_.replaced.Add();
      break;
    case InsertResult::kTooLarge:
      stats_.rejected_too_large.Add();
      break;
    case InsertResult::kNotAdmitted:
      stats_.rejected_not_admitted.Add();
      break;
    case InsertResult::kNoRoom:
      stats_.rejected_no_room.Add();
      break;
    case InsertResult::kExpired:
      stats_.rejected_expired.Add();
      break;
  }
  if (standing.replaces && result != InsertResult::kReplaced) {
    stats_.evictions_erased.Add();
  }
  Publish();
  return result;
}

L1::InsertResult L1::Store(const Fill& fill, Standing standing) {
  const CacheKey& key = fill.key;
  if (key.key.size() > kKeyBytesMax || key.variant.size() > kKeyBytesMax ||
      key.key.size() + key.variant.size() + fill.value.size() > bytes_max_ / 4) {
    return InsertResult::kTooLarge;
  }
  const std::optional<CohortId> cohort = cohorts_.Join(fill.owner);
  if (MonoTime(std::chrono::microseconds(fill.deadline_us)) <= latest_now_ || !cohort) {
    return InsertResult::kExpired;
  }
  Shape shape = ShapeOf(key, fill.value.size());
  const bool negative = standing.queue == QueueKind::kNegative;
  if (!negative && !standing.proven && ghost_.Take(IndexHash(HistoryHash(key)))) {
    standing.proven = true;
    standing.queue = QueueKind::kMain;
  }
  if (!Admit(shape, standing)) {
    if (!negative) {
      ghost_.Adapt(entries());
      ghost_.Remember(IndexHash(HistoryHash(key)));  // the next time it will be known
      (void)Shrink();                                // the ghost may have grown
    }
    return InsertResult::kNotAdmitted;
  }
  if (!key.variant.empty()) {
    MakeVariantRoom(key);
  }
  if (!MakeRoom(shape, negative)) {
    return InsertResult::kNoRoom;
  }
  const EntryId id = Place(key, fill.value, shape);
  if (id == kNoEntry) {
    return InsertResult::kNoRoom;
  }
  Entry& e = arena_.At(id);
  e.hash = IndexHash(key.hash);
  e.cohort = *cohort;
  e.set_deadline_us(fill.deadline_us);
  e.set_frequency(standing.frequency);
  index_.Insert(e.hash, TagOf(key), id);
  Queue(standing.queue).PushFront(id, shape.charge);
  wheel_.Add(id);
  cohorts_.AddEntry(*cohort);
  ResizeIndex(kResizeStepsPerInsert);
  if (!negative) {
    tuner_.Observe(HistoryHash(key));
  }
  return standing.replaces ? InsertResult::kReplaced : InsertResult::kStored;
}

EntryId L1::Place(const CacheKey& key, std::string_view value, const Shape& shape) {
  const EntryId id = arena_.Allocate(shape.slab_class);
  if (id == kNoEntry) {
    return id;
  }
  Entry& e = arena_.At(id);
  char* at = PayloadOf(e);
  if (NeedsExtension(key)) {
    e.flags |= Entry::kExtended;
    const EntryExtension x{key.db, static_cast<std::uint16_t>(key.key.size()),
                           static_cast<std::uint16_t>(key.variant.size())};
    std::memcpy(at, &x, sizeof x);
    at += sizeof x;
  } else {
    e.key_size = static_cast<std::uint8_t>(key.key.size());
  }
  if (!key.variant.empty()) {
    e.flags |= Entry::kVariant;
    ++variants_;
  }
  if (shape.outlined) {
    e.flags |= Entry::kOutlined;
    const Blob* blob = blobs_->Make(key.key, key.variant, value, true);
    std::memcpy(at, &blob, kBlobPointerBytes);
    return id;
  }
  e.value_size = static_cast<std::uint16_t>(value.size());
  at = std::copy(key.key.begin(), key.key.end(), at);
  at = std::copy(key.variant.begin(), key.variant.end(), at);
  std::copy(value.begin(), value.end(), at);
  return id;
}

// An entry that was read is either in the main queue or has a frequency: only what was read, or was
// known to be wanted, gets there.
void L1::TellUnread(const Entry& entry) const {
  if (entry.frequency() == 0 && entry.queue() != QueueKind::kMain) {
    unread_observer_->OnDiedUnread(KeyOf(entry));
  }
}

void L1::Remove(EntryId id, Removal why) {
  const Entry& e = arena_.At(id);
  if (unread_observer_ != nullptr && (why == Removal::kExpired || why == Removal::kErased)) {
    TellUnread(e);
  }
  index_.Erase(e.hash, id);
  Queue(e.queue()).Remove(id, ChargeOf(id));
  wheel_.Remove(id);
  cohorts_.RemoveEntry(e.cohort);
  variants_ -= e.variant() ? 1 : 0;
  if (e.outlined()) {
    blobs_->LeaveCache(BlobOf(e));
  }
  arena_.Free(id);
  switch (why) {
    case Removal::kForSize:
      stats_.evictions_size.Add();
      break;
    case Removal::kExpired:
      stats_.evictions_expired.Add();
      break;
    case Removal::kErased:
      stats_.evictions_erased.Add();
      break;
    case Removal::kDropped:
      stats_.evictions_dropped.Add();
      break;
    case Removal::kReplaced:
      break;
  }
}

bool L1::Erase(const CacheKey& key) {
  const EntryId id = Locate(key);
  if (id == kNoEntry) {
    return false;
  }
  const bool servable = Servable(arena_.At(id), latest_now_);
  Remove(id, Removal::kErased);
  Publish();
  return servable;
}

std::size_t L1::EraseInAllDatabases(std::string_view key, std::uint64_t hash) {
  std::size_t erased = 0;
  for (EntryId id = LocateAny(key, hash); id != kNoEntry; id = LocateAny(key, hash)) {
    Remove(id, Removal::kErased);
    ++erased;
  }
  if (erased != 0) {
    Publish();
  }
  return erased;
}

std::size_t L1::ErasePrefix(std::optional<DbIndex> db, std::string_view prefix) {
  std::size_t erased = 0;
  std::uint64_t cursor = 0;
  do {
    erased += ErasePrefixStep(db, prefix, cursor, kVisitsPerStep);
  } while (cursor != 0);
  return erased;
}

std::size_t L1::ErasePrefixStep(std::optional<DbIndex> db, std::string_view prefix,
                                std::uint64_t& cursor, std::size_t visits) {
  std::size_t erased = 0;
  std::size_t done = 0;
  auto at = static_cast<std::uint32_t>(cursor);
  do {
    visited_.clear();
    at = index_.Visit(at, visited_);
    for (const EntryId id : visited_) {
      PrefetchLine(&arena_.At(id));
    }
    for (const EntryId id : visited_) {
      const Entry& e = arena_.At(id);
      if (KeyOf(e).starts_with(prefix) && (!db || ExtensionOf(e).db == *db)) {
        Remove(id, Removal::kErased);
        ++erased;
      }
    }
    done += 1 + visited_.size();
  } while (at != 0 && done < visits);
  cursor = at;
  Publish();
  return erased;
}

std::uint64_t L1::bytes_used() const {
  return sizeof(L1) + sizeof(BlobHeap) + arena_.bytes() + blobs_->bytes() + index_.bytes() +
         ghost_.bytes() + tuner_.bytes() + cohorts_.bytes();
}

void L1::Publish() {
  const auto set = [](Gauge& gauge, std::uint64_t v) { gauge.Set(static_cast<std::int64_t>(v)); };
  const std::uint64_t used = bytes_used();
  set(stats_.entries, entries());
  set(stats_.negative_entries, negative_entries());
  set(stats_.variants, variants_);
  set(stats_.dropped_entries, cohorts_.dropped_entries());
  set(stats_.bytes, used);
  set(stats_.bytes_max, bytes_max_);
  set(stats_.negative_bytes, negative_bytes());
  set(stats_.pinned_bytes, blobs_->pinned_bytes());
  set(stats_.overhead_bytes,
      used - arena_.live_bytes() - blobs_->cached_bytes() - blobs_->pinned_bytes());
  set(stats_.small_bytes, Queue(QueueKind::kSmall).bytes());
  set(stats_.main_bytes, Queue(QueueKind::kMain).bytes());
  set(stats_.ghost_entries, ghost_.size());
  stats_.small_share_permille.Set(std::lround(tuner_.setting().small_share * 1000));
}

}  // namespace nearcached
