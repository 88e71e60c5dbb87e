// Requests that the reply of their flight cannot serve, and that ask once more.
//
// All flights of a key are answered in the order they were sent, and a client waits for several of
// them in the order of its requests (FindJoinable). A request that asks again goes to the back: it
// will be told of a later moment. So must be what its client has asked of the same key after it,
// or the key would go back in time before its eyes (G2): FollowUp.
#include <algorithm>
#include <iterator>
#include <limits>
#include <unordered_map>
#include <utility>

#include "daemon/fetch/entry_deadline.h"
#include "daemon/fetch/flight_table.h"

namespace nearcached {
namespace {

// The first of some requests of each session.
class FirstRequests {
 public:
  void Note(const RequestToken& token) {
    const auto [it, is_new] = first_.emplace(token.owner, token.seq);
    it->second = std::min(it->second, token.seq);
  }
  // Whether `token` is the first one itself.
  [[nodiscard]] bool Has(const RequestToken& token) const {
    const auto it = first_.find(token.owner);
    return it != first_.end() && it->second == token.seq;
  }
  // Whether one of the same session was asked before `token`.
  [[nodiscard]] bool Precede(const RequestToken& token) const {
    const auto it = first_.find(token.owner);
    return it != first_.end() && it->second < token.seq;
  }

 private:
  std::unordered_map<std::uint64_t, std::uint64_t> first_;  // by session
};

}  // namespace

// What AskAgain needs of a flight that may be closed by then.
FlightTable::Flight FlightTable::Asked(const Flight& flight) {
  Flight asked;
  asked.db = flight.db;
  asked.hash = flight.hash;
  asked.key = flight.key;
  asked.variant = flight.variant;
  asked.request = flight.request;
  asked.row = flight.row;
  asked.protocol = flight.protocol;
  asked.terms = flight.terms;
  asked.order = flight.order;
  return asked;
}

// All but the first request of each client, in order. (An MGET that names a key twice is one.)
std::vector<FlightWaiter> FlightTable::TakeRepeated(Flight& flight) {
  std::vector<FlightWaiter> repeated;
  std::unordered_map<std::uint64_t, std::uint64_t> first;  // request of each session
  std::erase_if(flight.waiters, [&](const FlightWaiter& waiter) {
    const auto [it, is_first] = first.emplace(waiter.token.owner, waiter.token.seq);
    if (is_first || it->second == waiter.token.seq) {
      return false;
    }
    repeated.push_back(waiter);
    return true;
  });
  return repeated;
}

// Those who joined when the key may have been dead already: the reply in hand was on its way since
// before, and nobody announces an end of life (G4). They are taken off the flight.
std::vector<FlightWaiter> FlightTable::TakeTooLate(Flight& flight, std::int64_t pttl_ms) {
  std::vector<FlightWaiter> late;
  if (flight.streaming || flight.IsError() || flight.SaysNoKey() || pttl_ms == kPttlNoExpiry) {
    return late;
  }
  constexpr Duration kAny = Duration::max() / 4;
  const MonoTime alive_until =
      EntryDeadline(flight.sent_at, kAny, pttl_ms).value_or(flight.sent_at);
  const auto is_late = [&](const FlightWaiter& w) {
    return w.since > flight.sent_at && w.since >= alive_until;
  };
  std::copy_if(flight.waiters.begin(), flight.waiters.end(), std::back_inserter(late), is_late);
  std::erase_if(flight.waiters, is_late);
  return late;
}

// They go to the next flight of the read in the order of the link, even one that is detached: it
// was sent after they had asked. Where there is none, to a new one.
void FlightTable::AskAgain(const Flight& asked, const std::vector<FlightWaiter>& waiters) {
  if (waiters.empty()) {
    return;
  }
  Flight* next = nullptr;
  for (const auto& flight : flights_) {
    if (flight->open && !flight->streaming && !flight->failed && flight->IsOf(asked.Key()) &&
        flight->order > asked.order && (next == nullptr || flight->order < next->order)) {
      next = flight.get();
    }
  }
  if (next != nullptr) {
    next->waiters.insert(next->waiters.end(), waiters.begin(), waiters.end());
    FollowUp(asked, waiters, next->order);
    return;
  }
  for (const FlightWaiter& waiter : waiters) {
    Rejoin(asked, waiter);
  }
  FollowUp(asked, waiters, last_order_);
}

void FlightTable::Rejoin(const Flight& asked, FlightWaiter waiter) {
  FillTerms terms = asked.terms;
  terms.may_fill = false;  // whether a write holds the key now is not known here
  stats_.waiters.Sub();
  waiter.since = scheduler_.Now();
  const std::string_view refused =
      Join(asked.Key(), {asked.request, asked.row, asked.protocol}, terms, waiter,
           Joining::kYoungest, std::numeric_limits<std::uint32_t>::max());
  if (!refused.empty()) {
    sink_->OnFlightLost(waiter, refused, false);
  }
}

// `ahead` asked again, and will be answered by flight `reached` of the key. Whatever their clients
// asked of it later, and an earlier flight would answer, goes behind. It goes to the very back, and
// so does all that those clients asked after it, whichever flight would answer that. (None of these
// flights has begun to be answered: that comes after all the replies of the flight `asked`.)
void FlightTable::FollowUp(const Flight& asked, const std::vector<FlightWaiter>& ahead,
                           std::uint64_t reached) {
  FirstRequests went;
  for (const FlightWaiter& waiter : ahead) {
    went.Note(waiter.token);
  }
  const auto concerned = [&](const Flight& flight) {
    return flight.open && !flight.streaming && flight.db == asked.db && flight.key == asked.key &&
           flight.order > asked.order;
  };
  FirstRequests back;
  for (const auto& flight : flights_) {
    if (concerned(*flight) && flight->order < reached) {
      for (const FlightWaiter& waiter : flight->waiters) {
        if (went.Precede(waiter.token)) {
          back.Note(waiter.token);
        }
      }
    }
  }
  std::vector<std::pair<Flight, FlightWaiter>> behind;
  for (const auto& flight : flights_) {
    if (concerned(*flight)) {
      std::erase_if(flight->waiters, [&](const FlightWaiter& waiter) {
        const bool follows = back.Has(waiter.token) || back.Precede(waiter.token);
        if (follows) {
          behind.emplace_back(Asked(*flight), waiter);
        }
        return follows;
      });
    }
  }
  std::sort(behind.begin(), behind.end(),
            [](const auto& a, const auto& b) { return a.second.token.seq < b.second.token.seq; });
  for (const auto& [of, waiter] : behind) {
    Rejoin(of, waiter);
  }
}

}  // namespace nearcached
