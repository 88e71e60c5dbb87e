// The L1 against a map, under seeded random scripts, with every invariant checked at every step.
//
// The L1 may forget (that is what a cache does); it must never answer what the model does not hold:
// no erased, expired, dropped, cleared or foreign value, and never a wrong byte.
#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/hash.h"
#include "daemon/base/rng.h"
#include "daemon/cache/l1.h"

namespace nearcached {
namespace {

using std::chrono::milliseconds;

struct Modelled {
  std::string value;
  bool negative = false;
  MonoTime deadline;
  FillOwner owner;
};

class Script {
 public:
  Script(std::uint64_t seed, std::uint64_t bytes_max, std::size_t keys, std::size_t value_max)
      : rng_(seed),
        hasher_(seed),
        keys_(keys),
        value_max_(value_max),
        bytes_max_(bytes_max),
        l1_({.bytes_max = bytes_max, .negative_share = 0.1, .variants_max = 4}) {}

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      l1_.CheckInvariants();
      for (const auto& [ref, bytes] : pins_) {
        REQUIRE(ref.view() == bytes);
      }
      if (pins_.empty() && settling_ == 0) {
        REQUIRE(l1_.bytes_used() <= l1_.bytes_max());
      }
    }
  }

  std::uint64_t hits() const { return l1_.stats().hits_value.value(); }

 private:
  struct Name {
    DbIndex db = 0;
    std::string key;
    std::string variant;  // empty for two entries of three
    auto operator<=>(const Name&) const = default;
  };

  Name RandomName() {
    const std::uint64_t one = rng_.Below(keys_);
    const std::uint64_t n = std::min(one, rng_.Below(keys_));
    std::string key = "key:" + std::to_string(n);
    if (n % 37 == 5) {
      key.append(300, 'k');  // does not fit one byte of length
    }
    const std::uint64_t variant = rng_.Below(3 * kVariants);
    return {static_cast<DbIndex>(rng_.Below(8) == 0 ? 70000 : 0), key,
            variant >= kVariants ? "" : "read " + std::to_string(variant)};
  }
  CacheKey Key(const Name& name) const {
    return {name.db, name.key, hasher_(name.key), name.variant};
  }
  FillOwner RandomOwner() {
    const auto link = static_cast<std::uint16_t>(rng_.Below(3));
    return {link, epochs_[link]};
  }

  void Step() {
    settling_ -= settling_ > 0 ? 1 : 0;
    const std::uint64_t dice = rng_.Below(1000);
    if (dice < 420) {
      Find();
    } else if (dice < 800) {
      Insert();
    } else if (dice < 850) {
      const Name name = RandomName();
      const bool there = l1_.Erase(Key(name));
      const auto it = model_.find(name);
      REQUIRE((!there || it != model_.end()));
      model_.erase(name);
    } else if (dice < 880) {
      const Name name = RandomName();
      l1_.EraseInAllDatabases(name.key, hasher_(name.key));
      std::erase_if(model_, [&name](const auto& e) { return e.first.key == name.key; });
    } else if (dice < 900) {
      now_ += milliseconds(rng_.Below(100));
    } else if (dice < 980) {
      l1_.Tick(now_);
    } else if (dice < 984) {
      Drop();
    } else if (dice < 986) {
      l1_.Clear();
      model_.clear();
    } else if (dice < 990) {
      ErasePrefix();
    } else if (dice < 992) {
      l1_.SetBytesMax(bytes_max_ / (1 + rng_.Below(3)));
      settling_ = 400;
    } else if (!pins_.empty()) {
      pins_.erase(pins_.begin() + static_cast<std::ptrdiff_t>(rng_.Below(pins_.size())));
      settling_ = 50;
    }
  }

  void Find() {
    const Name name = RandomName();
    l1_.Prefetch(hasher_(name.key));
    l1_.PrefetchEntry(hasher_(name.key));
    const std::optional<L1Hit> hit = l1_.Find(Key(name), now_);
    if (!hit) {
      return;
    }
    const auto it = model_.find(name);
    REQUIRE(it != model_.end());
    REQUIRE(it->second.value == hit->value);
    REQUIRE(it->second.negative == hit->negative);
    REQUIRE(it->second.deadline == hit->deadline);
    REQUIRE(now_ < hit->deadline);
    if (pins_.size() < 4 && rng_.Below(8) == 0) {
      pins_.emplace_back(l1_.Pin(*hit), it->second.value);
    }
  }

  void Insert() {
    const Name name = RandomName();
    Modelled m;
    m.negative = rng_.Below(5) == 0;
    const std::size_t most = rng_.Below(10) == 0 ? value_max_ : 200;
    const auto letter = static_cast<char>('a' + rng_.Below(26));
    m.value = m.negative ? "$-1\r\n" : std::string(rng_.Below(most), letter);
    m.deadline = now_ + milliseconds(rng_.Below(20) == 0 ? 0 : rng_.Below(3000));
    m.owner = RandomOwner();
    const auto result = l1_.Insert(Key(name), m.value, m.negative, m.deadline, now_, m.owner);
    const bool stored =
        result == L1::InsertResult::kStored || result == L1::InsertResult::kReplaced;
    REQUIRE((m.deadline == now_ ? !stored : result != L1::InsertResult::kExpired));
    model_.erase(name);
    if (stored) {
      const auto hit = l1_.Find(Key(name), now_);
      REQUIRE(hit.has_value());
      REQUIRE(hit->value == m.value);
      model_[name] = std::move(m);
    } else {
      REQUIRE(!l1_.Find(Key(name), now_).has_value());
    }
  }

  void Drop() {
    const auto link = static_cast<std::uint16_t>(rng_.Below(3));
    const FillOwner owner{link, epochs_[link]};
    l1_.DropOwner(owner);
    std::erase_if(model_, [owner](const auto& e) { return e.second.owner == owner; });
    const CacheKey key{0, "late", hasher_("late")};
    REQUIRE(l1_.Insert(key, "x", false, now_ + milliseconds(9), now_, owner) ==
            L1::InsertResult::kExpired);
    ++epochs_[link];
  }

  void ErasePrefix() {
    const std::string prefix = "key:" + std::to_string(rng_.Below(100));
    l1_.ErasePrefix(DbIndex{0}, prefix);
    std::erase_if(model_, [&prefix](const auto& e) {
      return e.first.db == 0 && e.first.key.starts_with(prefix);
    });
  }

  static constexpr std::uint64_t kVariants = 6;  // two more than a key may have

  Rng rng_;
  KeyHasher hasher_;
  std::size_t keys_;
  std::size_t value_max_;
  std::uint64_t bytes_max_;
  MonoTime now_{milliseconds(5)};
  std::map<Name, Modelled> model_;
  std::array<std::uint32_t, 3> epochs_{};
  std::vector<std::pair<ValueRef, std::string>> pins_;
  int settling_ = 0;  // steps for which a lowered limit may still be exceeded
  L1 l1_;
};

TEST_CASE("a random script never gets an answer that the model does not hold") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    Script script(seed, 400'000, 3000, 3000);
    script.Run(4000);
    CHECK(script.hits() > 100);
  }
}

TEST_CASE("a random script with values above the mapping threshold keeps every invariant") {
  for (std::uint64_t seed = 100; seed <= 103; ++seed) {
    CAPTURE(seed);
    Script script(seed, 6'000'000, 60, 1'200'000);
    script.Run(1500);
    CHECK(script.hits() > 50);
  }
}

}  // namespace
}  // namespace nearcached
