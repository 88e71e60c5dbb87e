#include "daemon/upstream/dial_gate.h"

#include <chrono>

#include <doctest/doctest.h>

namespace nearcached {
namespace {

using namespace std::chrono_literals;
using Answer = DialGate::Answer;
using End = DialGate::End;
using State = DialGate::State;

struct Rig {
  config::UpstreamConfig config;
  Rng rng{1};
  UpstreamStats stats;
  MonoTime now{1h};
  Rig() {
    config.breaker_failures = 3;
    config.dials_max = 2;
    config.reconnect_delay_min = 100ms;
    config.reconnect_delay_max = 400ms;
  }
  void Fail(DialGate& gate) {
    REQUIRE(gate.Ask(now) == Answer::kGo);
    gate.OnDialEnded(End::kFailed, now);
  }
};

TEST_CASE_FIXTURE(Rig, "so many links connect at once and no more") {
  DialGate gate(config, rng, stats);
  CHECK(gate.Ask(now) == Answer::kGo);
  CHECK(gate.Ask(now) == Answer::kGo);
  CHECK(gate.Ask(now) == Answer::kFull);
  SUBCASE("one stands") {
    gate.OnDialEnded(End::kStands, now);
  }
  SUBCASE("one has failed") {
    gate.OnDialEnded(End::kFailed, now);
  }
  SUBCASE("one is not wanted any more") {
    gate.OnDialEnded(End::kGivenUp, now);
  }
  CHECK(gate.Ask(now) == Answer::kGo);
  CHECK(gate.Ask(now) == Answer::kFull);
}

TEST_CASE_FIXTURE(Rig,
                  "failures in a row open it, one success in between does not let it come so far") {
  DialGate gate(config, rng, stats);
  Fail(gate);
  Fail(gate);
  REQUIRE(gate.Ask(now) == Answer::kGo);
  gate.OnDialEnded(End::kStands, now);
  Fail(gate);
  Fail(gate);
  CHECK_FALSE(gate.refuses(now));
  Fail(gate);
  CHECK(gate.state() == State::kOpen);
  CHECK(gate.refuses(now));
  CHECK(gate.Ask(now) == Answer::kOpen);
  CHECK(stats.breaker_opened.value() == 1);
  CHECK(stats.breaker(State::kOpen).value() == 1);
  CHECK(stats.breaker(State::kClosed).value() == 0);
}

TEST_CASE_FIXTURE(Rig, "half-open, one may try; its end decides") {
  DialGate gate(config, rng, stats);
  for (int i = 0; i < 3; ++i) {
    Fail(gate);
  }
  CHECK(gate.retry_at() > now);
  CHECK(gate.retry_at() <= now + 100ms);
  now = gate.retry_at();
  CHECK(gate.Ask(now) == Answer::kGo);
  CHECK(gate.state() == State::kHalfOpen);
  CHECK(gate.refuses(now));
  CHECK(gate.Ask(now) == Answer::kOpen);
  SUBCASE("it stands") {
    gate.OnDialEnded(End::kStands, now);
    CHECK(gate.state() == State::kClosed);
    CHECK(gate.Ask(now) == Answer::kGo);
  }
  SUBCASE("it fails, and the next trial is later") {
    gate.OnDialEnded(End::kFailed, now);
    CHECK(gate.state() == State::kOpen);
    CHECK(gate.retry_at() > now + 100ms);
    CHECK(gate.retry_at() <= now + 200ms);
    CHECK(stats.breaker_opened.value() == 1);  // still the same outage
  }
  SUBCASE("it is given up, and another may try at once") {
    gate.OnDialEnded(End::kGivenUp, now);
    CHECK(gate.Ask(now) == Answer::kGo);
    CHECK(gate.state() == State::kHalfOpen);
  }
}

TEST_CASE_FIXTURE(Rig, "timeouts count like failed connections, and any reply is a sign of life") {
  DialGate gate(config, rng, stats);
  gate.OnTimeout(now);
  gate.OnTimeout(now);
  gate.OnBytes();
  gate.OnTimeout(now);
  gate.OnTimeout(now);
  CHECK_FALSE(gate.refuses(now));
  gate.OnTimeout(now);
  CHECK(gate.refuses(now));
  gate.OnBytes();
  CHECK_FALSE(gate.refuses(now));
  CHECK(stats.breaker(State::kOpen).value() == 0);
  CHECK(stats.breaker(State::kClosed).value() == 1);
}

TEST_CASE_FIXTURE(Rig,
                  "open, requests on links that stand are refused but for one trial at a time") {
  DialGate gate(config, rng, stats);
  CHECK(gate.Admit(now));
  for (int i = 0; i < 3; ++i) {
    gate.OnTimeout(now);
  }
  CHECK_FALSE(gate.Admit(now));
  now = gate.retry_at();
  CHECK(gate.Admit(now));
  CHECK_FALSE(gate.Admit(now));
  CHECK(gate.state() == State::kHalfOpen);
  SUBCASE("it is not answered in time") {
    gate.OnTimeout(now);
    CHECK(gate.state() == State::kOpen);
    CHECK_FALSE(gate.Admit(now));
  }
  SUBCASE("something is answered") {
    gate.OnBytes();
    CHECK(gate.Admit(now));
    CHECK(gate.Admit(now));
  }
  SUBCASE("nothing is heard of it any more, and another is let through") {
    now += config.command_timeout;
    CHECK(gate.Admit(now));
    CHECK_FALSE(gate.Admit(now));
  }
}

TEST_CASE_FIXTURE(Rig, "another server is not judged by the one before") {
  DialGate gate(config, rng, stats);
  for (int i = 0; i < 3; ++i) {
    Fail(gate);
  }
  gate.OnOtherServer();
  CHECK_FALSE(gate.refuses(now));
  Fail(gate);
  Fail(gate);
  CHECK_FALSE(gate.refuses(now));
}

TEST_CASE_FIXTURE(Rig, "an outage is held for max_hold from the loss of the last link on") {
  config.max_hold = 2s;
  config.dials_max = 8;
  DialGate gate(config, rng, stats);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(gate.Ask(now) == Answer::kGo);
    gate.OnDialEnded(End::kStands, now);
  }
  CHECK_FALSE(gate.TakeRecovered());
  gate.OnLinkGone(false, now);
  CHECK_FALSE(gate.holding(now));
  SUBCASE("the last was closed by us") {
    gate.OnLinkGone(true, now);
    CHECK_FALSE(gate.holding(now));
  }
  SUBCASE("the last was lost") {
    gate.OnLinkGone(false, now);
    CHECK(gate.holding(now + 1999ms));
    CHECK_FALSE(gate.holding(now + 2s));
    Fail(gate);  // which makes the outage no younger
    CHECK_FALSE(gate.holding(now + 2s));
    REQUIRE(gate.Ask(now) == Answer::kGo);
    gate.OnDialEnded(End::kStands, now);
    CHECK_FALSE(gate.holding(now));
    CHECK(gate.TakeRecovered());
    CHECK_FALSE(gate.TakeRecovered());
  }
}

TEST_CASE_FIXTURE(Rig,
                  "a first connection that fails, and a primary that nobody knows, are outages") {
  config.max_hold = 2s;
  DialGate gate(config, rng, stats);
  SUBCASE("refused") {
    Fail(gate);
  }
  SUBCASE("nowhere to go") {
    gate.OnNowhere(now);
  }
  CHECK(gate.holding(now));
}

TEST_CASE_FIXTURE(Rig, "0 failures: it never opens") {
  config.breaker_failures = 0;
  DialGate gate(config, rng, stats);
  for (int i = 0; i < 1000; ++i) {
    Fail(gate);
    gate.OnTimeout(now);
  }
  CHECK_FALSE(gate.refuses(now));
}

TEST_CASE_FIXTURE(Rig, "maintenance is held for max_hold, and is away for as long as it lasts") {
  config.max_hold = 2s;
  DialGate gate(config, rng, stats);
  REQUIRE(gate.Ask(now) == Answer::kGo);
  gate.OnDialEnded(End::kStands, now);
  CHECK_FALSE(gate.away());
  gate.SetMaintenance(true, now);
  CHECK(gate.maintenance());
  CHECK(gate.holding(now + 1999ms));
  CHECK_FALSE(gate.holding(now + 2s));
  CHECK(gate.away());
  gate.SetMaintenance(false, now + 3s);
  CHECK_FALSE(gate.maintenance());
  CHECK_FALSE(gate.away());
}

TEST_CASE_FIXTURE(Rig, "an outage that goes on as maintenance, or the other way, is held once") {
  config.max_hold = 2s;
  DialGate gate(config, rng, stats);
  REQUIRE(gate.Ask(now) == Answer::kGo);
  gate.OnDialEnded(End::kStands, now);
  SUBCASE("outage first") {
    gate.OnLinkGone(false, now);
    gate.SetMaintenance(true, now + 1s);
    REQUIRE(gate.Ask(now + 1500ms) == Answer::kGo);
    gate.OnDialEnded(End::kStands, now + 1500ms);
  }
  SUBCASE("maintenance first") {
    gate.SetMaintenance(true, now);
    gate.OnLinkGone(false, now + 1s);
    gate.SetMaintenance(false, now + 1500ms);
  }
  CHECK(gate.holding(now + 1999ms));
  CHECK_FALSE(gate.holding(now + 2s));
  CHECK(gate.away());
}

}  // namespace
}  // namespace nearcached
