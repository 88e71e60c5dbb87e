// The server's invalidation table, as measured on live servers (pitfalls.md 4.8).
//
// Default mode remembers the keys of read-only commands per session, by name without database; the
// first invalidation of a key removes it for all. BCAST sessions hear every write.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/rng.h"

namespace nearcached::sim {

using SessionNumber = std::uint64_t;

// One session's CLIENT TRACKING state.
struct TrackingMode {
  bool on = false;
  bool optin = false;
  bool bcast = false;
  bool noloop = false;
  SessionNumber redirect = 0;         // who is told instead; 0: the session itself
  std::vector<std::string> prefixes;  // BCAST; empty: all keys
};

class TrackingTable {
 public:
  // `push` sends an invalidation of one key on behalf of a session: to it, or to whom it redirects.
  // (The table does not know sockets.) Broadcasts are sent by Broadcast(), which the server calls
  // at the end of a round of its event loop, so after replies of that round.
  using Push = std::function<void(SessionNumber, const std::string& key)>;

  TrackingTable(Rng& rng, Push push) : rng_(rng), push_(std::move(push)) {}

  void SetMaxKeys(std::size_t max) { max_keys_ = max; }
  void SetMode(SessionNumber session, TrackingMode mode);
  [[nodiscard]] const TrackingMode* Mode(SessionNumber session) const;
  // RESET, TRACKING OFF or the end of the connection. Table entries stay until they are hit.
  void Forget(SessionNumber session) { modes_.erase(session); }

  // Remembers a key for a session; may evict another key, with pushes.
  void Remember(SessionNumber session, const std::string& key);
  // Only sessions for which `hears` is true are told; the others stay in the table. (Each node has
  // a table of its own.)
  using Hears = std::function<bool(SessionNumber)>;
  void Invalidate(const std::string& key, SessionNumber writer, const Hears& hears);
  // FLUSH*: the table is emptied of those who hear it; returns who must get the null push.
  [[nodiscard]] std::vector<SessionNumber> InvalidateAll(const Hears& hears = [](SessionNumber) {
    return true;
  });
  // Sends what has gathered for BCAST sessions.
  void Broadcast();
  [[nodiscard]] bool broadcasts_pending() const { return !pending_.empty(); }
  // A restart: nobody is tracked and nobody is told.
  void Clear();
  [[nodiscard]] std::size_t keys() const { return table_.size(); }

 private:
  Rng& rng_;
  Push push_;
  std::size_t max_keys_ = 1000;
  std::map<SessionNumber, TrackingMode> modes_;
  std::map<std::string, std::set<SessionNumber>> table_;
  std::set<std::pair<SessionNumber, std::string>> pending_;  // broadcasts of this round
};

}  // namespace nearcached::sim
