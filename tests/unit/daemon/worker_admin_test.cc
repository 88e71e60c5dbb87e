// What NEARCACHE does to a worker: pausing, reconnecting, closing clients.
#include <chrono>
#include <string>

#include "daemon/worker_rows.h"
#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

class Admin : public WorkerFixture {
 public:
  std::string Do(FakeConnection& client, std::string_view line, std::string_view reply) {
    CHECK(Ask(client, line).empty());
    return Answer(client, line, reply);
  }
};

TEST_CASE_FIXTURE(Admin,
                  "PAUSE answers when what is under way has ended, and lets nothing more out") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& admin = Connect();
  Cache(client, "k", "v");
  CHECK(Ask(client, "DBSIZE").empty());
  CHECK(Ask(admin, "NEARCACHE PAUSE").empty());
  CHECK(Ask(client, "LLEN l").empty());
  CHECK(server.Times("LLEN l") == 0);
  server.Answer("DBSIZE", ":0\r\n");
  Turn();
  CHECK(client.TakeWritten() == ":0\r\n");
  CHECK(admin.TakeWritten() == "+ADMIN 2\r\n");
  FakeConnection& other = Connect();
  CHECK(Ask(other, "GET k") == Bulk("v"));  // from memory
  CHECK(Ask(other, "PING") == "+PONG\r\n");
  for (const char* line :
       {"GET miss", "MGET k miss", "SET k w", "MULTI", "BLPOP q 0", "SELECT 3"}) {
    FakeConnection& waits = Connect();
    CHECK(Ask(waits, line).empty());
    CHECK(server.Times(line) == 0);
    waits.End(Code::kEof);
  }
  Wait(std::chrono::seconds(30));  // no timeout runs meanwhile
  CHECK(client.TakeWritten().empty());
  worker->SetPaused(false);
  Turn();
  CHECK(server.Times("LLEN l") == 1);
  CHECK(Answer(client, "LLEN l", ":3\r\n") == ":3\r\n");
}

TEST_CASE_FIXTURE(Admin,
                  "a transaction that has begun ends before the pause, a subscription stays") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& listener_client = Connect();
  FakeConnection& admin = Connect();
  (void)Ask(listener_client, "SUBSCRIBE c");
  (void)Do(client, "MULTI", "+OK\r\n");
  CHECK(Ask(admin, "NEARCACHE PAUSE").empty());
  CHECK(Do(client, "INCR k", "+QUEUED\r\n") == "+QUEUED\r\n");
  CHECK(admin.TakeWritten().empty());
  CHECK(Do(client, "EXEC", "*1\r\n:1\r\n") == "*1\r\n:1\r\n");
  CHECK(admin.TakeWritten() == "+ADMIN 2\r\n");
}

TEST_CASE_FIXTURE(Admin, "a client that waited for RESUME and left is forgotten") {
  Start();
  FakeConnection& client = Connect();
  worker->SetPaused(true);
  CHECK(Ask(client, "SET k v").empty());
  client.End(Code::kUnavailable);
  Turn();
  CHECK(client.closed());
  worker->SetPaused(false);
  Turn();
  CHECK(server.Times("SET k v") == 0);
}

TEST_CASE_FIXTURE(Admin, "RECONNECT replaces the links and loses no request") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "k", "v");
  CHECK(Ask(client, "DBSIZE").empty());
  FakeConnection& lane = server.ConnectionOf("DBSIZE");
  worker->Reconnect();
  CHECK(Ask(client, "LLEN l").empty());
  CHECK_FALSE(lane.closed());
  server.Answer("DBSIZE", ":0\r\n");
  Turn();
  CHECK(lane.closed());
  CHECK(client.TakeWritten() == ":0\r\n");
  CHECK(Answer(client, "LLEN l", ":3\r\n") == ":3\r\n");
  CHECK_FALSE(Cached("k"));  // what the old fill link had filled went with it
  Cache(client, "k", "w");
  Push("k");
  CHECK_FALSE(Cached("k"));
}

TEST_CASE_FIXTURE(Admin, "KILL closes the client it names and gives back what it held") {
  Start();
  FakeConnection& client = Connect();
  FakeConnection& other = Connect();
  (void)Do(client, "MULTI", "+OK\r\n");
  CHECK(worker->Kill(1));
  Turn();
  CHECK(client.closed());
  CHECK_FALSE(other.closed());
  CHECK(worker->pool().stats().exclusive_active.value() == 0);
  CHECK_FALSE(worker->Kill(1));
  CHECK_FALSE(worker->Kill(99));
  CHECK(stats().closed_admin.value() == 1);
}

TEST_CASE_FIXTURE(Admin, "the rows tell who waits for what") {
  config.upstream.pool.max_active = 1;
  Start();
  FakeConnection& client = Connect();
  FakeConnection& waits = Connect();
  (void)Do(client, "MULTI", "+OK\r\n");
  CHECK(Ask(waits, "MULTI").empty());
  const auto field = [](const AdminRow& row, std::string_view name) -> AdminField {
    for (const auto& [key, value] : row) {
      if (key == name) {
        return value;
      }
    }
    return std::string("(no such field)");
  };
  const auto pools = PoolRows(*worker);
  REQUIRE(pools.size() == 3);  // exclusive, one lane, one fill link
  CHECK(field(pools[0], "active") == AdminField(std::int64_t{1}));
  CHECK(field(pools[0], "waiting") == AdminField(std::int64_t{1}));
  CHECK(field(pools[1], "pool") == AdminField(std::string("lane")));
  CHECK(field(pools[1], "ready") == AdminField(std::int64_t{1}));
  CHECK(field(pools[2], "pool") == AdminField(std::string("fill")));
  const auto clients = ClientRows(*worker, scheduler.Now());
  REQUIRE(clients.size() == 2);
  CHECK(field(clients[0], "flags") == AdminField(std::string("x")));
  CHECK(field(clients[1], "waits_for") == AdminField(std::string("an exclusive link")));
  const auto tracking = TrackingRows(*worker);
  REQUIRE(tracking.size() == 1);
  CHECK(field(tracking[0], "tracking") == AdminField(std::string("armed")));
  const auto upstreams = UpstreamRows(*worker);
  REQUIRE(upstreams.size() == 1);
  CHECK(field(upstreams[0], "state") == AdminField(std::string("up")));
}

}  // namespace
}  // namespace nearcached
