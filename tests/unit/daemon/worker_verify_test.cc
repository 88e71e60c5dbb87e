// The canary and the comparison of hits, through a whole worker.
#include <chrono>
#include <string>

#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class Verified : public WorkerFixture {
 public:
  // The one request that waits and begins so.
  std::string Waiting(std::string_view begins) {
    for (const std::string& asked : server.Asked()) {
      if (asked.starts_with(begins)) {
        return asked;
      }
    }
    return {};
  }
};

class WithCanary : public Verified {
 public:
  WithCanary() {
    config.verify.canary_key = "nc";
    config.verify.canary_interval = 1s;
  }
  // Both halves of the canary's read; returns its key.
  std::string AnswerRead() {
    const std::string get = Waiting("GET nc:");
    REQUIRE_FALSE(get.empty());
    std::string key = get.substr(4);
    AnswerFill(key, "_\r\n", ":-2\r\n");
    return key;
  }
  const CanaryStats& canary() const { return worker->canary_stats(); }
};

TEST_CASE_FIXTURE(WithCanary, "the canary measures from its write to the push") {
  Start();
  Wait(200ms);
  const std::string key = AnswerRead();
  Wait(100ms);
  const std::string set = Waiting("SET " + key);
  REQUIRE_FALSE(set.empty());
  Wait(300ms);
  Push(key);
  CHECK(canary().heard.value() == 1);
  CHECK(canary().last_delay_ns.value() == Duration(300ms).count());
  server.Answer(set, "+OK\r\n");  // comes later, and is no news
  Turn();
  CHECK(canary().failed.value() == 0);
  Wait(900ms);
  CHECK(Waiting("GET nc:").empty());
  Wait(200ms);
  CHECK(AnswerRead() == key);
}

TEST_CASE_FIXTURE(WithCanary, "a push that does not come is overdue after the staleness bound") {
  Start();
  Wait(200ms);
  const std::string key = AnswerRead();
  Wait(100ms);
  server.Answer(Waiting("SET " + key), "+OK\r\n");
  Wait(5400ms);  // (3 + 2.5) intervals of health
  CHECK(canary().overdue.value() == 0);
  Wait(300ms);
  CHECK(canary().overdue.value() == 1);
  Push(key);  // too late to count as heard
  CHECK(canary().heard.value() == 0);
}

TEST_CASE_FIXTURE(WithCanary, "somebody else's write of the canary is not measured") {
  Start();
  Wait(200ms);
  const std::string key = AnswerRead();
  Push(key);
  CHECK(canary().heard.value() == 0);
  Wait(500ms);
  CHECK(Waiting("SET " + key).empty());
  Wait(700ms);
  CHECK(AnswerRead() == key);
}

TEST_CASE_FIXTURE(WithCanary, "a server that refuses the canary is asked again at the next round") {
  Start();
  Wait(200ms);
  const std::string key = AnswerRead();
  Wait(100ms);
  server.Answer(Waiting("SET " + key), "-NOPERM no permissions\r\n");
  Turn();
  CHECK(canary().failed.value() == 1);
  Wait(1200ms);
  CHECK(AnswerRead() == key);
  Wait(100ms);
  CHECK_FALSE(Waiting("SET " + key).empty());
}

TEST_CASE_FIXTURE(WithCanary, "without tracking there is nothing to measure") {
  config.tracking.mode = config::TrackingConfig::Mode::kOff;
  Start();
  Wait(3s);
  CHECK(Waiting("GET nc:").empty());
  CHECK(canary().not_armed.value() > 1);
}

class WithChecks : public Verified {
 public:
  WithChecks() {
    config.l1.ttl = 60s;
    config.verify.hit_rate = 1;
  }
  // A hit of k, whose value is "v"; leaves the comparison's question with the server.
  void Hit(FakeConnection& client) {
    CHECK(Ask(client, "GET k") == Bulk("v"));
    REQUIRE(Waiting("GET k") == "GET k");
  }
  const HitCheckStats& checks() const { return worker->hit_check_stats(); }
};

TEST_CASE_FIXTURE(WithChecks, "a hit is compared behind the client's back") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  Hit(client);
  CHECK(Answer(client, "GET k", Bulk("v")).empty());
  CHECK(checks().agreed.value() == 1);
}

TEST_CASE_FIXTURE(WithChecks, "a difference that a push explains is a change and no breach") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  Hit(client);
  server.Answer("GET k", Bulk("w"));
  Turn();
  Push("k");
  Wait(7s);
  CHECK(checks().changed.value() == 1);
  CHECK(checks().broken.value() == 0);
}

TEST_CASE_FIXTURE(WithChecks, "a difference that outlasts the bound is a breach") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  Hit(client);
  server.Answer("GET k", Bulk("w"));
  Turn();
  Wait(5400ms);
  CHECK(Waiting("GET k").empty());
  Wait(300ms);
  REQUIRE(Waiting("GET k") == "GET k");
  SUBCASE("the server still says something else") {
    server.Answer("GET k", Bulk("w"));
    Turn();
    CHECK(checks().broken.value() == 1);
  }
  SUBCASE("the key is gone upstream") {
    server.Answer("GET k", "$-1\r\n");
    Turn();
    CHECK(checks().broken.value() == 1);
  }
  SUBCASE("it says what we say by now") {
    server.Answer("GET k", Bulk("v"));
    Turn();
    CHECK(checks().broken.value() == 0);
    CHECK(checks().changed.value() == 1);
  }
  SUBCASE("the push comes while it is asked") {
    Push("k");
    server.Answer("GET k", Bulk("w"));
    Turn();
    CHECK(checks().broken.value() == 0);
  }
  SUBCASE("an entry filled anew is another one, though it has the old value") {
    Push("k");
    (void)Ask(client, "GET k");
    server.Answer("GET k", Bulk("w"));  // the comparison's, which was asked first
    AnswerFill("k", Bulk("v"));
    CHECK(checks().broken.value() == 0);
  }
}

TEST_CASE_FIXTURE(WithChecks, "a server that does not answer the comparison harms nobody") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  Hit(client);
  server.Answer("GET k", "-LOADING not yet\r\n");
  Turn();
  CHECK(checks().failed.value() == 1);
  for (std::size_t i = 0; i < HitCheck::kUnderWayMax + 5; ++i) {
    CHECK(Ask(client, "GET k") == Bulk("v"));
  }
  CHECK(checks().skipped.value() == 5);
  for (std::size_t i = 0; i < HitCheck::kUnderWayMax; ++i) {
    server.Answer("GET k", Bulk("v"));
  }
  Turn();
  CHECK(checks().agreed.value() == HitCheck::kUnderWayMax);
}

}  // namespace
}  // namespace nearcached
