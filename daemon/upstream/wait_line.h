// Those who wait for something that is lent out, in the order they came.
//
// Who has waited longest is served first, and nobody overtakes; who leaves is forgotten at once,
// wherever it stands. Owned by the pool; loop thread only. Knows no clock: callers give `now`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

#include "daemon/base/time.h"
#include "daemon/fetch/upstream.h"

namespace nearcached {

class WaitLine {
 public:
  struct Waiter {
    std::uint64_t session = 0;
    ExclusiveOwner* owner = nullptr;  // who is told; outlives its place
    MonoTime since{};
  };

  // Goes to the end. REQUIRES: the session is not in line.
  void Join(const Waiter& waiter);
  // Gives its place up. False: it has none.
  bool Leave(std::uint64_t session);

  // Takes the one who came first. REQUIRES: !empty().
  Waiter TakeFirst();
  // REQUIRES: !empty().
  [[nodiscard]] const Waiter& first() const { return line_.front(); }
  [[nodiscard]] bool empty() const { return line_.empty(); }
  [[nodiscard]] std::size_t size() const { return line_.size(); }

 private:
  std::list<Waiter> line_;
  std::unordered_map<std::uint64_t, std::list<Waiter>::iterator> places_;
};

}  // namespace nearcached
