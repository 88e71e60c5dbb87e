#include "daemon/fetch/flight_table.h"

// Flights are opened, joined, found by their key, and closed. What becomes of their replies is in
// flight_replies.cc, who has to ask once more in flight_again.cc.
#include <algorithm>
#include <utility>

#include "daemon/base/check.h"

namespace nearcached {
FlightTable::~FlightTable() {
  NC_CHECK(open() == 0);
}

std::string_view FlightTable::Join(const CacheKey& key, const ReadRequest& read,
                                   const FillTerms& terms, const FlightWaiter& waiter,
                                   Joining joining, std::uint32_t waiters_max) {
  if (Flight* const under_way = FindJoinable(key, joining, waiters_max)) {
    under_way->waiters.push_back(waiter);
    stats_.coalesced.Add();
    stats_.waiters.Add();
    return {};
  }
  SupersedeOlder(key);
  const std::uint64_t index = Open(key, read, terms);
  Flight& flight = *flights_[index];
  flight.joinable = joining != Joining::kNone;
  // Registered before the request is written (R1): nothing that arrives later can be missed.
  auto sent = channel_.SendFill(key, read, *this, index);
  if (const auto* refused = std::get_if<std::string_view>(&sent)) {
    Close(index);
    return *refused;
  }
  flight.owner = std::get<FillOwner>(sent);
  flight.replies_due = 2;
  flight.waiters.push_back(waiter);
  stats_.started.Add();
  stats_.waiters.Add();
  return {};
}

// All flights of a key are answered in the order they were sent, so a client may wait for several
// of them if each is sent, or was sent, after those it waits for already. Who waits for none may
// join any; who does, only the last. That no flight which others cannot find is younger than one
// they can, follows: what detaches one of a key detaches all, or is a younger one of the same read.
FlightTable::Flight* FlightTable::FindJoinable(const CacheKey& key, Joining joining,
                                               std::uint32_t waiters_max) {
  if (joining == Joining::kNone) {
    return nullptr;
  }
  Flight* found = nullptr;
  std::uint64_t youngest = 0;
  const auto [begin, end] = by_hash_.equal_range(key.hash);
  for (auto it = begin; it != end; ++it) {
    Flight& flight = *flights_[it->second];
    if (flight.db == key.db && flight.key == key.key) {
      youngest = std::max(youngest, flight.order);
    }
    // Once its value is here a flight is a thing of the past: who asks now may be told of the
    // present.
    if (flight.joinable && !flight.answered && flight.IsOf(key) &&
        flight.waiters.size() < waiters_max) {
      found = &flight;
    }
  }
  const bool may = found != nullptr && (joining == Joining::kAny || found->order == youngest);
  return may ? found : nullptr;
}

// Only the youngest flight of a read may fill: a client that waits for it could otherwise find the
// value of an older one, which could not be joined, in L1 afterwards.
void FlightTable::SupersedeOlder(const CacheKey& key) {
  const auto [begin, end] = by_hash_.equal_range(key.hash);
  for (auto it = begin; it != end; ++it) {
    if (flights_[it->second]->IsOf(key)) {
      PoisonOne(it->second);  // the range ends here: at most one was listed
      return;
    }
  }
}

std::uint64_t FlightTable::Open(const CacheKey& key, const ReadRequest& read,
                                const FillTerms& terms) {
  std::uint64_t index = flights_.size();
  if (free_.empty()) {
    flights_.push_back(std::make_unique<Flight>());
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Flight& flight = *flights_[index];
  flight.open = true;
  flight.db = key.db;
  flight.hash = key.hash;
  flight.key.assign(key.key);
  if (!key.variant.empty()) {
    flight.variant.assign(key.variant);
    flight.request.assign(read.bytes);
    flight.row = read.row;
    flight.protocol = read.protocol;
    if (read.protocol == proto::Protocol::kResp2) {
      flight.writer.emplace(read.row->resp2);
    }
  }
  flight.terms = terms;
  flight.sent_at = scheduler_.Now();
  flight.order = ++last_order_;
  flight.listed = true;
  by_hash_.emplace(key.hash, index);
  stats_.open.Add();
  return index;
}

void FlightTable::Close(std::uint64_t index) {
  Unlist(index);
  Flight& flight = *flights_[index];
  NC_CHECK(flight.open && flight.waiters.empty());
  // The memory of small keys and values is kept for the next flight, that of large ones is not.
  std::string key = std::move(flight.key);
  std::string value = std::move(flight.value);
  std::vector<FlightWaiter> waiters = std::move(flight.waiters);
  flight = Flight{};
  constexpr std::size_t kKeep = 4096;
  if (key.capacity() <= kKeep) {
    flight.key = std::move(key);
  }
  if (value.capacity() <= kKeep) {
    flight.value = std::move(value);
    flight.value.clear();
  }
  if (waiters.capacity() <= 64) {
    flight.waiters = std::move(waiters);
  }
  free_.push_back(index);
  stats_.open.Sub();
}

void FlightTable::Unlist(std::uint64_t index) {
  Flight& flight = *flights_[index];
  if (!flight.listed) {
    return;
  }
  flight.listed = false;
  flight.joinable = false;
  const auto [begin, end] = by_hash_.equal_range(flight.hash);
  const auto it =
      std::find_if(begin, end, [&](const auto& entry) { return entry.second == index; });
  NC_CHECK(it != end);
  by_hash_.erase(it);
}

void FlightTable::PoisonOne(std::uint64_t index) {
  Flight& flight = *flights_[index];
  if (flight.terms.may_fill) {
    flight.terms.may_fill = false;
    stats_.fills_poisoned.Add();
  }
  stats_.detached.Add();
  Unlist(index);
}

void FlightTable::Poison(std::uint64_t hash, std::string_view key) {
  for (bool again = true; again;) {
    again = false;
    const auto [begin, end] = by_hash_.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
      if (flights_[it->second]->key == key) {
        PoisonOne(it->second);
        again = true;  // the range changed under us
        break;
      }
    }
  }
}

void FlightTable::PoisonPrefix(std::string_view prefix) {
  for (std::uint64_t index = 0; index < flights_.size(); ++index) {
    if (flights_[index]->listed && flights_[index]->key.starts_with(prefix)) {
      PoisonOne(index);
    }
  }
}

void FlightTable::PoisonAll() {
  while (!by_hash_.empty()) {
    PoisonOne(by_hash_.begin()->second);
  }
}

}  // namespace nearcached
