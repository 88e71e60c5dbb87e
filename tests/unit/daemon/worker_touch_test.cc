// l1.touch_rate through a whole worker.
#include <chrono>
#include <string>

#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class Touching : public WorkerFixture {
 public:
  Touching() {
    config.l1.ttl = 60s;
    config.l1.touch_rate = 1;
  }
  void Hit(FakeConnection& client, std::string_view key, int times) {
    for (int i = 0; i < times; ++i) {
      CHECK(Ask(client, "GET " + std::string(key)) == Bulk("v"));
    }
  }
  [[nodiscard]] const HitTouchStats& touches() const { return worker->hit_touch_stats(); }
};

TEST_CASE_FIXTURE(Touching, "the server is told of hits, many in one request") {
  config.l1.commands = {"all"};
  Start();
  FakeConnection& client = Connect();
  Cache(client, "a", "v");
  Cache(client, "b", "v");
  CHECK(server.Asked().empty());  // what it was asked it knows
  Hit(client, "a", 2);
  CHECK(Ask(client, "MGET a b").starts_with("*2"));
  Wait(1s);
  CHECK(server.Asked() == Strings{"TOUCH a a a b"});
  CHECK(Answer(client, "TOUCH a a a b", ":4\r\n").empty());
  CHECK(touches().sent.value() == 4);
  CHECK(touches().failed.value() == 0);
  Wait(1s);
  CHECK(server.Times("TOUCH a a a b") == 1);
}

TEST_CASE_FIXTURE(Touching, "one hit in so many, and none where it is off") {
  SUBCASE("one in ten") {
    config.l1.touch_rate = 0.1;
  }
  SUBCASE("off") {
    config.l1.touch_rate = 0;
  }
  Start();
  FakeConnection& client = Connect();
  Cache(client, "a", "v");
  Hit(client, "a", 25);
  Wait(1s);
  if (config.l1.touch_rate == 0) {
    CHECK(server.Asked().empty());
  } else {
    CHECK(Answer(client, "TOUCH a a", ":2\r\n").empty());
  }
}

TEST_CASE_FIXTURE(Touching, "each database is told of its own keys") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "a", "v");
  Hit(client, "a", 1);
  CHECK(Ask(client, "SELECT 5") == "+OK\r\n");
  CHECK(Ask(client, "GET b").empty());  // nothing is armed in this database yet
  (void)Answer(client, "GET b", Bulk("v"));
  Cache(client, "b", "v");
  Hit(client, "b", 1);
  Wait(1s);
  CHECK(server.Asked() == Strings{"TOUCH a", "TOUCH b"});
  CHECK(&server.ConnectionOf("TOUCH a") != &server.ConnectionOf("TOUCH b"));
  server.Answer("TOUCH a", ":1\r\n");
  server.Answer("TOUCH b", ":1\r\n");
}

TEST_CASE_FIXTURE(Touching, "more in a moment than may be are skipped, and large keys always") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "a", "v");
  const std::string large(HitTouch::kKeyBytesMax + 1, 'k');
  Cache(client, large, "v");
  std::string many;
  for (std::size_t i = 0; i < HitTouch::kKeysMax + 10; ++i) {
    many += "GET a\r\n";
  }
  (void)Ask(client, many + "GET " + large);
  CHECK(touches().skipped.value() == 11);
  Wait(1s);
  CHECK(touches().sent.value() == HitTouch::kKeysMax);
}

TEST_CASE_FIXTURE(Touching, "a refusal and a loss are counted, and no client hears of them") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "a", "v");
  Hit(client, "a", 3);
  Wait(1s);
  SUBCASE("refused") {
    CHECK(Answer(client, "TOUCH a a a", "-NOPERM no\r\n").empty());
  }
  SUBCASE("lost") {
    server.ConnectionOf("TOUCH a a a").End(Code::kUnavailable);
    Turn();
    CHECK(client.TakeWritten().empty());
  }
  CHECK(touches().failed.value() == 3);
}

}  // namespace
}  // namespace nearcached
