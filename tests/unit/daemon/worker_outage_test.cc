// A worker whose upstream goes away for a while (upstream.max_hold).
#include <chrono>
#include <string>
#include <vector>

#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

class Held : public WorkerFixture {
 public:
  // The upstream goes away, and does not come back by itself.
  void LoseUpstream() {
    Wait(std::chrono::seconds(2));  // it has been stable
    server.accepts = false;
    const std::size_t dials = dialer.dials();
    for (std::size_t i = 0; i < dials; ++i) {
      dialer.connection(i).End(Code::kEof);
    }
    Turn();
    Refuse();
  }
  void Refuse() {
    for (std::size_t i = 0; i < dialer.dials(); ++i) {
      if (!dialer.connection(i).closed() && !dialer.connection(i).opened()) {
        dialer.connection(i).End(Code::kUnavailable, "connection refused");
      }
    }
    Turn();
  }
};

TEST_CASE_FIXTURE(Held, "requests that come in a short outage are held, and none fails") {
  config.upstream.max_hold = std::chrono::seconds(3);
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  LoseUpstream();
  std::vector<FakeConnection*> waiting;
  for (const char* line : {"LLEN l", "GET k2", "MGET k3 k4", "MULTI", "SELECT 5"}) {
    waiting.push_back(&Connect());
    CHECK(Ask(*waiting.back(), line).empty());
  }
  CHECK(stats().held.value() == 5);
  CHECK(Ask(client, "PING") == "+PONG\r\n");
  server.accepts = true;
  Wait(std::chrono::milliseconds(500));
  CHECK(server.Times("LLEN l") == 1);
  CHECK(server.Times("GET k2") == 1);
  CHECK(server.Times("GET k3") == 1);
  CHECK(server.Times("MULTI") == 1);
  for (FakeConnection* held : waiting) {
    CHECK(held->TakeWritten().find("ERR") == std::string::npos);
  }
}

TEST_CASE_FIXTURE(Held, "an outage longer than max_hold fails those who waited, and then at once") {
  config.upstream.max_hold = std::chrono::seconds(3);
  Start();
  FakeConnection& client = Connect();
  LoseUpstream();
  CHECK(Ask(client, "LLEN l").empty());
  for (int i = 0; i < 32; ++i) {
    Wait(std::chrono::milliseconds(100));
    Refuse();
  }
  CHECK(client.TakeWritten().find("is unavailable") != std::string::npos);
  CHECK(Ask(client, "LLEN l").find("is unavailable") != std::string::npos);
}

TEST_CASE_FIXTURE(Held, "without max_hold nobody waits") {
  Start();
  FakeConnection& client = Connect();
  LoseUpstream();
  CHECK(Ask(client, "LLEN l").find("is unavailable") != std::string::npos);
  CHECK(stats().held.value() == 0);
}

// ---- values served in an outage -----------------------------------------------------------------

class Stale : public Held {
 public:
  Stale() {
    config.l1.ttl = std::chrono::minutes(1);
    config.l1.ttl_jitter = 0;
    config.l1.negative_ttl = std::chrono::minutes(1);
    config.l1.stale_if_error = std::chrono::seconds(10);
  }
  std::uint64_t served() { return stats().stale_served.value(); }
};

TEST_CASE_FIXTURE(Stale,
                  "what was in memory is served while the upstream is away, and nothing else") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  Cache(client, "k2", "v2");
  CHECK(Ask(client, "GET absent").empty());
  AnswerFill("absent", "$-1\r\n", ":-2\r\n");
  CHECK(client.TakeWritten() == "$-1\r\n");
  LoseUpstream();
  CHECK(Ask(client, "GET k") == Bulk("v"));
  CHECK(Ask(client, "MGET k k2") == "*2\r\n" + Bulk("v") + Bulk("v2"));
  CHECK(served() == 3);
  CHECK(Ask(client, "GET other").find("is unavailable") != std::string::npos);
  CHECK(Ask(client, "GET absent").find("is unavailable") != std::string::npos);
  CHECK(Ask(client, "LLEN l").find("is unavailable") != std::string::npos);
  CHECK(served() == 3);
}

TEST_CASE_FIXTURE(Stale, "a key that somebody has tried to write since is not served any more") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  LoseUpstream();
  FakeConnection& writer = Connect();
  CHECK(Ask(writer, "SET k new").find("is unavailable") != std::string::npos);
  CHECK(Ask(client, "GET k").find("is unavailable") != std::string::npos);
  CHECK(served() == 0);
}

TEST_CASE_FIXTURE(Stale, "values are served for stale_if_error, and not a moment longer") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  LoseUpstream();
  for (int i = 0; i < 98; ++i) {
    Wait(std::chrono::milliseconds(100));
    Refuse();
  }
  CHECK(Ask(client, "GET k") == Bulk("v"));
  Wait(std::chrono::milliseconds(300));
  Refuse();
  CHECK(Ask(client, "GET k").find("is unavailable") != std::string::npos);
  CHECK(worker->l1().entries() == 0);
}

TEST_CASE_FIXTURE(Stale, "no value is served beyond its own end") {
  Start();
  FakeConnection& client = Connect();
  Wait(std::chrono::seconds(2));
  CHECK(Ask(client, "GET k").empty());
  AnswerFill("k", Bulk("v"), ":3000\r\n");
  CHECK(client.TakeWritten() == Bulk("v"));
  LoseUpstream();  // two seconds later
  CHECK(Ask(client, "GET k") == Bulk("v"));
  Wait(std::chrono::milliseconds(1100));
  Refuse();
  CHECK(Ask(client, "GET k").find("is unavailable") != std::string::npos);
}

TEST_CASE_FIXTURE(Stale, "the first link that stands again ends it, whatever link it is") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  LoseUpstream();
  CHECK(Ask(client, "GET k") == Bulk("v"));
  server.accepts = true;
  Wait(std::chrono::milliseconds(500));
  server.accepts = false;
  CHECK(Ask(client, "GET k").empty());  // asked
  CHECK(served() == 1);
}

TEST_CASE_FIXTURE(Stale, "a fill link alone that is lost changes nothing: reads go past L1") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  Wait(std::chrono::seconds(2));
  server.accepts = false;
  server.tracking_connection().End(Code::kEof);
  Turn();
  CHECK(Ask(client, "GET k").empty());
  CHECK(served() == 0);
  CHECK(Answer(client, "GET k", Bulk("v2")) == Bulk("v2"));
  for (std::size_t i = 0; i < dialer.dials(); ++i) {
    if (!dialer.connection(i).closed()) {
      dialer.connection(i).End(Code::kEof);
    }
  }
  Turn();
  Refuse();
  CHECK(Ask(client, "GET k").find("is unavailable") != std::string::npos);  // it has seen v2
}

TEST_CASE_FIXTURE(Stale, "0, and where a rule says 0: reads fail") {
  config::RuleConfig rule;
  rule.prefix = "no:";
  rule.stale_if_error = config::Duration::zero();
  config.rules.push_back(rule);
  Start();
  FakeConnection& client = Connect();
  Cache(client, "no:k", "v");
  Cache(client, "k", "v");
  LoseUpstream();
  CHECK(Ask(client, "GET no:k").find("is unavailable") != std::string::npos);
  CHECK(Ask(client, "GET k") == Bulk("v"));
}

}  // namespace
}  // namespace nearcached
