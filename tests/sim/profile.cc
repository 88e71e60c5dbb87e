#include "tests/sim/profile.h"

#include <algorithm>

namespace nearcached::sim {

const std::vector<Profile>& Profiles() {
  static const std::vector<Profile> kProfiles = [] {
    std::vector<Profile> all;
    all.push_back({.name = "calm", .drain_mid_traffic = 0});
    all.push_back({.name = "faults", .faults = true, .garbage = true});
    all.push_back({.name = "tracking-off", .tracking = false});
    all.push_back({.name = "old-server", .faults = true, .server_tracks = false});
    all.push_back({.name = "churn", .churn = 6});
    all.push_back({.name = "overload", .faults = true, .overload = true});
    all.push_back({.name = "short-lives", .short_lives = true, .churn = 4});
    all.push_back({.name = "announced", .tracking = false, .announced = true});
    all.push_back({.name = "meeting", .short_lives = true, .meeting = true, .churn = 3});
    all.push_back({.name = "failover", .failover = true});
    all.push_back({.name = "cluster", .cluster = true});
    all.push_back({.name = "redirect", .method = "redirect", .churn = 2});
    all.push_back({.name = "redirect-faults", .faults = true, .method = "redirect"});
    all.push_back({.name = "redirect-failover", .method = "redirect", .failover = true});
    all.push_back({.name = "redirect-cluster", .method = "redirect", .cluster = true});
    all.push_back({.name = "bcast", .method = "bcast", .churn = 2});
    all.push_back({.name = "bcast-faults", .faults = true, .method = "bcast"});
    all.push_back({.name = "replicas", .replicas = true});
    all.push_back({.name = "cluster-replicas", .replicas = true, .cluster = true});
    all.push_back({.name = "cuts", .cuts = true});
    all.push_back({.name = "replicas-failover", .failover = true, .replicas = true});
    all.push_back({.name = "maintenance", .faults = true, .maintenance = true});
    all.push_back({.name = "identity", .identity = true});
    all.push_back({.name = "identity-faults", .faults = true, .identity = true});
    all.push_back({.name = "identity-meeting", .meeting = true, .identity = true, .churn = 3});
    return all;
  }();
  return kProfiles;
}

const Profile* FindProfile(std::string_view name) {
  const auto& all = Profiles();
  const auto it = std::find_if(all.begin(), all.end(),
                               [&](const Profile& profile) { return profile.name == name; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace nearcached::sim
