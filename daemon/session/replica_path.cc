// Reads that a replica answers (upstream.read_from), and what keeps them in order.
//
// Only reads whose keys are all known, and of which no rule caches one, go to a replica: so nothing
// that L1, flights or holds know of is concerned (read_routes.h says why). Two things remain.
//
// A client must see what was written. Every request that may write notes its keys when its reply
// comes (RecentWrites, for all clients together), and a replica is asked for a key only once it is
// known to have everything that was acknowledged up to then.
//
// A client's requests that touch the same key must not overtake each other, on two links or three:
// a read whose key is in an unanswered request on the lane follows there, and what touches a key of
// an unanswered read at a replica waits for that. All reads that a client has at replicas at one
// time are on one link, or, in a cluster, all that share a key.
#include <algorithm>
#include <memory>
#include <utility>

#include "daemon/session/dispatcher.h"

namespace nearcached {
namespace {

// The upstream's answer depends on nothing but the data: no script, which might call anything.
bool MayBeReadAnywhere(const CommandRow& row) {
  return row.Is(CommandFlag::kReadOnly) && !row.MayWrite() && row.script == ScriptRole::kNone &&
         row.name != "touch";  // is sent for what it does to the primary's memory
}

}  // namespace

// A read that a replica may answer: goes there, or waits (false). Nothing: it is for the primary.
std::optional<bool> Dispatcher::ReadFromReplica(Session& session, const Request& request) {
  const CommandRow& row = *request.row;
  if (context_.routes == nullptr || session.pin.link != nullptr || session.logged_in() ||
      context_.paused || RulesAreNew() || !MayBeReadAnywhere(row) || !Repeatable(row) ||
      ExtractKeys(row, request.args, visits_) != KeysVerdict::kKeys) {
    return std::nullopt;
  }
  ReadRoutes::Ask ask{.command = row.name,
                      .key = visits_.front().key,
                      .single = visits_.size() == 1,
                      .db = session.client.db,
                      .protocol = session.client.protocol,
                      .client = session.id(),
                      .since = MonoTime::min()};
  PendingRequest pending;
  pending.command = row.id;
  pending.at_replica = true;
  for (const KeyVisit& visit : visits_) {
    const std::uint64_t hash = context_.hasher(visit.key);
    if ((context_.config->l1.enabled &&
         context_.policy->ForKey(visit.key, TrackingState::kArmed).cache) ||
        session.open.MayBeForwarded(hash)) {
      return std::nullopt;
    }
    ask.since = std::max(ask.since, context_.recent_writes->LastOf(hash));
    pending.AddKey(hash);
  }
  const ReadRoutes::Route route = context_.routes->RouteRead(ask);
  if (!route.refusal.empty()) {
    session.AnswerError(row.id, route.refusal);
    return true;
  }
  if (route.link == nullptr) {
    return std::nullopt;
  }
  const std::size_t own = session.open.at_replica();
  const bool several = own != 0 && (session.on_replica_lanes || route.lane != session.replica_lane);
  const bool meets =
      several && (!route.beside_others || std::ranges::any_of(visits_, [&](const auto& visit) {
        return session.open.MayBeAtReplica(context_.hasher(visit.key));
      }));
  if (meets || route.link->Crowded(own)) {
    session.ParkUntil(Session::Park::kUpstream);
    return false;
  }
  session.replica_lane = route.lane;
  session.on_replica_lanes = several;
  const std::uint64_t seq = session.Wait(std::move(pending));
  SendRequest out{.bytes = request.raw,
                  .sink = &session.sink(),
                  .token = {session.id(), seq},
                  .timeout = context_.config->upstream.command_timeout,
                  .client = session.id()};
  const std::string_view refused = route.link->Send(out);
  if (!refused.empty()) {
    session.FailSlot(seq, refused);
  }
  return true;
}

// Notes the keys of a request that is about to go to the primary, and those of them that it may
// write. False: one of them is being read at a replica, and the request is parked.
bool Dispatcher::NoteForReplicas(Session& session, const Request& request,
                                 PendingRequest& pending) {
  const CommandRow& row = *request.row;
  const bool unknown = ExtractKeys(row, request.args, visits_) == KeysVerdict::kUnknown;
  const bool wide = unknown || row.Is(CommandFlag::kWide) || row.Is(CommandFlag::kFlushesAll);
  const bool meets = std::any_of(visits_.begin(), visits_.end(), [&](const KeyVisit& visit) {
    return session.open.MayBeAtReplica(context_.hasher(visit.key));
  });
  if (meets || (wide && session.open.at_replica() != 0)) {
    session.ParkUntil(Session::Park::kUpstream);
    return false;
  }
  auto written = std::make_unique<WrittenKeys>();
  written->all = wide && (row.MayWrite() || unknown);
  pending.wide = wide;
  for (const KeyVisit& visit : visits_) {
    const std::uint64_t hash = context_.hasher(visit.key);
    pending.AddKey(hash);
    if (visit.write) {
      written->hashes.push_back(hash);
    }
  }
  if (session.pin.multi && pending.kind == PendingRequest::Kind::kForward) {
    KeepForExec(session, *written);
  } else if (pending.kind == PendingRequest::Kind::kTxnEnd && session.pin.written != nullptr) {
    std::unique_ptr<WrittenKeys> queued = std::move(session.pin.written);
    written->all = written->all || queued->all;
    written->hashes.insert(written->hashes.end(), queued->hashes.begin(), queued->hashes.end());
  }
  if (written->all || !written->hashes.empty()) {
    pending.written = std::move(written);
  }
  return true;
}

// What is queued in MULTI is written at EXEC.
void Dispatcher::KeepForExec(Session& session, const WrittenKeys& written) {
  constexpr std::size_t kKeysMax = 10'000;
  if (session.pin.written == nullptr) {
    session.pin.written = std::make_unique<WrittenKeys>();
  }
  WrittenKeys& kept = *session.pin.written;
  kept.all = kept.all || written.all || kept.hashes.size() + written.hashes.size() > kKeysMax;
  if (!kept.all) {
    kept.hashes.insert(kept.hashes.end(), written.hashes.begin(), written.hashes.end());
  }
}

}  // namespace nearcached
