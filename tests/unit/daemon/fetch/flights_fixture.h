// A flight table with a store, a channel that records what is asked, and those who wait.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/base/hash.h"
#include "daemon/fetch/flight_table.h"
#include "tests/support/fake_fetch.h"
#include "tests/support/fake_scheduler.h"

namespace nearcached {

using Heard = std::vector<std::string>;

class Flights {
 public:
  FakeScheduler scheduler;
  KeyHasher hasher{1};
  L1 l1{L1Options{.bytes_max = 4 << 20, .negative_share = 0.1}};
  FakeFillChannel channel;
  RecordingSink sink;
  FlightTable table{scheduler, l1, channel};
  FillTerms terms{.ttl = std::chrono::seconds(10),
                  .negative_ttl = std::chrono::seconds(2),
                  .entry_bytes_max = 1 << 20,
                  .may_fill = true};
  Joining joining = Joining::kAny;
  std::uint32_t waiters_max = 100;

  Flights() { table.SetSink(sink); }
  ~Flights() {
    CHECK(table.open() == 0);
    CHECK(table.stats().open.value() == 0);
    CHECK(table.stats().waiters.value() == 0);
  }
  Flights(const Flights&) = delete;
  Flights& operator=(const Flights&) = delete;

  [[nodiscard]] CacheKey Key(std::string_view key, DbIndex db = 0) const {
    return {db, key, hasher(key)};
  }
  std::string_view Join(std::string_view key, std::uint64_t waiter, DbIndex db = 0) {
    return table.Join(Key(key, db), {}, terms, {{1, waiter}, 0, scheduler.Now()}, joining,
                      waiters_max);
  }
  // The same for request `waiter` of another client.
  std::string_view JoinAs(std::uint64_t client, std::string_view key, std::uint64_t waiter,
                          std::uint32_t part = 0) {
    return table.Join(Key(key), {}, terms, {{client, waiter}, part, scheduler.Now()}, joining,
                      waiters_max);
  }
  void Poison(std::string_view key) { table.Poison(hasher(key), key); }
  // What L1 would answer: the value, "nil", or "" for nothing.
  std::string Cached(std::string_view key, DbIndex db = 0) {
    const auto hit = l1.Find(Key(key, db), scheduler.Now());
    return !hit ? "" : hit->negative ? "nil" : std::string(hit->value);
  }
  // Both replies to fill `i`.
  void Answer(std::size_t i, std::string_view value, std::string_view ttl) {
    channel.Value(i, value);
    channel.Ttl(i, ttl);
  }
  Heard TakeHeard() { return std::exchange(sink.heard, {}); }
};

}  // namespace nearcached
