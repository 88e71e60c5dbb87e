// Tracking redirected to a link of its own: for servers that know CLIENT TRACKING but give us no
// RESP3, whose pushes would come on the link that read.
//
// One tracking link subscribes to the invalidation channel in RESP2; every fill link it covers says
// CLIENT TRACKING ON REDIRECT <its id>. What goes with two sockets, and is kept here:
// - A fill link is armed when the server has confirmed the redirection, and not before (R6).
// - Ids are a server's own. An id that means our tracking link there may mean somebody else here
//   (behind a name with several addresses, or after a restart), and the server would confirm it all
//   the same; so both links have to name the same run of the same server (run_id of INFO) first.
// - When the tracking link is lost, pushes vanish without a trace: everything that covered links
//   have filled is dropped, what is under way fills nothing, and each is armed anew as soon as the
//   tracking link stands again. What is read meanwhile is forwarded.
// - When a fill link is lost the server forgets whom to tell of its keys though the tracking link
//   lives (https://github.com/redis/redis/issues/13082): its entries go with it, as in every mode.
// A push may come before the reply whose read it ends, or after one that shows what it announces:
// for the first there are tickets (R1); for the second see FlightTable::ForgetOlder, and
// TrackingState::kArmedUnordered. https://redis.io/docs/latest/commands/client-tracking/
//
// Owned by the pool; loop thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/cache/cache_key.h"
#include "daemon/upstream/exclusive_pool.h"
#include "daemon/upstream/link.h"
#include "daemon/upstream/upstream_stats.h"

namespace nearcached {

// Who has the fill links.
class RedirectionOwner {
 public:
  // The server has confirmed that it tells the tracking link of what `fill` reads.
  virtual void OnRedirectionArmed(Link& fill) = 0;
  // The server cannot do it, or cannot prove it, and why.
  virtual void OnRedirectionRefused(std::string_view why) = 0;
  // Nothing is heard any more of what these links have filled. `away`: not because we closed it.
  virtual void OnTrackerLost(std::span<const FillOwner> owners, bool away) = 0;

 protected:
  ~RedirectionOwner() = default;
};

class RedirectedTracking {
 public:
  // Borrowed things outlive it.
  RedirectedTracking(LinkYard& yard, UpstreamStats& stats, RedirectionOwner& owner, DbIndex db)
      : yard_(yard), stats_(stats), owner_(owner), db_(db) {}
  RedirectedTracking(const RedirectedTracking&) = delete;
  RedirectedTracking& operator=(const RedirectedTracking&) = delete;
  ~RedirectedTracking() = default;

  // A fill link stands and is to be armed, now or as soon as the tracking link stands, which is
  // opened if need be.
  void Cover(Link& fill);
  // It stands and needs no redirection.
  void Uncover(const Link& fill) {
    std::erase_if(covered_, [&](const Covered& covered) { return covered.fill == &fill; });
  }
  [[nodiscard]] bool Covers(const Link& fill) const {
    return std::any_of(covered_.begin(), covered_.end(),
                       [&](const Covered& covered) { return covered.fill == &fill; });
  }

  // What the pool hears of the tracking link.
  void OnReady();
  void OnDown(bool away);
  // The server says, on a fill link, that the tracking link is gone.
  void OnBroken();

  // Goes on after a doubt, and asks again what timed out. Called every health_interval.
  void Tick();
  // The tracking link; null while it was never needed.
  [[nodiscard]] Link* tracker() const { return tracker_.get(); }
  [[nodiscard]] bool ready() const { return ready_; }

 private:
  enum class Arming : std::uint8_t { kWaiting, kAsked, kArmed, kRefused };
  struct Covered {
    Link* fill = nullptr;
    Arming state = Arming::kWaiting;
    std::uint64_t attempt = 0;  // to arm it
  };

  [[nodiscard]] bool IsOfTracker(std::uint64_t attempt) const;
  void Subscribe(std::uint64_t attempt, const UpstreamReply* info);
  void OnSubscribed(std::uint64_t attempt, const UpstreamReply* reply);
  void ArmAll();
  void Ask(Covered& covered);
  void OnTrackingReply(const Link* fill, const UpstreamReply* reply, std::uint64_t attempt);
  void OnRunId(const Link* fill, const UpstreamReply* reply, std::uint64_t attempt);
  Covered* Find(const Link* fill);
  Covered* Awaiting(const Link* fill, std::uint64_t attempt);
  void Refuse(std::string_view why);
  void Doubt(std::string_view why);

  LinkYard& yard_;
  UpstreamStats& stats_;
  RedirectionOwner& owner_;
  const DbIndex db_;
  std::unique_ptr<Link> tracker_;
  bool ready_ = false;                 // subscribed, and known where
  bool reopen_ = false;                // at the next tick
  std::uint64_t attempts_ = 0;         // tells a late reply from the one that is due
  std::uint64_t tracker_attempt_ = 0;  // of its connection; 0: there is none
  std::string id_;                     // the server's CLIENT ID of the tracking link
  std::string run_id_;                 // of the server it stands at
  std::vector<Covered> covered_;       // few, and in a fixed order
};

}  // namespace nearcached
