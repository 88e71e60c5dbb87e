// Counters, gauges and histograms that cost the hot path one plain add.
//
// One writer (the loop thread of the worker that owns the struct), any number of readers (the
// metrics thread). Relaxed loads and stores compile to ordinary moves on the machines we run on;
// there is no read-modify-write instruction and no lock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "daemon/base/time.h"

namespace nearcached {

// Only rises. `Counter c; c.Add();` by the owning thread; `c.value()` by anyone.
class Counter {
 public:
  void Add(std::uint64_t n = 1) {
    v_.store(v_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const { return v_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> v_{0};
};

// Rises and falls.
class Gauge {
 public:
  void Set(std::int64_t v) { v_.store(v, std::memory_order_relaxed); }
  void Add(std::int64_t n = 1) { Set(v_.load(std::memory_order_relaxed) + n); }
  void Sub(std::int64_t n = 1) { Add(-n); }
  [[nodiscard]] std::int64_t value() const { return v_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> v_{0};
};

// Durations in buckets that double: bucket i counts observations of at most 2^i microseconds
// (1 µs … 2^24 µs = 16.8 s), the last one everything longer. Exported in seconds.
class Histogram {
 public:
  static constexpr std::size_t kBounds = 25;            // finite upper bounds
  static constexpr std::size_t kBuckets = kBounds + 1;  // and one for +Inf

  // Upper bound of bucket i in seconds. REQUIRES: i < kBounds.
  static double BoundSeconds(std::size_t i) {
    return static_cast<double>(std::uint64_t{1} << i) * 1e-6;
  }

  void Observe(Duration d, std::uint64_t times = 1) {
    const std::int64_t ns = d.count() < 0 ? 0 : d.count();
    const auto us = static_cast<std::uint64_t>((ns + 999) / 1000);
    const std::size_t i = us <= 1 ? 0 : 64U - static_cast<std::size_t>(__builtin_clzll(us - 1));
    buckets_[i < kBounds ? i : kBounds].Add(times);
    sum_ns_.Add(static_cast<std::uint64_t>(ns) * times);
  }

  // Count of observations in bucket i alone (not cumulative).
  [[nodiscard]] std::uint64_t bucket(std::size_t i) const { return buckets_[i].value(); }
  [[nodiscard]] double sum_seconds() const { return static_cast<double>(sum_ns_.value()) * 1e-9; }

 private:
  std::array<Counter, kBuckets> buckets_;
  Counter sum_ns_;
};

}  // namespace nearcached
