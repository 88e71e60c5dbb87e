#include "daemon/cache/share_tuner.h"

#include <algorithm>
#include <bit>

namespace nearcached {
namespace {

// What may be chosen, found by experiment (README.md).
constexpr std::array<ShareTuner::Setting, ShareTuner::kCandidates> kSettings{
    {{0.05, 2}, {0.10, 2}, {0.20, 2}, {0.40, 2}, {0.40, 1}}};

constexpr std::size_t kWindowsPerCapacity = 4;  // a window: 4 sampled accesses per shadow object
constexpr double kFading = 0.8;                 // of the score, per window
constexpr double kWorthwhile = 0.99;  // switch only for at least one per cent fewer misses

// Small, main and ghost together hold up to twice the capacity; at most half of the slots are used.
std::size_t TableSlots(std::size_t capacity) {
  return std::bit_ceil(capacity * 4 + 4);
}

}  // namespace

ShadowCache::ShadowCache(std::size_t capacity, double small_share, unsigned promote_at)
    : capacity_(capacity),
      small_capacity_(std::max<std::size_t>(
          1, static_cast<std::size_t>(static_cast<double>(capacity) * small_share))),
      promote_at_(promote_at),
      table_(TableSlots(capacity)) {
  small_.items.resize(capacity + 1);
  main_.items.resize(capacity + 1);
  ghost_.items.resize(capacity);
}

std::uint32_t ShadowCache::Ring::Pop() {
  const std::uint32_t v = items[begin];
  begin = (begin + 1) % items.size();
  --size;
  return v;
}

// The slot of the fingerprint, or the empty one where it would go.
std::size_t ShadowCache::Locate(std::uint32_t fingerprint) const {
  const std::size_t mask = table_.size() - 1;
  std::size_t i = (fingerprint * 0x9e3779b1U >> 7U) & mask;
  while (table_[i].where != Where::kNowhere && table_[i].fingerprint != fingerprint) {
    i = (i + 1) & mask;
  }
  return i;
}

// Deletion without tombstones: what follows moves up unless it is at home behind the hole.
void ShadowCache::EraseAt(std::size_t hole) {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t i = (hole + 1) & mask; table_[i].where != Where::kNowhere; i = (i + 1) & mask) {
    const std::size_t home = (table_[i].fingerprint * 0x9e3779b1U >> 7U) & mask;
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      table_[hole] = table_[i];
      hole = i;
    }
  }
  table_[hole] = Slot{};
}

bool ShadowCache::Access(std::uint32_t fingerprint) {
  std::size_t at = Locate(fingerprint);
  if (table_[at].where == Where::kSmall || table_[at].where == Where::kMain) {
    table_[at].frequency = static_cast<std::uint8_t>(std::min(table_[at].frequency + 1, 3));
    return true;
  }
  const bool remembered = table_[at].where == Where::kGhost;
  if (remembered) {
    EraseAt(at);  // its fingerprint stays in the ring and is ignored when it comes out
  }
  while (small_.size + main_.size >= capacity_) {
    EvictOne();
  }
  at = Locate(fingerprint);
  table_[at] = {fingerprint, remembered ? Where::kMain : Where::kSmall, 0};
  (remembered ? main_ : small_).Push(fingerprint);
  return false;
}

void ShadowCache::EvictOne() {
  if (main_.size == 0 || small_.size >= small_capacity_) {
    EvictSmall();
  } else {
    EvictMain();
  }
}

void ShadowCache::EvictSmall() {
  while (small_.size > 0) {
    const std::uint32_t fingerprint = small_.Pop();
    Slot& slot = table_[Locate(fingerprint)];
    if (slot.frequency < promote_at_) {
      RememberGhost(fingerprint);
      return;
    }
    slot.where = Where::kMain;
    slot.frequency = 0;
    main_.Push(fingerprint);
  }
}

void ShadowCache::EvictMain() {
  while (main_.size > 0) {
    const std::uint32_t fingerprint = main_.Pop();
    const std::size_t at = Locate(fingerprint);
    if (table_[at].frequency == 0) {
      EraseAt(at);
      return;
    }
    --table_[at].frequency;
    main_.Push(fingerprint);
  }
}

void ShadowCache::RememberGhost(std::uint32_t fingerprint) {
  if (ghost_.size == ghost_.items.size()) {
    const std::uint32_t oldest = ghost_.Pop();
    const std::size_t at = Locate(oldest);
    if (table_[at].where == Where::kGhost) {
      EraseAt(at);
    }
  }
  table_[Locate(fingerprint)] = {fingerprint, Where::kGhost, 0};
  ghost_.Push(fingerprint);
}

std::size_t ShadowCache::BytesFor(std::size_t capacity) {
  return sizeof(ShadowCache) + TableSlots(capacity) * sizeof(Slot) +
         3 * (capacity + 1) * sizeof(std::uint32_t);
}

ShareTuner::ShareTuner(std::size_t shadow_capacity_max)
    : shadow_capacity_max_(shadow_capacity_max),
      bytes_(kCandidates * ShadowCache::BytesFor(shadow_capacity_max)) {}

void ShareTuner::SetPopulation(std::uint64_t entries) {
  constexpr std::uint64_t kCapacityMin = 8;
  const std::size_t fitting =
      std::min<std::size_t>(shadow_capacity_max_, std::max(entries, kCapacityMin));
  if (fitting < shadow_capacity_ / 2 || fitting > shadow_capacity_ * 2) {
    shadow_capacity_ = fitting;
    shadows_.clear();
    shadows_.reserve(kCandidates);
    for (const Setting& s : kSettings) {
      shadows_.emplace_back(fitting, s.small_share, s.promote_at);
    }
    misses_ = {};
    score_ = {};
    seen_ = 0;
  }
  const double rate = static_cast<double>(shadow_capacity_) /
                      static_cast<double>(std::max<std::uint64_t>(entries, shadow_capacity_));
  sample_below_ = static_cast<std::uint64_t>(rate * 0x1p32);
}

ShareTuner::Setting ShareTuner::setting() const {
  return kSettings[chosen_];
}

void ShareTuner::ObserveSampled(std::uint32_t fingerprint) {
  for (std::size_t i = 0; i < kCandidates; ++i) {
    misses_[i] += shadows_[i].Access(fingerprint) ? 0 : 1;
  }
  if (++seen_ >= shadow_capacity_ * kWindowsPerCapacity) {
    seen_ = 0;
    Judge();
  }
}

void ShareTuner::Judge() {
  std::size_t best = chosen_;
  for (std::size_t i = 0; i < kCandidates; ++i) {
    score_[i] = score_[i] * kFading + misses_[i];
    misses_[i] = 0;
  }
  for (std::size_t i = 0; i < kCandidates; ++i) {
    best = score_[i] < score_[best] ? i : best;
  }
  if (score_[best] < score_[chosen_] * kWorthwhile) {
    chosen_ = best;
  }
}

}  // namespace nearcached
