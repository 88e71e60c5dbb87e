// A topology that is what a test says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/upstream/topology.h"

namespace nearcached {

class FakeTopology final : public Topology {
 public:
  Endpoint primary{.host = "up", .port = 6379, .unix_path = {}};
  bool known = true;
  bool may_change = false;
  std::vector<std::string> doubts;

  [[nodiscard]] Endpoint Primary() const override { return primary; }
  [[nodiscard]] bool has_primary() const override { return known; }
  [[nodiscard]] bool changes() const override { return may_change; }
  void Suspect(std::string_view why) override { doubts.emplace_back(why); }
};

}  // namespace nearcached
