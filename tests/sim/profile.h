// The kinds of worlds there are.
#pragma once

#include <string_view>
#include <vector>

#include "daemon/base/time.h"

namespace nearcached::sim {

// What may go wrong, and how much of what traffic there is. Every world draws its own values
// within these bounds.
struct Profile {
  std::string_view name;
  bool faults = false;               // networks and servers misbehave
  bool garbage = false;              // the server sometimes speaks nonsense
  bool tracking = true;              // the product is configured to use CLIENT TRACKING
  std::string_view method = "auto";  // how
  bool server_tracks = true;         // … and the server knows it
  bool overload = false;             // small limits, deep pipelines, slow readers
  bool short_lives = false;          // keys die while their replies are on slow links
  bool announced = false;            // writes past the product are announced, mostly by prefix
  bool meeting = false;              // clients read few keys in many ways, and others change them
  bool failover = false;             // several nodes, and the primary changes
  bool replicas = false;             // several nodes, and replicas that lag are read from
  bool cluster = false;              // a Redis Cluster, and whatever happens to one
  bool maintenance = false;          // an operator's key comes and goes
  bool identity = false;             // clients log in to the server themselves
  bool cuts = false;  // short sessions, most of which end in the middle of a byte stream
  double churn = 1;   // weight of expiries, deletes and flushes
  double drain_mid_traffic = 0.1;
};

[[nodiscard]] const std::vector<Profile>& Profiles();
// Null: no such profile.
[[nodiscard]] const Profile* FindProfile(std::string_view name);

}  // namespace nearcached::sim
