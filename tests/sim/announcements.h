// What others have announced on the invalidation channel, and what of it the product has been
// handed: from then on nobody may be shown what the announced keys held before (INVALIDATION.md).
//
// Owned by the world; connections outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/sim_network.h"

namespace nearcached::sim {

class Announcements {
 public:
  static constexpr const char* kChannel = "changes";

  // What one message names.
  struct Names {
    std::vector<std::string> keys;
    std::vector<std::string> prefixes;
    bool everything = false;
  };

  // `names` were said to `connection`, in what has just been sent to it, after the command `op`.
  // A confirmed subscription says everything: what was missed before it is made up for.
  void Said(const SimConnection& connection, const Names& names, std::uint64_t op);

  // The newest command after which the product was told of `key`: versions that ended by then are
  // not to be shown to who asks now.
  [[nodiscard]] std::uint64_t FloorOf(const std::string& key);

 private:
  struct Pending {
    const SimConnection* connection = nullptr;
    std::uint64_t end = 0;  // of the message, in the bytes of the connection
    Names names;
    std::uint64_t op = 0;
  };
  void TakeDelivered();

  std::vector<Pending> pending_;
  std::map<std::string, std::uint64_t> keys_;
  std::map<std::string, std::uint64_t> prefixes_;
  std::uint64_t everything_ = 0;
};

}  // namespace nearcached::sim
