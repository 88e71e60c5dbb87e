// Three things decide the shape of this file.
//
// A link that comes back is not handed to the first in line at once: the session is told that its
// turn has come, and asks again when it goes on at the end of the turn. Between the two the link is
// idle but promised (`granted_`), and only the promise counts: whoever asks in between stands in
// line. So a session that dies in between costs nothing but the promise, which goes to the next.
//
// A session stands in exactly one place while it waits: in `line_`, in `tests_` (its link is being
// tested), or in `verdicts_` (it was told and has not asked yet). LeaveLine looks in all three.
// What was lent is counted by what is in `lent_`, never by a number that could drift.
//
// A link may be lent before its connection stands; its client need not know, for what is sent
// meanwhile waits in the link. But Redis serves blocked clients in the order in which they blocked,
// so a client must not reach the server before another that asked earlier, only because a standing
// link was there when it came and the other's is still being dialled. Making the later one wait for
// the dial would let one connection that hangs hold up everybody. Instead clients change links: a
// connection that has come to stand, because it was made or because its client has given it back,
// goes to whoever has waited longest for one like it (`dialling_`), and the dial that was that
// client's is whose the connection was, or idle. So nothing that is idle and stands is of use to
// anybody who waits for a dial. Order is kept among clients of one database and protocol.
#include "daemon/upstream/exclusive_pool.h"

#include <algorithm>
#include <utility>

#include "daemon/base/check.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

constexpr std::string_view kErrExhausted =
    "ERR nearcached: every exclusive upstream link is lent out; raise upstream.pool.max_active or "
    "hold fewer transactions, blocking commands and subscriptions at once";
constexpr std::string_view kErrWaited =
    "ERR nearcached: no exclusive upstream link became free within upstream.pool.max_wait; raise "
    "it or upstream.pool.max_active, or hold fewer transactions, blocking commands and "
    "subscriptions at once";

constexpr std::string_view kDone = "no longer needed";

// How often the age of the oldest waiter is looked at.
constexpr Duration kLineInterval = std::chrono::milliseconds(100);

bool Dialling(const Link& link) {
  return link.state() == Link::State::kConnecting || link.state() == Link::State::kHandshake;
}

// For clients one is as good as the other.
bool Alike(const Link& link, const Link& other) {
  return link.spec().db == other.spec().db && link.spec().protocol == other.spec().protocol;
}

}  // namespace

ExclusivePool::~ExclusivePool() {
  NC_CHECK(line_.empty() && tests_.empty() && idle_.empty());
}

bool ExclusivePool::Usable(const Link& link) {
  return link.clean() || (Dialling(link) && link.unanswered() == 0);
}

// ---- lending ------------------------------------------------------------------------------------

ExclusiveLink* ExclusivePool::Borrow(DbIndex db, proto::Protocol protocol, ExclusiveOwner& owner,
                                     std::uint64_t session, std::string_view& error_line) {
  if (shut_down_) {
    error_line = proto::kErrDraining;
    return nullptr;
  }
  if (const auto test = tests_.find(session); test != tests_.end() && test->second.passed) {
    std::unique_ptr<Link> link = std::move(test->second.link);
    tests_.erase(test);
    return Lend(std::move(link), owner, session);
  }
  if (const auto told = verdicts_.find(session); told != verdicts_.end()) {
    const Verdict verdict = told->second;
    verdicts_.erase(told);
    if (verdict == Verdict::kExpired) {
      error_line = kErrWaited;
      return nullptr;
    }
    --granted_;
  } else if (!line_.empty() || taken() >= limits().max_active) {
    return Wait(owner, session, error_line);
  } else {
    deps_.stats.exclusive_wait.Observe(Duration::zero());
  }
  wanted_db_ = db;
  wanted_protocol_ = protocol;
  may_be_short_ = true;
  std::unique_ptr<Link> link = TakeIdle(db, protocol);
  if (link == nullptr) {
    link = Make(db, protocol, deps_.stats.opened_demand);
  } else if (limits().test_on_borrow && link->state() == Link::State::kReady) {
    StartTest(std::move(link), owner, session);
    error_line = {};
    return nullptr;
  }
  return Lend(std::move(link), owner, session);
}

ExclusiveLink* ExclusivePool::Wait(ExclusiveOwner& owner, std::uint64_t session,
                                   std::string_view& error_line) {
  deps_.stats.exclusive_exhausted.Add();
  if (limits().max_wait == config::Duration::zero()) {
    deps_.stats.exclusive_refused.Add();
    error_line = kErrExhausted;
    return nullptr;
  }
  line_.Join({session, &owner, deps_.scheduler.Now()});
  ArmLineTimer();
  UpdateGauges();
  error_line = {};
  return nullptr;
}

ExclusiveLink* ExclusivePool::Lend(std::unique_ptr<Link> link, ExclusiveOwner& owner,
                                   std::uint64_t session) {
  Link* const lent = link.get();
  lent->Lend(&owner, session);
  lent_.emplace(lent, std::move(link));
  if (lent->state() != Link::State::kReady) {
    dialling_.push_back(lent);
  }
  UpdateGauges();
  return lent;
}

// The one used last that fits.
std::unique_ptr<Link> ExclusivePool::TakeIdle(DbIndex db, proto::Protocol protocol) {
  for (std::size_t i = idle_.size(); i-- > 0;) {
    Link& link = *idle_[i];
    if (link.spec().db == db && link.spec().protocol == protocol && Usable(link)) {
      std::unique_ptr<Link> taken = std::move(idle_[i]);
      idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
      return taken;
    }
  }
  return nullptr;
}

// A new one; the coldest idle ones make room for it.
std::unique_ptr<Link> ExclusivePool::Make(DbIndex db, proto::Protocol protocol, Counter& reason) {
  while (!idle_.empty() && links() >= limits().max_active) {
    DropIdle(0, &deps_.stats.closed_room);
  }
  reason.Add();
  return deps_.yard.MakeLink({.purpose = Link::Purpose::kExclusive,
                              .db = db,
                              .protocol = protocol,
                              .track = false,
                              .id = 0,
                              .retry = false});
}

// ---- coming back --------------------------------------------------------------------------------

void ExclusivePool::Return(ExclusiveLink* link, bool reusable) {
  const auto found = lent_.find(link);
  NC_CHECK(found != lent_.end());
  std::unique_ptr<Link> back = std::move(found->second);
  lent_.erase(found);
  std::erase(dialling_, back.get());
  back->Lend(nullptr, 0);
  if (reusable && back->clean() && !shut_down_) {
    Keep(std::move(back));
  } else {
    // A link that was lost has been counted where it was.
    const bool lost = back->state() != Link::State::kReady;
    Drop(std::move(back), lost ? nullptr : &deps_.stats.closed_returned);
  }
  ServeLine();
  UpdateGauges();
}

void ExclusivePool::Keep(std::unique_ptr<Link> link) {
  if (link->outlived(deps_.scheduler.Now())) {
    Drop(std::move(link), &deps_.stats.closed_lifetime);
    return;
  }
  link = ServeDialling(std::move(link));
  // One that somebody waits for is not too many.
  const std::size_t wanted = limits().max_idle + granted_ + line_.size();
  if (idle_.size() >= wanted || links() >= limits().max_active) {
    Drop(std::move(link), &deps_.stats.closed_surplus);
    return;
  }
  idle_.push_back(std::move(link));
}

// Gives a link to whoever has waited longest for one that stands. What comes back is free in its
// place: that client's, whose connection is being made; or the same link, where nobody waits.
std::unique_ptr<Link> ExclusivePool::ServeDialling(std::unique_ptr<Link> link) {
  if (!link->clean()) {
    return link;
  }
  const auto first = std::ranges::find_if(
      dialling_, [&](const Link* other) { return Dialling(*other) && Alike(*other, *link); });
  if (first == dialling_.end()) {
    return link;
  }
  const auto lent = lent_.find(*first);
  NC_CHECK(lent != lent_.end());
  std::unique_ptr<Link> freed = std::move(lent->second);
  lent_.erase(lent);
  dialling_.erase(first);
  Link& standing = *link;
  lent_.emplace(&standing, std::move(link));
  standing.ExchangeClients(*freed);
  return freed;
}

// Connections need not come to stand in the order in which they were asked for.
void ExclusivePool::OnLinkReady(Link& link) {
  if (const auto own = std::ranges::find(dialling_, &link); own != dialling_.end()) {
    const auto first = std::find_if(dialling_.begin(), own, [&](const Link* other) {
      return Dialling(*other) && Alike(*other, link);
    });
    if (first != own) {
      link.ExchangeClients(**first);
      *own = *first;  // the place in line is the client's
    }
    dialling_.erase(first);
    return;
  }
  const auto idle = std::ranges::find(idle_, &link, &std::unique_ptr<Link>::get);
  if (idle != idle_.end()) {
    *idle = ServeDialling(std::move(*idle));
  }
}

void ExclusivePool::Drop(std::unique_ptr<Link> link, Counter* reason) {
  if (reason != nullptr) {
    reason->Add();
  }
  deps_.yard.GiveUp(std::move(link), kDone);
}

void ExclusivePool::DropIdle(std::size_t index, Counter* reason) {
  std::unique_ptr<Link> link = std::move(idle_[index]);
  idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(index));
  Drop(std::move(link), reason);
}

// ---- the line -----------------------------------------------------------------------------------

// Tells as many from the front as there are links to lend.
void ExclusivePool::ServeLine() {
  while (!line_.empty() && !shut_down_ && taken() < limits().max_active) {
    Tell(line_.TakeFirst(), Verdict::kGranted);
  }
}

void ExclusivePool::Tell(const WaitLine::Waiter& waiter, Verdict verdict) {
  verdicts_.emplace(waiter.session, verdict);
  granted_ += verdict == Verdict::kGranted ? 1 : 0;
  if (verdict == Verdict::kExpired) {
    deps_.stats.exclusive_refused.Add();
  }
  deps_.stats.exclusive_wait.Observe(deps_.scheduler.Now() - waiter.since);
  waiter.owner->OnMayBorrow(waiter.session);
}

void ExclusivePool::LeaveLine(std::uint64_t session) {
  (void)line_.Leave(session);
  if (const auto told = verdicts_.find(session); told != verdicts_.end()) {
    granted_ -= told->second == Verdict::kGranted ? 1 : 0;
    verdicts_.erase(told);
  }
  if (const auto test = tests_.find(session); test != tests_.end()) {
    std::unique_ptr<Link> link = std::move(test->second.link);
    const bool passed = test->second.passed;
    tests_.erase(test);
    if (passed && link->clean()) {
      Keep(std::move(link));
    } else {
      Drop(std::move(link), passed ? nullptr : &deps_.stats.closed_returned);
    }
  }
  ServeLine();
  UpdateGauges();
}

void ExclusivePool::ArmLineTimer() {
  if (line_.empty() || line_timer_ != nullptr) {
    return;
  }
  const Duration waited = deps_.scheduler.Now() - line_.first().since;
  const Duration left = Duration(limits().max_wait) - waited;
  line_timer_ = deps_.scheduler.After(std::clamp(left, Duration::zero(), kLineInterval),
                                      [this] { OnLineTimer(); });
}

void ExclusivePool::OnLineTimer() {
  line_timer_.reset();
  const MonoTime now = deps_.scheduler.Now();
  while (!line_.empty() && now - line_.first().since >= Duration(limits().max_wait)) {
    Tell(line_.TakeFirst(), Verdict::kExpired);
  }
  ServeLine();  // a reload may have raised max_active
  ArmLineTimer();
  UpdateGauges();
}

// ---- testing ------------------------------------------------------------------------------------

void ExclusivePool::StartTest(std::unique_ptr<Link> link, ExclusiveOwner& owner,
                              std::uint64_t session) {
  Link& tested = *link;
  tests_.emplace(session, Test{std::move(link), &owner});
  deps_.stats.pings.Add();
  tested.Ask(
      {"PING"},
      [this, session](const UpstreamReply* reply) { OnTested(session, reply != nullptr); },
      deps_.config.connect_timeout);
  UpdateGauges();
}

void ExclusivePool::OnTested(std::uint64_t session, bool good) {
  const auto test = tests_.find(session);
  if (test == tests_.end()) {
    return;  // it has left, and its link is being closed
  }
  ExclusiveOwner& owner = *test->second.owner;
  if (good) {
    test->second.passed = true;
  } else {
    std::unique_ptr<Link> link = std::move(test->second.link);
    tests_.erase(test);
    Drop(std::move(link), &deps_.stats.closed_test);
    verdicts_.emplace(session, Verdict::kGranted);  // another link, perhaps a new one
    ++granted_;
  }
  UpdateGauges();
  owner.OnMayBorrow(session);
}

// ---- gauges -------------------------------------------------------------------------------------

void ExclusivePool::UpdateGauges() {
  UpstreamStats& stats = deps_.stats;
  // The counters may be shared with the pools of other nodes: each adds its own part.
  const auto report = [](Gauge& gauge, std::size_t now, std::int64_t& before) {
    gauge.Add(static_cast<std::int64_t>(now) - before);
    before = static_cast<std::int64_t>(now);
  };
  report(stats.exclusive_active, lent_.size() + tests_.size(), reported_.active);
  report(stats.exclusive_idle, idle_.size(), reported_.idle);
  report(stats.exclusive_waiting, line_.size(), reported_.waiting);
  report(stats.exclusive_limit, shut_down_ ? 0 : limits().max_active, reported_.limit);
  if (line_.empty()) {
    line_timer_.reset();
  }
}

}  // namespace nearcached
