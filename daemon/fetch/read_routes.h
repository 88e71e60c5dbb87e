// The seam to the replicas as sessions see it: who answers a read that L1 does not keep.
// Implemented by upstream/replica_set. Loop thread only.
//
// A copy that is kept in L1 is never read from a replica. It would need the replica's own
// invalidations, and still be older than a push of the primary that has already been acted on: the
// copy would stay for its ttl. So what goes to replicas are reads of keys which no rule caches, and
// neither L1, nor flights, nor holds know anything of them.
#pragma once

#include <cstdint>
#include <string_view>

#include "daemon/base/time.h"
#include "daemon/cache/l1.h"
#include "daemon/fetch/upstream.h"
#include "proto/protocol.h"

namespace nearcached {

class ReadRoutes {
 public:
  struct Ask {
    std::string_view command{};  // its name, as in CommandRow
    std::string_view key{};      // the first one
    bool single = true;          // the only one
    DbIndex db = 0;
    proto::Protocol protocol = proto::Protocol::kResp2;
    // Any number, always the same of one client: it is then sent to the same replica as long as
    // that can be read, and so does not see one replica's past after another's present.
    std::uint64_t client = 0;
    // What was acknowledged up to this time must show.
    MonoTime since = MonoTime::min();
  };
  struct Route {
    UpstreamLink* link = nullptr;  // to be used at once, if at all; null: the primary's lane
    std::uint64_t lane = 0;        // of `link`: no other link's, ever
    // Reads of one client on two such links may be under way at a time if they share no key.
    bool beside_others = false;
    std::string_view refusal{};  // neither may answer; valid until the next call
  };

  virtual Route RouteRead(const Ask& ask) = 0;

 protected:
  ~ReadRoutes() = default;
};

}  // namespace nearcached
