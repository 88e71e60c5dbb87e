// The answer to an MGET whose keys come from different places, put together in request order.
//
// Owned by the slot of its request. https://redis.io/docs/latest/commands/mget/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/protocol.h"

namespace nearcached {

struct MgetGather {
  // An encoded value, or nothing for nil.
  struct Part {
    std::string value;
    bool null = true;
  };
  std::vector<Part> parts;
  std::uint32_t waiting = 0;  // parts whose flight has not answered
  std::uint64_t bytes = 0;    // of what flights brought
  std::string error;          // the first error line that concerns the whole, encoded

  // Appends the whole reply. REQUIRES: waiting == 0.
  void Render(std::string& out, proto::Protocol protocol) const;
};

}  // namespace nearcached
