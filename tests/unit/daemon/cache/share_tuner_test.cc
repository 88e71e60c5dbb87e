#include "daemon/cache/share_tuner.h"

#include <deque>
#include <map>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

namespace nearcached {
namespace {

TEST_CASE("a shadow cache hits what fits and misses a loop that does not") {
  ShadowCache shadow(100, 0.1, 2);
  int hits = 0;
  for (int round = 0; round < 10; ++round) {
    for (std::uint32_t key = 0; key < 100; ++key) {
      hits += shadow.Access(key * 2654435761U) ? 1 : 0;
    }
  }
  CHECK(hits == 900);
  ShadowCache small(10, 0.1, 2);
  hits = 0;
  for (std::uint32_t key = 0; key < 1000; ++key) {
    hits += small.Access(key) ? 1 : 0;
  }
  CHECK(hits == 0);
}

TEST_CASE("bursts of re-reads make probation larger, a scan over a hot set makes it small") {
  ShareTuner tuner(256);
  CHECK(tuner.setting().small_share == doctest::Approx(0.1));
  tuner.SetPopulation(10000);
  Rng rng(3);
  // Each new key is read again twice, a little later than a small probation is long.
  std::vector<std::uint64_t> recent(8000);
  for (std::size_t i = 0; i < 2'000'000; ++i) {
    const std::size_t at = i % recent.size();
    if (i % 3 == 0) {
      recent[at] = rng.Next();
    }
    tuner.Observe(recent[(at + (i % 3) * 2600) % recent.size()]);
  }
  CHECK(tuner.setting().small_share > 0.15);
  std::vector<std::uint64_t> hot(8000);
  for (auto& key : hot) {
    key = rng.Next();
  }
  for (int i = 0; i < 4'000'000; ++i) {
    tuner.Observe(rng.Below(2) == 0 ? rng.Next() : hot[rng.Below(hot.size())]);
  }
  CHECK(tuner.setting().small_share < 0.15);
}

TEST_CASE("nothing is sampled before the population is known") {
  ShareTuner tuner(64);
  for (std::uint64_t i = 0; i < 100000; ++i) {
    tuner.Observe(i << 32U);
  }
  CHECK(tuner.setting().small_share == doctest::Approx(0.1));
}

// S3-FIFO as one would write it down first: a map of who is where, and three queues.
class PlainS3Fifo {
 public:
  PlainS3Fifo(std::size_t capacity, std::size_t small_capacity, unsigned promote_at)
      : capacity_(capacity), small_capacity_(small_capacity), promote_at_(promote_at) {}

  bool Access(std::uint32_t key) {
    const auto it = objects_.find(key);
    if (it != objects_.end() && it->second.where != 'g') {
      it->second.frequency = std::min(it->second.frequency + 1, 3U);
      return true;
    }
    const bool remembered = it != objects_.end();
    objects_.erase(key);
    while (small_.size() + main_.size() >= capacity_) {
      Evict();
    }
    objects_[key] = {remembered ? 'm' : 's', 0};
    (remembered ? main_ : small_).push_back(key);
    return false;
  }

 private:
  struct Object {
    char where = 's';
    unsigned frequency = 0;
  };

  static std::uint32_t Pop(std::deque<std::uint32_t>& queue) {
    const std::uint32_t key = queue.front();
    queue.pop_front();
    return key;
  }

  void Evict() {
    if (!main_.empty() && small_.size() < small_capacity_) {
      for (bool done = false; !done && !main_.empty();) {
        const std::uint32_t key = Pop(main_);
        done = objects_[key].frequency == 0;
        if (done) {
          objects_.erase(key);
        } else {
          --objects_[key].frequency;
          main_.push_back(key);
        }
      }
      return;
    }
    while (!small_.empty()) {
      const std::uint32_t key = Pop(small_);
      if (objects_[key].frequency < promote_at_) {
        Remember(key);
        return;
      }
      objects_[key] = {'m', 0};
      main_.push_back(key);
    }
  }

  void Remember(std::uint32_t key) {
    if (ghost_.size() == capacity_) {
      const std::uint32_t oldest = Pop(ghost_);
      if (const auto it = objects_.find(oldest); it != objects_.end() && it->second.where == 'g') {
        objects_.erase(it);
      }
    }
    objects_[key] = {'g', 0};
    ghost_.push_back(key);
  }

  std::size_t capacity_;
  std::size_t small_capacity_;
  unsigned promote_at_;
  std::map<std::uint32_t, Object> objects_;
  std::deque<std::uint32_t> small_;
  std::deque<std::uint32_t> main_;
  std::deque<std::uint32_t> ghost_;
};

TEST_CASE("a shadow cache agrees with a plain S3-FIFO, access by access, under random scripts") {
  for (const std::size_t capacity : {8U, 31U, 256U}) {
    for (const unsigned promote_at : {1U, 2U}) {
      CAPTURE(capacity);
      CAPTURE(promote_at);
      ShadowCache shadow(capacity, 0.25, promote_at);
      PlainS3Fifo plain(capacity, capacity / 4, promote_at);
      Rng rng(capacity * 10 + promote_at);
      int hits = 0;
      for (int i = 0; i < 60'000; ++i) {
        // A hot set as large as the cache, scanned through by keys that come once; neighbours in
        // the shadow's table collide all the time.
        const auto key = static_cast<std::uint32_t>(
            rng.Below(3) == 0 ? 1'000'000 + i : rng.Below(rng.Below(2 * capacity) + 1));
        const bool hit = shadow.Access(key);
        REQUIRE(hit == plain.Access(key));
        hits += hit ? 1 : 0;
      }
      CHECK(hits > 10'000);
      CHECK(hits < 45'000);
    }
  }
}

TEST_CASE("a cache that misses nothing keeps the setting it has") {
  ShareTuner tuner(64);
  tuner.SetPopulation(32);  // all of it fits: every access is seen, hardly any is missed
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    tuner.Observe((i % 32) << 32U | 0xffffffffU);
  }
  CHECK(tuner.setting().small_share == doctest::Approx(0.1));
  CHECK(tuner.setting().promote_at == 2);
}

TEST_CASE("what the tuner may take is known before it takes anything, and grows with its size") {
  ShareTuner tuner(128);
  const std::size_t before = tuner.bytes();
  CHECK(before == ShareTuner::kCandidates * ShadowCache::BytesFor(128));
  tuner.SetPopulation(1'000'000);
  tuner.SetPopulation(3);
  CHECK(tuner.bytes() == before);
  CHECK(ShareTuner(256).bytes() > before);
}

TEST_CASE("a population that swings does not make the tuner forget or crash") {
  ShareTuner tuner(256);
  Rng rng(11);
  for (int round = 0; round < 200; ++round) {
    tuner.SetPopulation(rng.Below(2) == 0 ? rng.Below(20) : rng.Below(5'000'000));
    for (int i = 0; i < 500; ++i) {
      tuner.Observe(rng.Next());
    }
  }
  const double share = tuner.setting().small_share;
  CHECK(share >= 0.05);
  CHECK(share <= 0.4);
}

}  // namespace
}  // namespace nearcached
