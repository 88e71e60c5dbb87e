// Where the upstream is: something the pool asks each time it dials, so that Sentinel and Cluster
// can answer it as well as a fixed address does.
#pragma once

#include <utility>

#include "daemon/base/byte_stream.h"

namespace nearcached {

class Topology {
 public:
  // The endpoint that is believed to be primary now. Asked again after every loss.
  [[nodiscard]] virtual Endpoint Primary() const = 0;

 protected:
  ~Topology() = default;
};

// One primary at one address.
class SingleTopology final : public Topology {
 public:
  explicit SingleTopology(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}
  [[nodiscard]] Endpoint Primary() const override { return endpoint_; }

 private:
  Endpoint endpoint_;
};

}  // namespace nearcached
