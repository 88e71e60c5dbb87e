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

}  // namespace
}  // namespace nearcached
