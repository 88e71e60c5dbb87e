#include "daemon/fetch/flight_table.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/fetch/entry_deadline.h"

namespace nearcached {
namespace {

constexpr std::int64_t kNoExpiry = -1;  // PTTL: the key exists and has no TTL
constexpr std::int64_t kNoKey = -2;     // PTTL: the key does not exist

// A client that asked several times for a value above this many bytes is not sent that many copies
// at once: it could not read them as fast as they are made, and its output is bounded.
constexpr std::size_t kCopyMax = 64 * 1024;

}  // namespace

FlightTable::~FlightTable() {
  NC_CHECK(open() == 0);
}

std::string_view FlightTable::Join(const CacheKey& key, const FillTerms& terms,
                                   const FlightWaiter& waiter, bool join,
                                   std::uint32_t waiters_max) {
  if (join) {
    const auto [begin, end] = by_hash_.equal_range(key.hash);
    for (auto it = begin; it != end; ++it) {
      Flight& flight = *flights_[it->second];
      // Once its value is here a flight is a thing of the past: who asks now may be told of the
      // present.
      if (flight.joinable && !flight.answered && flight.db == key.db && flight.key == key.key &&
          flight.waiters.size() < waiters_max) {
        flight.waiters.push_back(waiter);
        stats_.coalesced.Add();
        stats_.waiters.Add();
        return {};
      }
    }
  }
  SupersedeOlder(key);
  const std::uint64_t index = Open(key, terms);
  Flight& flight = *flights_[index];
  flight.joinable = join;
  // Registered before the request is written (R1): nothing that arrives later can be missed.
  auto sent = channel_.SendFill(key, *this, index);
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

// Only the youngest flight of a key may fill: a client that waits for it could otherwise find the
// value of an older one, which could not be joined, in L1 afterwards.
void FlightTable::SupersedeOlder(const CacheKey& key) {
  const auto [begin, end] = by_hash_.equal_range(key.hash);
  for (auto it = begin; it != end; ++it) {
    const Flight& older = *flights_[it->second];
    if (older.db == key.db && older.key == key.key) {
      PoisonOne(it->second);  // the range ends here: at most one was listed
      return;
    }
  }
}

std::uint64_t FlightTable::Open(const CacheKey& key, const FillTerms& terms) {
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

void FlightTable::PoisonAll() {
  while (!by_hash_.empty()) {
    PoisonOne(by_hash_.begin()->second);
  }
}

void FlightTable::OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                              bool last) {
  if (token.seq == FillChannel::kValue) {
    OnValuePart(token.owner, bytes, info, last);
  } else if (last) {
    OnTtl(token.owner, bytes, info);
  }
}

void FlightTable::OnValuePart(std::uint64_t index, std::string_view bytes, const ReplyInfo& info,
                              bool last) {
  Flight& flight = *flights_[index];
  flight.info = info;
  if (!flight.streaming && !last) {
    // A value in pieces is a large one. One that could be stored is gathered, whatever its size;
    // one that could not goes straight through, so that nobody has to hold it.
    const auto limit = flight.terms.may_fill ? flight.terms.entry_bytes_max : 0;
    if (info.bulk_length < 0 || static_cast<std::uint64_t>(info.bulk_length) > limit) {
      flight.streaming = true;
      Unlist(index);  // who comes now would miss the beginning
      AskAgain(Asked(flight), TakeRepeated(flight));
    }
  }
  if (!flight.streaming) {
    flight.value.append(bytes);
  } else if (flight.value.empty()) {
    SendToWaiters(index, bytes, last);
  } else {
    // It was gathered until something forbade to store it: what there is goes first.
    std::string begun = std::exchange(flight.value, {});
    begun.append(bytes);
    SendToWaiters(index, begun, last);
  }
  if (last) {
    --flight.replies_due;
    flight.answered = true;
  }
}

void FlightTable::OnTtl(std::uint64_t index, std::string_view bytes, const ReplyInfo& info) {
  Flight& flight = *flights_[index];
  --flight.replies_due;
  std::int64_t pttl_ms = kNoKey;
  bool known = info.type == ':';
  if (known) {
    const std::string_view digits = bytes.substr(1, bytes.size() - 3);
    known =
        std::from_chars(digits.data(), digits.data() + digits.size(), pttl_ms).ec == std::errc{};
  }
  if (!known) {
    if (flight.terms.may_fill) {
      stats_.fills_refused.Add();
    }
    Answer(index);
    return;
  }
  TryFill(flight, pttl_ms);
  std::vector<FlightWaiter> again = TakeTooLate(flight, pttl_ms);
  if (flight.value.size() > kCopyMax) {
    const std::vector<FlightWaiter> repeated = TakeRepeated(flight);
    again.insert(again.end(), repeated.begin(), repeated.end());
  }
  if (again.empty()) {
    Answer(index);
    return;
  }
  const Flight asked = Asked(flight);
  Answer(index);
  AskAgain(asked, again);
}

// What AskAgain needs of a flight that may be closed by then.
FlightTable::Flight FlightTable::Asked(const Flight& flight) {
  Flight asked;
  asked.db = flight.db;
  asked.hash = flight.hash;
  asked.key = flight.key;
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
  if (flight.streaming || flight.info.type != '$' || flight.info.null || pttl_ms == kNoExpiry) {
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

// They go to the next flight of the key in the order of the link, even one that is detached: it was
// sent after they had asked, and their clients' later requests can wait for nothing older, so that
// nobody sees the key go back in time (G2). Where there is none, to a new one.
void FlightTable::AskAgain(const Flight& asked, const std::vector<FlightWaiter>& waiters) {
  if (waiters.empty()) {
    return;
  }
  Flight* next = nullptr;
  for (const auto& flight : flights_) {
    if (flight->open && !flight->streaming && flight->db == asked.db && flight->key == asked.key &&
        flight->order > asked.order && (next == nullptr || flight->order < next->order)) {
      next = flight.get();
    }
  }
  if (next != nullptr) {
    next->waiters.insert(next->waiters.end(), waiters.begin(), waiters.end());
    return;
  }
  FillTerms terms = asked.terms;
  terms.may_fill = false;  // whether a write holds the key now is not known here
  for (const FlightWaiter& waiter : waiters) {
    stats_.waiters.Sub();
    FlightWaiter again = waiter;
    again.since = scheduler_.Now();
    const std::string_view refused = Join({asked.db, asked.key, asked.hash}, terms, again, true,
                                          std::numeric_limits<std::uint32_t>::max());
    if (!refused.empty()) {
      sink_->OnFlightLost(again, refused, false);
    }
  }
}

void FlightTable::TryFill(Flight& flight, std::int64_t pttl_ms) {
  if (!flight.terms.may_fill || !flight.answered) {
    return;  // counted when it was poisoned
  }
  const bool negative = flight.info.null;
  const bool value = flight.info.type == '$' && !negative;
  // The two replies are not one atomic read. A change between them is pushed on this link and will
  // poison or erase; where nothing pushes, a TTL that contradicts the value is not stored.
  const bool fits = !flight.streaming && (value || negative) && negative == (pttl_ms == kNoKey);
  // A missing key has no end of its own; what remembers it ends by its own ttl alone.
  const auto deadline =
      EntryDeadline(flight.sent_at, negative ? flight.terms.negative_ttl : flight.terms.ttl,
                    negative ? kNoExpiry : pttl_ms);
  if (!fits || !deadline ||
      flight.key.size() + flight.value.size() > flight.terms.entry_bytes_max) {
    stats_.fills_refused.Add();
    return;
  }
  const MonoTime now = scheduler_.Now();
  const CacheKey key{flight.db, flight.key, flight.hash};
  const auto result =
      l1_.Insert(key, negative ? std::string_view{} : std::string_view(flight.value), negative,
                 *deadline, now, flight.owner);
  if (result == L1::InsertResult::kStored || result == L1::InsertResult::kReplaced) {
    stats_.fills_stored.Add();
  } else {
    stats_.fills_refused.Add();
  }
}

void FlightTable::Answer(std::uint64_t index) {
  Unlist(index);
  if (!flights_[index]->streaming) {
    SendToWaiters(index, flights_[index]->value, true);
  }
  Close(index);
}

void FlightTable::SendToWaiters(std::uint64_t index, std::string_view bytes, bool last) {
  // The flight is unlisted: nobody can join while we call out, and no call out can close it.
  Flight& flight = *flights_[index];
  const MonoTime now = scheduler_.Now();
  for (std::size_t i = 0; i < flight.waiters.size(); ++i) {
    const FlightWaiter waiter = flight.waiters[i];
    if (last) {
      stats_.wait.Observe(now - waiter.since);
      stats_.waiters.Sub();
    }
    sink_->OnFlightPart(waiter, bytes, flight.info, last);
  }
  if (last) {
    flight.waiters.clear();
  }
}

std::size_t FlightTable::Backlog(RequestToken token) const {
  const Flight& flight = *flights_[token.owner];
  std::size_t most = 0;
  if (flight.streaming || !flight.value.empty()) {
    for (const FlightWaiter& waiter : flight.waiters) {
      most = std::max(most, sink_->WaiterBacklog(waiter));
    }
  }
  return most;
}

void FlightTable::OnReplyLost(RequestToken token, std::string_view error_line, bool mid_reply) {
  Flight& flight = *flights_[token.owner];
  const bool value_lost = token.seq == FillChannel::kValue;
  --flight.replies_due;
  flight.terms.may_fill = false;
  Unlist(token.owner);
  if (value_lost) {
    flight.answered = false;
    stats_.lost.Add();
    const auto waiters = std::exchange(flight.waiters, {});
    for (const FlightWaiter& waiter : waiters) {
      stats_.waiters.Sub();
      sink_->OnFlightLost(waiter, error_line, mid_reply && flight.streaming);
    }
  }
  if (flight.replies_due == 0) {
    if (flight.answered && !flight.waiters.empty()) {
      Answer(token.owner);  // the value came, only its TTL did not
    } else {
      Close(token.owner);
    }
  }
}

}  // namespace nearcached
