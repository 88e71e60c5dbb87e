// Two things decide the shape of this file.
//
// A link that comes back is not handed to the first in line at once: the session is told that its
// turn has come, and asks again when it goes on at the end of the turn. Between the two the link is
// idle but promised (`granted_`), and only the promise counts: whoever asks in between stands in
// line. So a session that dies in between costs nothing but the promise, which goes to the next.
//
// A session stands in exactly one place while it waits: in `line_`, in `tests_` (its link is being
// tested), or in `verdicts_` (it was told and has not asked yet). LeaveLine looks in all three.
// What was lent is counted by what is in `lent_`, never by a number that could drift.
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

// Stands, or is about to, with nothing on it.
bool Usable(const Link& link) {
  return link.clean() ||
         ((link.state() == Link::State::kConnecting || link.state() == Link::State::kHandshake) &&
          link.unanswered() == 0);
}

}  // namespace

ExclusivePool::~ExclusivePool() {
  NC_CHECK(line_.empty() && tests_.empty() && idle_.empty());
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
  // One that somebody waits for is not too many.
  const std::size_t wanted = limits().max_idle + granted_ + line_.size();
  if (idle_.size() >= wanted || links() >= limits().max_active) {
    Drop(std::move(link), &deps_.stats.closed_surplus);
    return;
  }
  idle_.push_back(std::move(link));
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

// ---- time ---------------------------------------------------------------------------------------

void ExclusivePool::Tick(bool dial) {
  if (limits().test_while_idle) {
    for (const auto& link : idle_) {
      link->CheckHealth();
    }
  }
  DropStale();
  if (dial) {
    FillUp();
  }
  ServeLine();
  UpdateGauges();
}

void ExclusivePool::DropStale() {
  const MonoTime now = deps_.scheduler.Now();
  for (std::size_t i = 0; i < idle_.size();) {
    const Link& link = *idle_[i];
    if (!Usable(link) && link.unanswered() == 0) {
      DropIdle(i, nullptr);  // lost; counted where that was seen
    } else if (link.outlived(now)) {
      DropIdle(i, &deps_.stats.closed_lifetime);
    } else if (now - link.last_used() >= Duration(limits().idle_timeout) &&
               idle_.size() > limits().min_idle + granted_) {
      DropIdle(i, &deps_.stats.closed_idle);
    } else {
      ++i;
    }
  }
  while (idle_.size() > std::max<std::size_t>(limits().max_idle, limits().min_idle) + granted_) {
    DropIdle(0, &deps_.stats.closed_surplus);  // a reload has lowered the limit
  }
}

// Keeps min_idle of them ready. They are the last to be lent: a warm one is better.
void ExclusivePool::FillUp() {
  const auto fits = [&](const auto& link) {
    return link->spec().db == deps_.config.db && link->spec().protocol == proto::Protocol::kResp2;
  };
  auto ready = static_cast<std::size_t>(std::count_if(idle_.begin(), idle_.end(), fits));
  for (; ready < limits().min_idle && links() + granted_ < limits().max_active; ++ready) {
    auto link = Make(deps_.config.db, proto::Protocol::kResp2, deps_.stats.opened_min_idle);
    link->Open();
    idle_.insert(idle_.begin(), std::move(link));
  }
}

void ExclusivePool::Reconnect() {
  while (!idle_.empty()) {
    DropIdle(idle_.size() - 1, &deps_.stats.closed_reconnect);
  }
  for (const auto& [key, link] : lent_) {
    link->Retire();
  }
  for (const auto& [session, test] : tests_) {
    test.link->Retire();  // it is as good as lent
  }
  UpdateGauges();
}

Duration ExclusivePool::oldest_wait() const {
  return line_.empty() ? Duration::zero() : deps_.scheduler.Now() - line_.first().since;
}

void ExclusivePool::OnPrimaryChanged() {
  while (!idle_.empty()) {
    DropIdle(idle_.size() - 1, &deps_.stats.closed_switched);
  }
  // Sessions that are told give links back; the yard keeps those alive until the turn ends.
  std::vector<Link*> links;
  for (const auto& [key, link] : lent_) {
    links.push_back(link.get());
  }
  // In an order that does not depend on addresses: the simulator repeats runs to the byte.
  std::ranges::sort(links, {}, &Link::lent_session);
  for (const auto& [session, test] : tests_) {
    links.push_back(test.link.get());
  }
  for (Link* link : links) {
    link->OnPrimaryChanged();
  }
  UpdateGauges();
}

void ExclusivePool::Shutdown() {
  shut_down_ = true;
  line_timer_.reset();
  while (!line_.empty()) {
    Tell(line_.TakeFirst(), Verdict::kExpired);
  }
  while (!tests_.empty()) {
    LeaveLine(tests_.begin()->first);
  }
  while (!idle_.empty()) {
    DropIdle(idle_.size() - 1, nullptr);
  }
  UpdateGauges();
}

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
