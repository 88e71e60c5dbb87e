// GET and MGET: answered from L1 where that is right, by joining or starting a flight where it is
// not there, and past L1 where neither may be.
//
// Past L1 goes a read whose key is not cached by policy, or while nothing may be filled, or inside
// a transaction, or behind the client's own unanswered request that touches the key: that one must
// see what the earlier request did, so it follows on the same lane (consistency.md R4).
#include <algorithm>
#include <memory>

#include "daemon/session/dispatcher.h"
#include "proto/encode.h"

namespace nearcached {
namespace {

// An MGET whose values are more than this is not put together here: the upstream's reply streams.
constexpr std::size_t kGatherMax = 1024 * 1024;

}  // namespace

// L1 is asked before the policy, which costs as much as the lookup: an entry is there only because
// the policy let it in, and a change of policy drops them all.
bool Dispatcher::Get(Session& session, const Request& request) {
  if (!request.hashed) {  // not a GET of one key, or there is no L1
    if (!context_.config->l1.enabled && request.args.size() == 2) {
      context_.stats.bypass_policy.Add();
    }
    return ForwardPlain(session, request);
  }
  if (session.pin.link != nullptr) {
    context_.stats.bypass_transaction.Add();
    return ForwardPlain(session, request);
  }
  const CacheKey key{session.client.db, request.args[1], request.hash};
  if (context_.cache_enabled && session.open.MayHit(key.hash)) {
    if (const auto hit = context_.l1.FindHit(key, context_.scheduler.Now())) {
      context_.stats.hits.Add();
      NoteHit(key);
      if (context_.hit_check.Samples()) [[unlikely]] {
        context_.hit_check.Note(key, *hit);
      }
      session.AnswerValue(*hit);
      return true;
    }
  }
  const KeyPolicy& policy = context_.policy->ForKey(key.key, TrackingState::kArmed);
  if (!policy.cache || !context_.policy->Keeps(policy, *request.row)) {
    context_.stats.bypass_policy.Add();
    return ForwardPlain(session, request);
  }
  return Missed(session, request, key, {});
}

// A value that was in L1 when the upstream went away (stale_if_error). Not where the client has a
// read of the key under way: that will be answered by the upstream, and later replies of one
// connection must not be older than earlier ones (G2).
std::optional<L1Hit> Dispatcher::FindStale(const Session& session, const CacheKey& key) const {
  if (context_.l1.shelf_empty() || !context_.upstream.AwayFor(key.key) ||
      session.open.MayBeFilling(key.hash)) {
    return std::nullopt;
  }
  const KeyPolicy& policy = context_.policy->ForKey(key.key, TrackingState::kArmed);
  return context_.l1.FindShelved(key, context_.scheduler.Now(), policy.stale_if_error);
}

bool Dispatcher::Missed(Session& session, const Request& request, const CacheKey& key,
                        const ReadRequest& read) {
  if (!context_.cache_enabled) {
    context_.stats.bypass_disabled.Add();
    return ForwardPlain(session, request);
  }
  if (session.open.MayBeForwarded(key.hash) || (RulesAreNew() && !session.open.no_forwards())) {
    context_.stats.bypass_own_write.Add();
    return ForwardPlain(session, request);
  }
  if (const auto stale = FindStale(session, key)) {
    context_.stats.stale_served.Add();
    session.AnswerValue(*stale);
    return true;
  }
  const bool variant = !key.variant.empty();
  // It may be there, and be passed over because the client waits for another read of the key: what
  // it is told now must not be older than what it will be told before.
  const bool behind =
      variant ? session.open.MayBeFilling(key.hash) : session.open.MayAwaitYounger(key.hash);
  if (!behind) {
    context_.l1.CountMiss(key, context_.scheduler.Now());
  }
  const TrackingState state = context_.fills.StateFor(key);
  const KeyPolicy& policy = context_.policy->ForKey(key.key, state);
  // (A key that could never be stored is not asked for on the fill link, and so not tracked.)
  if (!policy.cache || key.key.size() + key.variant.size() > policy.entry_bytes_max ||
      (variant && state != TrackingState::kArmed)) {
    context_.stats.bypass_not_armed.Add();
    return ForwardPlain(session, request);
  }
  if (Stopped(policy)) {
    context_.stats.bypass_stopped.Add();
    return ForwardPlain(session, request);
  }
  if (ParkedForUpstream(session)) {
    return false;
  }
  if (context_.fills.Crowded(key.db, key.hash, session.open.fills())) {
    session.ParkWhileCrowded(key.db, key.hash);
    return false;
  }
  context_.stats.misses.Add();
  if (variant) {
    context_.stats.variant_misses[request.row->id].Add();
  }
  PendingRequest pending;
  pending.kind = PendingRequest::Kind::kFlight;
  pending.command = request.row->id;
  pending.hash = key.hash;
  pending.hashed = true;
  pending.past_l1 = variant || behind;
  const std::uint64_t seq = session.Wait(std::move(pending));
  const std::string_view refused =
      JoinFlight(key, read, policy, {{session.id(), seq}, 0, context_.scheduler.Now()},
                 behind ? Joining::kYoungest : Joining::kAny);
  if (!refused.empty()) {
    session.FailSlot(seq, refused);
  }
  return true;
}

std::string_view Dispatcher::JoinFlight(const CacheKey& key, const ReadRequest& read,
                                        const KeyPolicy& policy, const FlightWaiter& waiter,
                                        Joining joining) {
  const double luck = context_.rng.Unit();
  FillTerms terms;
  terms.ttl = ShortenedTtl(policy.ttl, policy.ttl_jitter, luck);
  terms.negative_ttl = ShortenedTtl(policy.negative_ttl, policy.ttl_jitter, luck);
  terms.entry_bytes_max = policy.entry_bytes_max;
  terms.may_fill =
      !context_.coherence.Held(key.hash) && context_.scheduler.Now() >= context_.no_fill_before;
  const auto& coalescing = context_.config->coalescing;
  FlightTable& flights = context_.coherence.flights();
  const std::uint64_t coalesced = flights.stats().coalesced.value();
  const std::string_view refused =
      flights.Join(key, read, terms, waiter, coalescing.enabled ? joining : Joining::kNone,
                   coalescing.waiters_max);
  if (flights.stats().coalesced.value() != coalesced) {
    context_.adaptive.NoteHits(policy.rule, 1);  // it was spared the upstream as by a hit
  }
  return refused;
}

void Dispatcher::NoteSampledHit(std::string_view key) {
  const KeyPolicy& policy = context_.policy->ForKey(key, TrackingState::kArmed);
  context_.adaptive.NoteHits(policy.rule, AdaptiveStop::kSampleEvery);
}

bool Dispatcher::HashMgetKeys(const Session& session, const Request& request) {
  hashes_.clear();
  for (const std::string_view key : request.args.subspan(1)) {
    const std::uint64_t hash = context_.hasher(key);
    hashes_.push_back(hash);
    const KeyPolicy& policy = context_.policy->ForKey(key, TrackingState::kArmed);
    if (!policy.cache || !context_.policy->Keeps(policy, *request.row) ||
        !session.open.MayHit(hash)) {
      return false;
    }
  }
  return true;
}

bool Dispatcher::Mget(Session& session, const Request& request) {
  if (session.pin.link != nullptr || request.args.size() < 2 || !context_.cache_enabled ||
      (RulesAreNew() && !session.open.no_forwards())) {
    return ForwardPlain(session, request);
  }
  if (!HashMgetKeys(session, request)) {
    context_.stats.bypass_policy.Add();
    return ForwardPlain(session, request);
  }
  std::uint32_t absent = 0;
  const MonoTime now = context_.scheduler.Now();
  for (const std::uint64_t hash : hashes_) {
    context_.l1.Prefetch(hash);
  }
  auto gather = std::make_unique<MgetGather>();
  gather->parts.resize(hashes_.size());
  std::vector<std::uint32_t> missing;
  std::size_t bytes = 0;
  std::size_t stale = 0;
  for (std::uint32_t i = 0; i < hashes_.size(); ++i) {
    const CacheKey key{session.client.db, request.args[i + 1], hashes_[i]};
    auto hit = context_.l1.FindHit(key, now);
    if (!hit && (hit = FindStale(session, key))) {
      ++stale;
    }
    if (hit) {
      bytes += hit->value.size();
      if (bytes > kGatherMax) {
        return ForwardPlain(session, request);
      }
      gather->parts[i].null = hit->negative;
      gather->parts[i].value.assign(hit->value);
      NoteHit(key);
      continue;
    }
    ++absent;
    context_.l1.CountMiss(key, now);
    const auto state = context_.fills.StateFor(key);
    const KeyPolicy& policy = context_.policy->ForKey(key.key, state);
    if (absent > context_.config->l1.mget_fill_keys_max || !policy.cache) {
      return ForwardPlain(session, request);
    }
    if (Stopped(policy)) {
      context_.stats.bypass_stopped.Add();
      return ForwardPlain(session, request);
    }
    if (ParkedForUpstream(session)) {
      return false;
    }
    if (context_.fills.Crowded(key.db, key.hash, session.open.fills())) {
      session.ParkWhileCrowded(key.db, key.hash);
      return false;
    }
    missing.push_back(i);
  }
  context_.stats.hits.Add(hashes_.size() - missing.size() - stale);
  context_.stats.stale_served.Add(stale);
  context_.stats.misses.Add(missing.size());
  if (missing.empty()) {
    session.Answer([&](std::string& out) { gather->Render(out, session.client.protocol); });
    return true;
  }
  return GatherMget(session, request, std::move(gather), missing);
}

// Asks for the missing keys, each by a flight of its own; the last answer completes the reply.
bool Dispatcher::GatherMget(Session& session, const Request& request,
                            std::unique_ptr<MgetGather> gather,
                            const std::vector<std::uint32_t>& missing) {
  gather->waiting = static_cast<std::uint32_t>(missing.size());
  PendingRequest pending;
  pending.kind = PendingRequest::Kind::kMget;
  pending.command = request.row->id;
  for (const std::uint32_t i : missing) {
    pending.more_hashes.push_back(hashes_[i]);
  }
  pending.gather = std::move(gather);
  const std::uint64_t seq = session.Wait(std::move(pending));
  for (const std::uint32_t i : missing) {
    const CacheKey key{session.client.db, request.args[i + 1], hashes_[i]};
    const KeyPolicy& policy = context_.policy->ForKey(key.key, context_.fills.StateFor(key));
    const FlightWaiter waiter{{session.id(), seq}, i, context_.scheduler.Now()};
    const std::string_view refused = JoinFlight(key, {}, policy, waiter, Joining::kAny);
    if (!refused.empty()) {
      session.OnFlightLost(waiter, refused, false);
    }
  }
  return true;
}

}  // namespace nearcached
