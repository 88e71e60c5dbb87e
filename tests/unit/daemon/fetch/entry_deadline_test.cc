#include "daemon/fetch/entry_deadline.h"

#include <chrono>
#include <limits>

#include <doctest/doctest.h>

#include "daemon/base/rng.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

struct DeadlineCase {
  const char* name;
  Duration ttl;
  std::int64_t pttl_ms;
  std::optional<Duration> life;
};

constexpr std::int64_t kFarAway = std::numeric_limits<std::int64_t>::max();

const DeadlineCase kDeadlines[] = {
    {"a key without an end lives for its ttl", 10s, -1, 10s},
    {"the key's own end comes first", 10s, 400, 400ms},
    {"the ttl comes first", 10s, 60'000, 10s},
    {"an end beyond all counting is no end", 10s, kFarAway, 10s},
    {"a ttl of less than a millisecond stays", 300us, 1, 300us},
    {"the key is gone", 10s, -2, std::nullopt},
    {"the key is about to go", 10s, 0, std::nullopt},
    {"an answer that PTTL never gives", 10s, -3, std::nullopt},
    {"no ttl, no entry", 0s, -1, std::nullopt},
};

TEST_CASE("an entry ends with its ttl or with its key, counted from when the read was sent") {
  const MonoTime sent_at{Duration{123'456'789}};
  for (const DeadlineCase& c : kDeadlines) {
    CAPTURE(c.name);
    const std::optional<MonoTime> deadline = EntryDeadline(sent_at, c.ttl, c.pttl_ms);
    REQUIRE(deadline.has_value() == c.life.has_value());
    if (deadline) {
      CHECK(*deadline - sent_at == *c.life);
    }
  }
}

TEST_CASE("no deadline is ever later than the ttl or the key's own end, nor before sending") {
  Rng rng(3);
  const MonoTime sent_at{Duration{1}};
  for (int i = 0; i < 20'000; ++i) {
    const Duration ttl = std::chrono::microseconds(rng.Below(10'000'000));
    const auto pttl = static_cast<std::int64_t>(rng.Below(12'000)) - 2;
    const std::optional<MonoTime> deadline = EntryDeadline(sent_at, ttl, pttl);
    if (deadline) {
      REQUIRE(*deadline > sent_at);
      REQUIRE(*deadline - sent_at <= ttl);
      REQUIRE((pttl == -1 || *deadline - sent_at <= std::chrono::milliseconds(pttl)));
    } else {
      REQUIRE((pttl == -2 || pttl == 0 || ttl == Duration::zero()));
    }
  }
}

}  // namespace
}  // namespace nearcached
