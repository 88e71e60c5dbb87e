// What becomes of exclusive links while nobody asks for one: as time goes by, and when the primary
// changes, an administrator wants them replaced, or all ends.
#include <algorithm>
#include <vector>

#include "daemon/upstream/exclusive_pool.h"

namespace nearcached {

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
  std::size_t ready = CountWanted();
  for (std::size_t i = 0; i < idle_.size();) {
    const Link& link = *idle_[i];
    if (!Usable(link) && link.unanswered() == 0) {
      DropIdle(i, nullptr);  // lost; counted where that was seen
    } else if (link.outlived(now)) {
      DropIdle(i, &deps_.stats.closed_lifetime);
    } else if (now - link.last_used() >= Duration(limits().idle_timeout) &&
               idle_.size() > granted_ && !(Wanted(link) && ready <= limits().min_idle)) {
      ready -= Wanted(link) ? 1 : 0;
      DropIdle(i, &deps_.stats.closed_idle);
    } else {
      ++i;
    }
  }
  while (idle_.size() > std::max<std::size_t>(limits().max_idle, limits().min_idle) + granted_) {
    DropIdle(0, &deps_.stats.closed_surplus);  // a reload has lowered the limit
  }
}

bool ExclusivePool::Wanted(const Link& link) const {
  return link.spec().db == wanted_db_ && link.spec().protocol == wanted_protocol_;
}

std::size_t ExclusivePool::CountWanted() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(idle_, [this](const auto& link) { return Wanted(*link); }));
}

// Keeps min_idle of them ready. They are the last to be lent: a warm one is better.
void ExclusivePool::FillUp() {
  may_be_short_ = false;
  std::size_t ready = CountWanted();
  for (; ready < limits().min_idle && links() + granted_ < limits().max_active; ++ready) {
    MakeRoomForWanted();
    auto link = Make(wanted_db_, wanted_protocol_, deps_.stats.opened_min_idle);
    link->Open();
    idle_.insert(idle_.begin(), std::move(link));
  }
  UpdateGauges();
}

// Otherwise the surplus that goes next would be what was made just now.
void ExclusivePool::MakeRoomForWanted() {
  if (idle_.size() < limits().max_idle + granted_) {
    return;
  }
  const auto other =
      std::ranges::find_if(idle_, [this](const auto& link) { return !Wanted(*link); });
  if (other != idle_.end()) {
    DropIdle(static_cast<std::size_t>(other - idle_.begin()), &deps_.stats.closed_surplus);
  }
}

void ExclusivePool::Reconnect() {
  while (!idle_.empty()) {
    DropIdle(idle_.size() - 1, &deps_.stats.closed_reconnect);
  }
  may_be_short_ = true;
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
  may_be_short_ = true;
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

}  // namespace nearcached
