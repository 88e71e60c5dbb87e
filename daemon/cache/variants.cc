#include "daemon/base/hash.h"
#include "daemon/cache/l1.h"

// Several entries under one key: the replies to reads of it that are not GET (HGETALL k, LRANGE k 0
// 9, …), each an entry like any other but for its variant.
//
// All entries of a key share its hash, and with it their bucket of the index, so that an
// invalidation finds them in one walk of that bucket's chain and nothing has to link them. Their
// tags agree in one half, by which they are found together, and differ in the other, so that a
// lookup compares one in sixteen. What this costs is the length of the chain, so a key may have
// variants_max of them: the next one displaces the one that was hit least. A client that asks for
// every range of a list displaces its own garbage before it displaces what others come back for.
//
// For the policy of eviction (ghost and tuner) a variant is a thing of its own: HistoryHash.

namespace nearcached {

std::uint64_t L1::VariantHash(std::string_view variant) {
  // Not seeded: who finds collisions gains nothing but slower reads of the one key.
  return KeyHasher(0)(variant);
}

std::uint64_t L1::HistoryHash(const CacheKey& key) {
  return key.variant.empty() ? key.hash : key.hash ^ VariantHash(key.variant);
}

std::uint32_t L1::HistoryHash(const Entry& entry) {
  return entry.variant() ? entry.hash ^ IndexHash(VariantHash(VariantOf(entry))) : entry.hash;
}

std::uint8_t L1::TagOf(const CacheKey& key) {
  const std::uint8_t tag = IndexTag(key.hash);
  return key.variant.empty() ? tag : VariantTag(tag, VariantHash(key.variant));
}

EntryId L1::LocateVariant(const CacheKey& key) const {
  return index_.Find(IndexHash(key.hash), TagOf(key), [this, &key](EntryId id) {
    const Entry& e = arena_.At(id);
    return e.variant() && ExtensionOf(e).db == key.db && KeyOf(e) == key.key &&
           VariantOf(e) == key.variant;
  });
}

// Any entry of the key, in whatever database and variant.
EntryId L1::LocateAny(std::string_view key, std::uint64_t hash) const {
  const auto is_of_key = [this, key](EntryId id) { return KeyOf(arena_.At(id)) == key; };
  return variants_ == 0 ? index_.Find(IndexHash(hash), IndexTag(hash), is_of_key)
                        : index_.FindRelated(IndexHash(hash), IndexTag(hash), is_of_key);
}

// Sees to it that the key may have one variant more.
void L1::MakeVariantRoom(const CacheKey& key) {
  std::uint32_t held = 0;
  EntryId least = kNoEntry;
  (void)index_.FindRelated(IndexHash(key.hash), IndexTag(key.hash), [&](EntryId id) {
    const Entry& e = arena_.At(id);
    if (e.variant() && KeyOf(e) == key.key) {
      ++held;
      if (least == kNoEntry || e.frequency() < arena_.At(least).frequency()) {
        least = id;
      }
    }
    return false;
  });
  if (held >= variants_max_) {
    stats_.variants_displaced.Add();
    Remove(least, Removal::kForSize);
  }
}

}  // namespace nearcached
