#include "daemon/upstream/watched_topology.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proto/encode.h"
#include "tests/support/fake_network.h"
#include "tests/support/fake_scheduler.h"

namespace nearcached {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Bulks(const std::vector<std::string_view>& words) {
  std::string bytes;
  proto::AppendCommand(bytes, words);  // an array of bulks
  return bytes;
}

std::string PrimaryRole(std::size_t replicas) {
  std::string bytes = "*3\r\n$6\r\nmaster\r\n:100\r\n";
  proto::AppendArrayHeader(bytes, replicas);
  for (std::size_t i = 0; i < replicas; ++i) {
    bytes += Bulks({"10.0.0.9", "6379", "100"});
  }
  return bytes;
}

const char* const kReplicaRole =
    "*5\r\n$5\r\nslave\r\n$1\r\nx\r\n:1\r\n$9\r\nconnected\r\n:100\r\n";

// Nodes and sentinels by name; each answers what `says` holds for it, or refuses connections when
// there is nothing, or accepts and never answers when it is "silent".
class WatchFixture : private TopologyObserver {
 public:
  FakeScheduler scheduler;
  FakeDialer dialer;
  config::UpstreamConfig config;
  TopologyStats stats;
  std::map<std::string, std::string> says;    // "n1:1" -> the reply to ROLE
  std::map<std::string, std::string> names;   // "s1:1" -> "host port" of the master
  std::map<std::string, std::string> epochs;  // "s1:1" -> its config-epoch, where it says one
  std::string late{};                         // the sentinel that does not give addresses yet
  std::map<std::string, std::string> others;  // "s1:1" -> the reply to SENTINEL SENTINELS
  std::map<std::string, std::string> ids;     // "s1:1" -> the reply to SENTINEL MYID
  std::vector<std::string> changes;           // "to n1:1", "none"
  std::optional<WatchedTopology> topology;

  WatchFixture() = default;
  virtual ~WatchFixture() {
    if (topology) {
      topology->Stop();
    }
    CHECK(scheduler.timers() == 0);
  }
  WatchFixture(const WatchFixture&) = delete;
  WatchFixture& operator=(const WatchFixture&) = delete;

  void StartReplicated(const std::vector<std::string>& hosts) {
    config.topology = config::TopologyKind::kReplicated;
    Begin(hosts);
  }
  void StartSentinel(const std::vector<std::string>& hosts) {
    config.topology = config::TopologyKind::kSentinel;
    config.sentinel.master_name = "m";
    Begin(hosts);
  }

  // Lets time pass in small steps, with everybody answering.
  void Pass(Duration time) {
    for (Duration step = milliseconds(10); time > Duration::zero(); time -= step) {
      Pump();
      scheduler.Advance(step);
      Pump();
    }
  }

  void Publish(const std::string& sentinel, const std::string& payload) {
    for (std::size_t i = 0; i < dialer.dials(); ++i) {
      if (dialer.endpoint(i).ToString() == sentinel && subscribed_[i]) {
        dialer.connection(i).Feed(Bulks({"message", "+switch-master", payload}));
      }
    }
    Pump();
  }

  [[nodiscard]] std::string Primary() const {
    return topology->has_primary() ? topology->Primary().ToString() : "none";
  }

 private:
  void Begin(const std::vector<std::string>& hosts) {
    config.nodes.clear();
    for (const std::string& host : hosts) {
      config.nodes.push_back(*config::ParseHostPort(host, 6379).value);
    }
    topology.emplace(TopologyContext{scheduler, dialer, config, stats});
    topology->Start(*this);
    Pass(milliseconds(50));
  }

  void OnPrimaryChanged() override {
    changes.push_back(topology->has_primary() ? "to " + Primary() : "none");
  }

  void Pump() {
    for (bool again = true; again;) {
      again = false;
      for (std::size_t i = 0; i < dialer.dials(); ++i) {
        again = PumpOne(i) || again;
      }
    }
  }

  bool PumpOne(std::size_t i) {
    FakeConnection& connection = dialer.connection(i);
    const std::string name = dialer.endpoint(i).ToString();
    if (connection.closed()) {
      return false;
    }
    if (says.count(name) + names.count(name) == 0) {
      connection.End(Code::kUnavailable, "connection refused");
      return true;
    }
    connection.Open();
    std::string asked = unanswered_[i] + connection.TakeWritten();
    if (asked.empty() || says[name] == "silent") {
      unanswered_[i] = asked;
      return false;
    }
    unanswered_[i].clear();
    std::string replies;
    while (!asked.empty()) {  // questions come whole and begin with their array
      const std::size_t next = asked.find("\n*");
      const std::string question = asked.substr(0, next == std::string::npos ? next : next + 1);
      if (name == late && question.find("GET-MASTER-ADDR") != std::string::npos) {
        unanswered_[i] = asked;
        break;
      }
      asked.erase(0, question.size());
      replies += Answer(i, name, question);
    }
    connection.Feed(replies);
    return !replies.empty();
  }

  std::string Answer(std::size_t i, const std::string& name, const std::string& question) {
    const auto has = [&](const char* word) { return question.find(word) != std::string::npos; };
    if (has("ROLE")) {
      return says[name];
    }
    if (has("GET-MASTER-ADDR")) {
      const std::string& master = names[name];
      const std::size_t blank = master.find(' ');
      return master.empty() ? "*-1\r\n"
                            : Bulks({std::string_view(master).substr(0, blank),
                                     std::string_view(master).substr(blank + 1)});
    }
    if (has("MASTER")) {
      return epochs.count(name) == 0 ? "-NOPERM\r\n" : Bulks({"config-epoch", epochs[name]});
    }
    if (has("MYID")) {
      return ids.count(name) == 0 ? "-ERR Unknown sentinel subcommand\r\n" : ids[name];
    }
    if (has("SENTINELS")) {
      return others.count(name) == 0 ? "*0\r\n" : others[name];
    }
    if (has("SUBSCRIBE")) {
      subscribed_[i] = true;
      return "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n";
    }
    return "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
  }

  std::map<std::size_t, std::string> unanswered_;
  std::map<std::size_t, bool> subscribed_;
};

using Changes = std::vector<std::string>;

TEST_CASE_FIXTURE(WatchFixture, "of a list the one that says it is the primary is followed") {
  says = {{"n1:1", kReplicaRole}, {"n2:1", PrimaryRole(1)}};
  StartReplicated({"n1:1", "n2:1"});
  CHECK(changes == Changes{"to n2:1"});
  CHECK(stats.switches.value() == 0);  // found, not changed
  Pass(seconds(3));
  CHECK(changes.size() == 1);
}

TEST_CASE_FIXTURE(WatchFixture,
                  "a promotion is noticed within the interval, at once under suspicion") {
  says = {{"n1:1", PrimaryRole(1)}, {"n2:1", kReplicaRole}};
  StartReplicated({"n1:1", "n2:1"});
  says = {{"n1:1", kReplicaRole}, {"n2:1", PrimaryRole(1)}};
  Pass(seconds(1));
  CHECK(Primary() == "n2:1");
  CHECK(stats.switches.value() == 1);
  says = {{"n1:1", PrimaryRole(1)}, {"n2:1", kReplicaRole}};
  topology->Suspect("READONLY");
  Pass(milliseconds(30));
  CHECK(Primary() == "n1:1");
}

TEST_CASE_FIXTURE(WatchFixture,
                  "a primary that became a replica is not used while there is no other") {
  says = {{"n1:1", PrimaryRole(1)}, {"n2:1", kReplicaRole}};
  StartReplicated({"n1:1", "n2:1"});
  says["n1:1"] = kReplicaRole;
  Pass(seconds(1));
  CHECK(changes == Changes{"to n1:1", "none"});
  CHECK(stats.losses.value() == 1);
  says["n2:1"] = PrimaryRole(1);
  Pass(milliseconds(150));
  CHECK(Primary() == "n2:1");
}

TEST_CASE_FIXTURE(WatchFixture,
                  "a primary that is gone is followed until another calls itself one") {
  says = {{"n1:1", PrimaryRole(1)}, {"n2:1", kReplicaRole}};
  StartReplicated({"n1:1", "n2:1"});
  says.erase("n1:1");
  dialer.connection(0).End(Code::kEof);
  Pass(seconds(3));
  CHECK(changes == Changes{"to n1:1"});  // dialling it fails and says why
  says["n2:1"] = PrimaryRole(0);
  Pass(seconds(1));
  CHECK(Primary() == "n2:1");
  says["n1:1"] = kReplicaRole;
  Pass(seconds(2));
  CHECK(Primary() == "n2:1");
}

TEST_CASE_FIXTURE(WatchFixture, "a silent primary gives way within the stated bound") {
  says = {{"n1:1", PrimaryRole(1)}, {"n2:1", kReplicaRole}};
  StartReplicated({"n1:1", "n2:1"});
  says = {{"n1:1", "silent"}, {"n2:1", PrimaryRole(1)}};
  Pass(seconds(2));
  CHECK(Primary() == "n1:1");  // not after one slow answer
  Pass(seconds(2) + milliseconds(500));
  CHECK(Primary() == "n2:1");  // (health_misses + 1) x health_interval, and the pace between
}

TEST_CASE_FIXTURE(WatchFixture,
                  "a primary that comes back from the dead does not win by answering first") {
  says = {{"n1:1", PrimaryRole(0)}, {"n2:1", PrimaryRole(1)}};
  StartReplicated({"n1:1", "n2:1"});
  CHECK(Primary() == "n2:1");
  CHECK(stats.split_brain.value() > 0);
}

TEST_CASE_FIXTURE(WatchFixture, "doubts cost a bounded number of questions") {
  says = {{"n1:1", PrimaryRole(0)}, {"n2:1", kReplicaRole}};
  StartReplicated({"n1:1", "n2:1"});
  const std::uint64_t before = stats.control.answered.value();
  for (int i = 0; i < 1000; ++i) {
    topology->Suspect("a link was lost");
  }
  Pass(milliseconds(100));
  CHECK(stats.control.answered.value() - before <= 4);
  says.clear();
  const std::size_t dials = dialer.dials();
  for (int i = 0; i < 60; ++i) {
    topology->Suspect("a link was lost");
    Pass(seconds(1));
  }
  CHECK(dialer.dials() - dials < 2 * (60 + 110));  // quick rounds end, usual ones go on
}

TEST_CASE_FIXTURE(WatchFixture, "sentinels name the primary, and it is asked itself") {
  names = {{"s1:1", "n1 1"}, {"s2:1", "n1 1"}, {"s3:1", "n1 1"}};
  says = {{"n1:1", PrimaryRole(1)}, {"n2:1", kReplicaRole}};
  StartSentinel({"s1:1", "s2:1", "s3:1"});
  CHECK(changes == Changes{"to n1:1"});
  CHECK(stats.sentinels_answering.value() == 0);  // counted with the next round
  names = {{"s1:1", "n2 1"}, {"s2:1", "n2 1"}, {"s3:1", "n2 1"}};
  Pass(seconds(1));
  CHECK(Primary() == "n1:1");  // n2 denies it
  CHECK(stats.refuted.value() > 0);
  says["n2:1"] = PrimaryRole(1);
  Pass(seconds(1));
  CHECK(Primary() == "n2:1");  // a majority moves us, though n1 still calls itself primary
}

TEST_CASE_FIXTURE(WatchFixture, "a sentinel that lies or lags alone changes nothing") {
  names = {{"s1:1", "n1 1"}, {"s2:1", "n1 1"}, {"s3:1", "n2 1"}};
  says = {{"n1:1", PrimaryRole(0)}, {"n2:1", PrimaryRole(5)}};
  StartSentinel({"s1:1", "s2:1", "s3:1"});
  CHECK(Primary() == "n1:1");
  Pass(seconds(3));
  CHECK(changes == Changes{"to n1:1"});
}

TEST_CASE_FIXTURE(WatchFixture, "the sentinel that led the failover is enough, by its epoch") {
  names = {{"s1:1", "n1 1"}, {"s2:1", "n1 1"}, {"s3:1", "n1 1"}};
  epochs = {{"s1:1", "3"}, {"s2:1", "3"}, {"s3:1", "3"}};
  says = {{"n1:1", PrimaryRole(2)}, {"n2:1", kReplicaRole}};
  StartSentinel({"s1:1", "s2:1", "s3:1"});
  names["s2:1"] = "n2 1";
  epochs["s2:1"] = "4";
  says["n2:1"] = PrimaryRole(0);
  Pass(milliseconds(1500));
  CHECK(Primary() == "n2:1");
  names = {{"s1:1", "n1 1"}};  // only a lagging one is left
  Pass(seconds(2));
  CHECK(Primary() == "n2:1");
}

TEST_CASE_FIXTURE(WatchFixture, "an epoch is that of the address that comes with it") {
  names = {{"s1:1", "n1 1"}, {"s2:1", "n1 1"}, {"s3:1", "n1 1"}};
  epochs = {{"s1:1", "3"}, {"s2:1", "3"}, {"s3:1", "3"}};
  says = {{"n1:1", PrimaryRole(2)}, {"n2:1", kReplicaRole}};
  StartSentinel({"s1:1", "s2:1", "s3:1"});
  late = "s1:1";  // has said its new epoch, and not yet whose it is
  names["s1:1"] = names["s2:1"] = "n2 1";
  epochs = {{"s1:1", "4"}, {"s2:1", "4"}};
  says = {{"n1:1", kReplicaRole}, {"n2:1", PrimaryRole(1)}};
  Pass(milliseconds(1500));
  CHECK(Primary() == "n2:1");
  late.clear();
  says["n1:1"] = PrimaryRole(0);  // it is back, nobody has told it yet
  Pass(seconds(1));
  CHECK(Primary() == "n2:1");
  says["n2:1"] = kReplicaRole;  // the next failover begins, and s3 still names n1
  Pass(milliseconds(1500));
  CHECK(changes.back() == "none");
}

TEST_CASE_FIXTURE(WatchFixture, "+switch-master is acted on at once") {
  names = {{"s1:1", "n1 1"}};
  says = {{"n1:1", PrimaryRole(1)}, {"n2:1", kReplicaRole}};
  StartSentinel({"s1:1"});
  names = {{"s1:1", "n2 1"}};
  says = {{"n1:1", kReplicaRole}, {"n2:1", PrimaryRole(1)}};
  Publish("s1:1", "other n1 1 n2 1");
  Pass(milliseconds(20));
  CHECK(Primary() == "n1:1");
  Publish("s1:1", "m n1 1 n2 1");
  Pass(milliseconds(20));
  CHECK(Primary() == "n2:1");
}

TEST_CASE_FIXTURE(WatchFixture, "without any sentinel the primary that stands is kept") {
  names = {{"s1:1", "n1 1"}};
  says = {{"n1:1", PrimaryRole(1)}};
  StartSentinel({"s1:1"});
  names.clear();
  Pass(seconds(5));
  CHECK(changes == Changes{"to n1:1"});
  CHECK(stats.sentinels_answering.value() == 0);
}

TEST_CASE_FIXTURE(WatchFixture, "sentinels that nobody configured are learned") {
  names = {{"s1:1", "n1 1"}, {"s2:1", "n1 1"}};
  others["s1:1"] = "*1\r\n" + Bulks({"ip", "s2", "port", "1"});
  says = {{"n1:1", PrimaryRole(1)}, {"n2:1", kReplicaRole}};
  StartSentinel({"s1:1"});
  Pass(seconds(2));
  CHECK(stats.sentinels_answering.value() == 2);
  names = {{"s2:1", "n2 1"}};
  says = {{"n2:1", PrimaryRole(1)}};
  topology->Suspect("lost");
  Pass(seconds(2));
  CHECK(Primary() == "n2:1");  // the one that was configured is gone with the primary
}

TEST_CASE_FIXTURE(WatchFixture, "one sentinel under two names has one vote") {
  names = {{"s1:1", "n2 1"}, {"alias:1", "n2 1"}, {"s2:1", "n1 1"}, {"s3:1", "n1 1"}};
  ids = {{"s1:1", "+a\r\n"}, {"alias:1", "+a\r\n"}, {"s2:1", "+b\r\n"}, {"s3:1", "+c\r\n"}};
  says = {{"n1:1", PrimaryRole(0)}, {"n2:1", PrimaryRole(3)}};
  StartSentinel({"s1:1", "alias:1", "s2:1", "s3:1"});
  Pass(seconds(2));
  CHECK(Primary() == "n1:1");
}

TEST_CASE_FIXTURE(WatchFixture,
                  "a sentinel that does not know the name leaves us without primary") {
  names = {{"s1:1", ""}};
  StartSentinel({"s1:1"});
  Pass(seconds(1));
  CHECK(Primary() == "none");
  CHECK(changes.empty());
}

}  // namespace
}  // namespace nearcached
