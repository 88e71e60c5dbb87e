// What comes back of a flight: the value, whole or in pieces, and its TTL; what is kept of them,
// and how those who wait are told.
#include <algorithm>
#include <charconv>
#include <utility>

#include "daemon/command/absent_reply.h"
#include "daemon/fetch/entry_deadline.h"
#include "daemon/fetch/flight_table.h"

namespace nearcached {
namespace {

// A client that asked several times for a value above this many bytes is not sent that many copies
// at once: it could not read them as fast as they are made, and its output is bounded.
constexpr std::size_t kCopyMax = 64 * 1024;

constexpr std::string_view kErrUnsayable =
    "ERR nearcached: the upstream's reply has a type that RESP2 does not have";

}  // namespace

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
  if (!flight.failed && flight.writer) {
    std::string in_resp2;
    if (flight.writer->Write(bytes, in_resp2)) {
      TakeValue(index, in_resp2, last);
    } else {
      LoseWaiters(flight, kErrUnsayable, flight.streaming);
      flight.failed = true;
      flight.terms.may_fill = false;
      Unlist(index);
    }
  } else if (!flight.failed) {
    TakeValue(index, bytes, last);
  }
  if (last) {
    --flight.replies_due;
    flight.answered = true;
  }
}

void FlightTable::TakeValue(std::uint64_t index, std::string_view bytes, bool last) {
  Flight& flight = *flights_[index];
  if (bytes.empty() && !last) {
    return;  // half a line, which cannot be put into RESP2 yet
  }
  if (!flight.streaming && !last) {
    // A value in pieces is a large one. One that could be stored is gathered, whatever its size;
    // one that could not goes straight through, so that nobody has to hold it. How large an
    // aggregate will be is known at its end only: it is gathered for as long as it could fit.
    const auto limit = flight.terms.may_fill ? flight.terms.entry_bytes_max : 0;
    const std::uint64_t size = flight.info.bulk_length >= 0
                                   ? static_cast<std::uint64_t>(flight.info.bulk_length)
                                   : flight.value.size() + bytes.size();
    if (size > limit || (flight.variant.empty() && flight.info.bulk_length < 0)) {
      flight.streaming = true;
      ForgetOlder(flight);
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
}

void FlightTable::OnTtl(std::uint64_t index, std::string_view bytes, const ReplyInfo& info) {
  Flight& flight = *flights_[index];
  --flight.replies_due;
  std::int64_t pttl_ms = kPttlNoKey;
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
    ForgetOlder(flight);
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

void FlightTable::TryFill(Flight& flight, std::int64_t pttl_ms) {
  if (!flight.terms.may_fill || !flight.answered) {
    ForgetOlder(flight);
    return;  // counted when it was poisoned
  }
  // The two replies are not one atomic read. A change between them is pushed on this link and will
  // poison or erase; where nothing pushes, or not yet (what PTTL itself finds expired redis-server
  // 7.0 pushes behind PTTL's reply), a TTL that contradicts the value is not stored. (An HGET of a
  // field that is not there says nil too, though there is a key.)
  const bool negative = pttl_ms == kPttlNoKey;
  const bool agrees =
      flight.variant.empty() ? negative == flight.SaysNoKey() : !negative || flight.SaysNoKey();
  const bool value =
      flight.variant.empty() ? flight.info.type == '$' || flight.info.null : !flight.IsError();
  const bool fits = !flight.streaming && value && agrees;
  // A missing key has no end of its own; what remembers it ends by its own ttl alone.
  const auto deadline =
      EntryDeadline(flight.sent_at, negative ? flight.terms.negative_ttl : flight.terms.ttl,
                    negative ? kPttlNoExpiry : pttl_ms);
  if (!fits || !deadline ||
      flight.key.size() + flight.variant.size() + flight.value.size() >
          flight.terms.entry_bytes_max) {
    stats_.fills_refused.Add();
    ForgetOlder(flight);
    return;
  }
  const MonoTime now = scheduler_.Now();
  const bool nil_of_get = negative && flight.variant.empty();  // encoded when it is released
  const auto result =
      l1_.Insert(flight.Key(), nil_of_get ? std::string_view{} : std::string_view(flight.value),
                 negative, *deadline, now, flight.owner);
  if (result == L1::InsertResult::kStored || result == L1::InsertResult::kReplaced) {
    stats_.fills_stored.Add();
  } else {
    stats_.fills_refused.Add();
    ForgetOlder(flight);
  }
}

// What is in L1 under the flight's read was filled before it was sent. Where pushes do not come
// ahead of replies (redirected, broadcast, or none at all) it may be older than the reply about to
// be released, whose clients must not find it afterwards (G2).
void FlightTable::ForgetOlder(const Flight& flight) {
  (void)l1_.Erase(flight.Key());
}

bool FlightTable::Flight::SaysNoKey() const {
  return row == nullptr ? info.null : SaysAbsent(row->absent, value);
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
  ReplyInfo info = flight.info;
  info.null = info.null && flight.variant.empty();  // of other reads it is encoded already
  for (std::size_t i = 0; i < flight.waiters.size(); ++i) {
    const FlightWaiter waiter = flight.waiters[i];
    if (last) {
      stats_.wait.Observe(now - waiter.since);
      stats_.waiters.Sub();
    }
    sink_->OnFlightPart(waiter, bytes, info, last);
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

void FlightTable::LoseWaiters(Flight& flight, std::string_view error_line, bool mid_reply) {
  const auto waiters = std::exchange(flight.waiters, {});
  for (const FlightWaiter& waiter : waiters) {
    stats_.waiters.Sub();
    sink_->OnFlightLost(waiter, error_line, mid_reply);
  }
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
    LoseWaiters(flight, error_line, mid_reply && flight.streaming);
  }
  if (flight.replies_due == 0) {
    if (flight.answered && !flight.waiters.empty()) {
      ForgetOlder(flight);
      Answer(token.owner);  // the value came, only its TTL did not
    } else {
      Close(token.owner);
    }
  }
}

}  // namespace nearcached
