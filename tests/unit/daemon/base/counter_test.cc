#include "daemon/base/counter.h"

#include <chrono>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using namespace std::chrono_literals;

// The bucket that an observation falls into.
std::size_t BucketOf(Duration d) {
  Histogram histogram;
  histogram.Observe(d);
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    if (histogram.bucket(i) == 1) {
      return i;
    }
  }
  return Histogram::kBuckets;
}

TEST_CASE("a counter counts from zero, by one or by many") {
  Counter counter;
  CHECK(counter.value() == 0);
  counter.Add();
  counter.Add(41);
  CHECK(counter.value() == 42);
}

TEST_CASE("a gauge rises, falls, and may be below zero") {
  Gauge gauge;
  gauge.Add(2);
  gauge.Sub(5);
  CHECK(gauge.value() == -3);
  gauge.Set(9);
  CHECK(gauge.value() == 9);
}

TEST_CASE("a duration of exactly a bound belongs to its bucket, a nanosecond more to the next") {
  for (std::size_t i = 0; i < Histogram::kBounds; ++i) {
    CAPTURE(i);
    const Duration bound = std::chrono::microseconds(std::int64_t{1} << i);
    CHECK(BucketOf(bound) == i);
    CHECK(BucketOf(bound + 1ns) == i + 1);
    CHECK(Histogram::BoundSeconds(i) == doctest::Approx(ToSeconds(bound)));
  }
}

TEST_CASE("nothing and less than nothing are in the first bucket, for ever in the last") {
  CHECK(BucketOf(0ns) == 0);
  CHECK(BucketOf(-5s) == 0);
  CHECK(BucketOf(1h) == Histogram::kBounds);
  CHECK(BucketOf(24h * 365 * 100) == Histogram::kBounds);
}

TEST_CASE("a histogram adds up what it saw, negative durations as zero") {
  Histogram histogram;
  histogram.Observe(3us);
  histogram.Observe(2ms, 5);
  histogram.Observe(-1s);
  CHECK(histogram.sum_seconds() == doctest::Approx(0.010003));
  CHECK(histogram.bucket(2) == 1);
  CHECK(histogram.bucket(11) == 5);
  CHECK(histogram.bucket(0) == 1);
}

}  // namespace
}  // namespace nearcached
