#include "daemon/upstream/wait_line.h"

#include "daemon/base/check.h"

namespace nearcached {

void WaitLine::Join(const Waiter& waiter) {
  const auto place = line_.insert(line_.end(), waiter);
  const bool fresh = places_.emplace(waiter.session, place).second;
  NC_CHECK(fresh);
}

bool WaitLine::Leave(std::uint64_t session) {
  const auto found = places_.find(session);
  if (found == places_.end()) {
    return false;
  }
  line_.erase(found->second);
  places_.erase(found);
  return true;
}

WaitLine::Waiter WaitLine::TakeFirst() {
  NC_CHECK(!line_.empty());
  const Waiter waiter = line_.front();
  line_.pop_front();
  places_.erase(waiter.session);
  return waiter;
}

}  // namespace nearcached
