// What NEARCACHE POOLS, UPSTREAMS, CLIENTS and TRACKING show of a worker. Loop thread only.
#pragma once

#include <vector>

#include "daemon/admin/admin_row.h"
#include "daemon/base/time.h"
#include "daemon/worker.h"

namespace nearcached {

// A row for the exclusive links, for each group of lanes (database and protocol) and for the fill
// links of each database.
[[nodiscard]] std::vector<AdminRow> PoolRows(const Worker& worker);
// A row for each server.
[[nodiscard]] std::vector<AdminRow> UpstreamRows(const Worker& worker);
// A row for each client.
[[nodiscard]] std::vector<AdminRow> ClientRows(const Worker& worker, MonoTime now);
// A row for each link that carries invalidations.
[[nodiscard]] std::vector<AdminRow> TrackingRows(const Worker& worker);

}  // namespace nearcached
