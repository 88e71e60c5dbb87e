// l1.adaptive_stop through a whole worker.
#include <chrono>
#include <string>
#include <vector>

#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {
namespace {

using namespace std::chrono_literals;

class Adaptive : public WorkerFixture {
 public:
  Adaptive() {
    config::RuleConfig rule;
    rule.prefix = "hot:";
    config.rules.push_back(rule);
    rule.prefix = "cold:";
    config.rules.push_back(rule);
    config.l1.adaptive_stop = "rules";
    config.l1.adaptive_stop_after = 20;
  }
  // Twenty entries under `prefix` that change before anybody reads them.
  void LetDie(FakeConnection& client, const std::string& prefix) {
    for (int i = 0; i < 20; ++i) {
      const std::string key = prefix + std::to_string(i);
      Cache(client, key, "v");
      Push(key);
    }
    Wait(200ms);
  }
  std::string ReasonOf(const char* key) {
    const std::vector<std::string_view> get = {"GET", key};
    return std::string(ReasonName(worker->Explain(get).reason));
  }
};

TEST_CASE_FIXTURE(Adaptive,
                  "a rule whose entries die unread is not cached, nor tracked, for a while") {
  Start();
  FakeConnection& client = Connect();
  LetDie(client, "cold:");
  LetDie(client, "other:");  // the defaults are not judged
  CHECK(ReasonOf("cold:1") == "adaptive_stop");
  CHECK(ReasonOf("hot:1") == "cacheable");
  CHECK(ReasonOf("other:1") == "cacheable");
  CHECK(Ask(client, "GET cold:1").empty());
  CHECK(server.Asked() == Strings{"GET cold:1"});  // without PTTL: not on a fill link
  CHECK(Answer(client, "GET cold:1", Bulk("w")) == Bulk("w"));
  CHECK_FALSE(stats().bypass_stopped.value() == 0);
  CHECK(Ask(client, "MGET hot:1 cold:1").empty());
  CHECK(server.Asked() == Strings{"MGET hot:1 cold:1"});
  server.Answer("MGET hot:1 cold:1", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
  Turn();
  (void)client.TakeWritten();
  Wait(40s);
  CHECK(ReasonOf("cold:1") == "cacheable");
  Cache(client, "cold:1", "x");
  CHECK(Cached("cold:1"));
}

TEST_CASE_FIXTURE(Adaptive, "entries that are read keep their rule going") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "hot:x", "v");
  for (int i = 0; i < 64; ++i) {
    CHECK(Ask(client, "GET hot:x") == Bulk("v"));
  }
  LetDie(client, "hot:");
  CHECK(ReasonOf("hot:1") == "cacheable");
}

TEST_CASE_FIXTURE(Adaptive,
                  "what was in memory when its rule was stopped is still read from there") {
  Start();
  FakeConnection& client = Connect();
  Cache(client, "cold:kept", "v");
  LetDie(client, "cold:");
  CHECK(ReasonOf("cold:kept") == "adaptive_stop");
  CHECK(Ask(client, "GET cold:kept") == Bulk("v"));
}

TEST_CASE_FIXTURE(Adaptive, "reads that join another's count as read from memory") {
  Start();
  FakeConnection& one = Connect();
  FakeConnection& two = Connect();
  for (int i = 0; i < 20; ++i) {
    const std::string key = "cold:" + std::to_string(i);
    CHECK(Ask(one, "GET " + key).empty());
    CHECK(Ask(two, "GET " + key).empty());
    AnswerFill(key, Bulk("v"));
    CHECK(one.TakeWritten() == Bulk("v"));
    CHECK(two.TakeWritten() == Bulk("v"));
    Push(key);
  }
  Wait(200ms);
  CHECK(ReasonOf("cold:1") == "cacheable");
}

TEST_CASE_FIXTURE(Adaptive, "new rules are judged afresh") {
  Start();
  FakeConnection& client = Connect();
  LetDie(client, "cold:");
  CHECK(ReasonOf("cold:1") == "adaptive_stop");
  config.l1.adaptive_stop = "off";
  worker->Reload(config);
  CHECK(ReasonOf("cold:1") == "cacheable");
}

}  // namespace
}  // namespace nearcached
