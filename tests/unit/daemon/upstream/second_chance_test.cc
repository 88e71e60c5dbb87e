// Lanes to a replica, whose requests the primary is asked for where the replica does not answer.
#include "daemon/upstream/second_chance.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proto/wire_errors.h"
#include "tests/unit/daemon/upstream/link_fixture.h"

namespace nearcached {
namespace {

// A primary whose lane remembers what it was sent.
class FakePrimary final : public Upstream, public UpstreamLink {
 public:
  std::vector<std::string> sent;
  std::string refusal;

  using UpstreamLink::Send;
  std::string_view Send(SendRequest& request) override {
    if (refusal.empty()) {
      sent.emplace_back(request.bytes);
      repeatable = request.repeatable;
    }
    return refusal;
  }
  bool repeatable = false;
  [[nodiscard]] bool StuckAt(MonoTime /*now*/) override { return false; }

  UpstreamLink& Lane(DbIndex /*db*/, proto::Protocol /*protocol*/, std::uint64_t& /*seat*/,
                     bool /*may_move*/) override {
    return *this;
  }
  ExclusiveLink* Borrow(DbIndex /*db*/, proto::Protocol /*protocol*/, ExclusiveOwner& /*owner*/,
                        std::uint64_t /*session*/, std::string_view& /*error_line*/) override {
    return nullptr;
  }
  void LeaveLine(std::uint64_t /*session*/) override {}
  void Return(ExclusiveLink* /*link*/, bool /*reusable*/) override {}
  [[nodiscard]] bool holding() const override { return false; }
  [[nodiscard]] bool AwayFor(std::string_view /*key*/) const override { return false; }
  [[nodiscard]] bool speaks_resp3() const override { return true; }
  [[nodiscard]] std::string_view server_version() const override { return {}; }
};

class Chance : public LinkFixture, private SecondChance::Observer {
 public:
  FakePrimary primary;
  ReplicaStats replica_stats;
  std::vector<std::string> sick;
  std::optional<SecondChance> lane;

  FakeConnection& Start(bool clustered = false) {
    FakeConnection& connection = MakeReady(Purpose::kLane);
    lane.emplace(*link, primary, static_cast<SecondChance::Observer&>(*this), replica_stats, 1,
                 clustered);
    return connection;
  }
  ~Chance() override {
    if (link) {
      link->Close("the test ends");
    }
    lane.reset();
  }
  Chance() = default;
  Chance(const Chance&) = delete;
  Chance& operator=(const Chance&) = delete;

  std::string Read(std::uint64_t seq) {
    const std::string bytes = Wire({"GET", std::to_string(seq)});
    const std::string refused(lane->Send({.bytes = bytes,
                                          .sink = &sink,
                                          .token = {1, seq},
                                          .timeout = std::chrono::seconds(5),
                                          .client = 7}));
    link->Flush();
    return refused;
  }

 private:
  void OnReplicaSick(std::string_view error) override { sick.emplace_back(error); }
};

TEST_CASE_FIXTURE(Chance, "what the replica answers is handed on, errors of the command too") {
  FakeConnection& connection = Start();
  CHECK(Read(1).empty());
  CHECK(Read(2).empty());
  connection.Feed("$1\r\na\r\n-WRONGTYPE it is a list\r\n");
  CHECK(sink.heard == Heard{"1: $1\r\na\r\n", "2: -WRONGTYPE it is a list\r\n"});
  CHECK(primary.sent.empty());
  CHECK(replica_stats.reads.value() == 2);
}

TEST_CASE_FIXTURE(Chance, "what it cannot serve is asked of the primary, and it is left") {
  FakeConnection& connection = Start();
  (void)Read(1);
  (void)Read(2);
  connection.Feed(
      "-LOADING Redis is loading the dataset in memory\r\n-MASTERDOWN Link with MASTER is "
      "down\r\n");
  CHECK(sink.heard.empty());
  CHECK(primary.sent == std::vector{Wire({"GET", "1"}), Wire({"GET", "2"})});
  CHECK(primary.repeatable);
  CHECK(sick.size() == 2);
  CHECK(replica_stats.again.value() == 2);
}

TEST_CASE_FIXTURE(Chance,
                  "of a cluster's replica, so is what it redirects or may not have any more") {
  FakeConnection& connection = Start(true);
  std::vector<std::string> asked;
  for (const char* reply :
       {"-MOVED 5 a:1\r\n", "-ASK 5 a:1\r\n", "-TRYAGAIN later\r\n", "$-1\r\n", "_\r\n", "*-1\r\n",
        ":0\r\n", ":-2\r\n", "*0\r\n", "%0\r\n", "~0\r\n", "+none\r\n", "$0\r\n\r\n"}) {
    (void)Read(asked.size());
    asked.push_back(Wire({"GET", std::to_string(asked.size())}));
    connection.Feed(reply);
    CHECK_MESSAGE(primary.sent == asked, reply);
  }
  CHECK(sick.empty());
  CHECK(sink.heard.empty());
  (void)Read(100);
  connection.Feed("-CLUSTERDOWN The cluster is down\r\n");
  CHECK(sick.size() == 1);
  CHECK(primary.sent.size() == asked.size() + 1);
  for (const char* reply :
       {":1\r\n", "$1\r\n0\r\n", "*1\r\n$-1\r\n", "-WRONGTYPE it is a list\r\n"}) {
    sink.heard.clear();
    (void)Read(101);
    connection.Feed(reply);
    CHECK(sink.heard == Heard{"101: " + std::string(reply)});
  }
}

TEST_CASE_FIXTURE(Chance, "elsewhere a key that is not there is not there") {
  FakeConnection& connection = Start();
  (void)Read(1);
  connection.Feed("$-1\r\n");
  CHECK(sink.heard == Heard{"1: $-1\r\n"});
}

TEST_CASE_FIXTURE(Chance, "what was on its way when the link was lost is asked of the primary") {
  FakeConnection& connection = Start();
  (void)Read(1);
  connection.End(Code::kEof);
  CHECK(primary.sent == std::vector{Wire({"GET", "1"})});
  CHECK(sink.heard.empty());
}

TEST_CASE_FIXTURE(Chance, "a primary that refuses is the end of it") {
  FakeConnection& connection = Start();
  primary.refusal = "ERR nearcached: away";
  (void)Read(1);
  connection.End(Code::kEof);
  CHECK(sink.heard == Heard{Lost(1, "ERR nearcached: away")});
}

TEST_CASE_FIXTURE(Chance, "half a reply is not mended by another") {
  FakeConnection& connection = Start();
  (void)Read(1);
  connection.Feed("$100000\r\n" + std::string(90'000, 'x'));
  connection.End(Code::kEof);
  CHECK(primary.sent.empty());
  REQUIRE(!sink.heard.empty());
  CHECK(sink.heard.back().find("1 broken: ") != std::string::npos);
}

TEST_CASE_FIXTURE(Chance, "who has waited for as long as a command may is told so") {
  (void)Start();
  (void)Read(2);
  scheduler.Advance(std::chrono::seconds(6));
  CHECK(primary.sent.empty());
  CHECK(sink.heard == Heard{Lost(2, proto::kErrTimeout)});
}

}  // namespace
}  // namespace nearcached
