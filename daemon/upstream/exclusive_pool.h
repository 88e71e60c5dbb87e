// The links that are lent to one client at a time, within the limits of upstream.pool.
//
// The vocabulary is that of connection pools elsewhere (Apache Commons Pool, HikariCP, go-redis):
// at most `max_active` links are open, the one returned last is lent first, idle ones are tested,
// closed and replaced. When every link is lent, clients stand in line: first come, first served, up
// to `max_wait`. Nobody who comes later overtakes the line, not even when a link has become free
// and the one it is for has not yet taken it. Whoever got a link whose connection is still being
// made is in line for a connection too: the next that stands is theirs.
//
// Owned by the pool; loop thread only. May tell owners from Return, LeaveLine, timers and the
// callbacks of links, never from Borrow, but for OnLinkExchanged.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/config.h"
#include "daemon/base/scheduler.h"
#include "daemon/fetch/upstream.h"
#include "daemon/upstream/link.h"
#include "daemon/upstream/upstream_stats.h"
#include "daemon/upstream/wait_line.h"

namespace nearcached {

// Makes links, and takes back those that are done with: they may be in the middle of a callback.
class LinkYard {
 public:
  virtual std::unique_ptr<Link> MakeLink(const Link::Spec& spec) = 0;
  // Closes the link now and frees it at the end of the turn.
  virtual void GiveUp(std::unique_ptr<Link> link, std::string_view why) = 0;

 protected:
  ~LinkYard() = default;
};

class ExclusivePool {
 public:
  // All borrowed, and outlive the pool. `config` may change between turns (reload).
  struct Deps {
    Scheduler& scheduler;
    const config::UpstreamConfig& config;
    UpstreamStats& stats;
    LinkYard& yard;
  };
  explicit ExclusivePool(const Deps& deps) : deps_(deps), wanted_db_(deps.config.db) {
    UpdateGauges();
  }
  ~ExclusivePool();
  ExclusivePool(const ExclusivePool&) = delete;
  ExclusivePool& operator=(const ExclusivePool&) = delete;

  // See Upstream.
  ExclusiveLink* Borrow(DbIndex db, proto::Protocol protocol, ExclusiveOwner& owner,
                        std::uint64_t session, std::string_view& error_line);
  void LeaveLine(std::uint64_t session);
  void Return(ExclusiveLink* link, bool reusable);

  // A link of ours stands.
  void OnLinkReady(Link& link);

  // Every health_interval: tests idle links, closes those that are too old, too many or dead, and
  // keeps min_idle ready. `dial`: whether connecting makes sense at the moment.
  void Tick(bool dial);
  // Some of those kept ready were lent or closed since: FillUp is due, once connecting makes sense.
  [[nodiscard]] bool may_be_short() const { return may_be_short_ && !shut_down_; }
  void FillUp();
  // Every link is replaced: the idle ones now, one that is lent, or tested for somebody, when it
  // comes back.
  void Reconnect();
  // No link to the primary of before is used any more, lent or not; their sessions are told.
  void OnPrimaryChanged();
  // Closes what is idle and lends nothing any more.
  void Shutdown();

  [[nodiscard]] std::size_t waiting() const { return line_.size(); }
  // How long the first in line has waited; zero: nobody does.
  [[nodiscard]] Duration oldest_wait() const;
  // Sessions told that they may ask again, and that have not yet.
  [[nodiscard]] std::size_t promised() const { return verdicts_.size() + tests_.size(); }
  // Links open or being opened.
  [[nodiscard]] std::size_t links() const { return lent_.size() + idle_.size() + tests_.size(); }
  [[nodiscard]] std::size_t lent() const { return lent_.size(); }
  // Of those promised, the links that are being tested.
  [[nodiscard]] std::size_t tested() const { return tests_.size(); }
  [[nodiscard]] std::size_t idle() const { return idle_.size(); }

 private:
  // What a session that waited will find when it asks again.
  enum class Verdict : std::uint8_t { kGranted, kExpired };
  // An idle link that must answer a PING before `session` gets it.
  struct Test {
    std::unique_ptr<Link> link;
    ExclusiveOwner* owner = nullptr;
    bool passed = false;  // its session has been told, and comes for it
  };

  [[nodiscard]] const config::PoolConfig& limits() const { return deps_.config.pool; }
  // Links that are lent, or promised to somebody.
  [[nodiscard]] std::size_t taken() const { return lent_.size() + granted_ + tests_.size(); }
  // Stands, or is about to, with nothing on it.
  [[nodiscard]] static bool Usable(const Link& link);
  ExclusiveLink* Wait(ExclusiveOwner& owner, std::uint64_t session, std::string_view& error_line);
  std::unique_ptr<Link> TakeIdle(DbIndex db, proto::Protocol protocol);
  std::unique_ptr<Link> Make(DbIndex db, proto::Protocol protocol, Counter& reason);
  ExclusiveLink* Lend(std::unique_ptr<Link> link, ExclusiveOwner& owner, std::uint64_t session);
  std::unique_ptr<Link> ServeDialling(std::unique_ptr<Link> link);
  void StartTest(std::unique_ptr<Link> link, ExclusiveOwner& owner, std::uint64_t session);
  void OnTested(std::uint64_t session, bool good);
  void Keep(std::unique_ptr<Link> link);
  void Drop(std::unique_ptr<Link> link, Counter* reason);
  void DropIdle(std::size_t index, Counter* reason);
  void DropStale();
  // Of the kind that was asked for last.
  [[nodiscard]] bool Wanted(const Link& link) const;
  [[nodiscard]] std::size_t CountWanted() const;
  void MakeRoomForWanted();
  void ServeLine();
  void Tell(const WaitLine::Waiter& waiter, Verdict verdict);
  void ArmLineTimer();
  void OnLineTimer();
  void UpdateGauges();

  // What the gauges hold of ours.
  struct Reported {
    std::int64_t active = 0;
    std::int64_t idle = 0;
    std::int64_t waiting = 0;
    std::int64_t limit = 0;
  };

  const Deps deps_;
  Reported reported_;
  std::unordered_map<ExclusiveLink*, std::unique_ptr<Link>> lent_;
  std::vector<Link*> dialling_;                    // of those, lent before they stood, by client
  std::vector<std::unique_ptr<Link>> idle_;        // most recently used last
  std::unordered_map<std::uint64_t, Test> tests_;  // by session
  WaitLine line_;
  std::unordered_map<std::uint64_t, Verdict> verdicts_;  // of those told, until they ask again
  std::size_t granted_ = 0;                              // of those, the ones a link is kept for
  std::unique_ptr<Timer> line_timer_;
  // What the links that are kept ready are like: as the one asked for last.
  DbIndex wanted_db_ = 0;
  proto::Protocol wanted_protocol_ = proto::Protocol::kResp2;
  bool may_be_short_ = true;
  bool shut_down_ = false;
};

}  // namespace nearcached
