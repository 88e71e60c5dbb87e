// A worker whose upstream is a cluster of two nodes, a:1 and b:1, that the test plays.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "tests/unit/daemon/worker_fixture.h"

namespace nearcached {

using namespace std::chrono_literals;

// "bar" and "hello" are in slots 5061 and 866, which are a's, "foo" is in 12182, which is b's.
inline std::string Map(int b_from) {
  const auto node = [](std::string_view host) { return "*2\r\n" + Bulk(host) + ":1\r\n"; };
  return "*2\r\n*3\r\n:0\r\n:" + std::to_string(b_from - 1) + "\r\n" + node("a") +
         "*3\r\n:" + std::to_string(b_from) + "\r\n:16383\r\n" + node("b");
}

class Clustered : public WorkerFixture {
 public:
  Clustered() {
    config.upstream.topology = config::TopologyKind::kCluster;
    config.upstream.nodes = {config::HostPort{"a", 1}};
    config.upstream.cluster_refresh_interval = 1h;
  }
  void StartAsking() {
    Start();
    Wait(1ms);  // the first question is asked from a timer
  }
  void StartMapped() {
    StartAsking();
    GiveMap();
  }
  void GiveMap(int b_from = 8192) {
    server.Answer("CLUSTER SLOTS", Map(b_from));
    Turn();
  }
  const ClusterStats& cluster() { return worker->cluster_stats(); }
};

}  // namespace nearcached
