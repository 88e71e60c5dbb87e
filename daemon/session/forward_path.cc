// Everything that goes upstream as the client wrote it: plain commands on the client's lane, and
// what needs a connection of its own on an exclusive link.
//
// Order. Fills travel on fill links, everything else of a client on its lane, so two links carry
// one client's requests. Requests that touch the same key must not overtake each other: a command
// that touches a key for which this client has a read on a fill link waits until that read is
// answered (a later SET must not show in an earlier GET), and a read behind an unanswered command
// that touches its key follows on the lane (read_path.cc). Commands whose keys nobody can know wait
// for all the client's fills, and all its reads follow them.
#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "daemon/command/blocking_wait.h"
#include "daemon/session/dispatcher.h"
#include "proto/encode.h"
#include "proto/requests.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// The server's words.
constexpr std::string_view kNotInMulti = "ERR Command not allowed inside a transaction";

// Whether a fill that the client itself waits for may be of a key that the request touches.
bool MeetsFills(const Session& session, const Footprint& footprint) {
  return (footprint.wide && !session.open.no_fills()) ||
         std::any_of(footprint.keys.begin(), footprint.keys.end(),
                     [&](const FootprintKey& key) { return session.open.MayBeFilling(key.hash); });
}

void NoteKeys(PendingRequest& pending, const Footprint& footprint) {
  pending.wide = pending.wide || footprint.wide;
  for (const FootprintKey& key : footprint.keys) {
    pending.AddKey(key.hash);
  }
}

}  // namespace

// The keys of the request that L1 could ever hold. Null when there are none: then the request
// cannot make L1 wrong, and nothing about it needs to be remembered.
std::unique_ptr<Footprint> Dispatcher::FootprintOf(const Request& request) {
  const CommandRow& row = *request.row;
  const KeysVerdict verdict = ExtractKeys(row, request.args, visits_);
  const bool unknown = verdict == KeysVerdict::kUnknown;
  const bool flushes_all = row.Is(CommandFlag::kFlushesAll);
  const bool wide = unknown || row.Is(CommandFlag::kWide) || flushes_all;
  std::unique_ptr<Footprint> footprint;
  if (wide) {
    footprint = std::make_unique<Footprint>();
    footprint->wide = true;
    footprint->flushes_all = flushes_all;
    footprint->write = flushes_all;
  }
  for (const KeyVisit& visit : visits_) {
    if (!context_.policy->ForKey(visit.key, TrackingState::kArmed).cache) {
      continue;
    }
    if (footprint == nullptr) {
      footprint = std::make_unique<Footprint>();
    }
    const bool write = visit.write || unknown;
    footprint->write = footprint->write || write;
    footprint->keys.push_back({context_.hasher(visit.key), std::string(visit.key), write});
  }
  return footprint;
}

// Whether the command, should its connection be lost, may simply be asked again: it changes
// nothing, and what it says does not depend on how often it is asked.
bool Dispatcher::Repeatable(const CommandRow& row) {
  return row.Is(CommandFlag::kReadOnly) && !row.Is(CommandFlag::kWrite) &&
         !row.Is(CommandFlag::kVolatile) && !row.Is(CommandFlag::kWide) &&
         !row.Is(CommandFlag::kBlocking) && !row.Is(CommandFlag::kAdmin) &&
         !row.Is(CommandFlag::kPubSub) && !row.Is(CommandFlag::kBoundToLane);
}

bool Dispatcher::ForwardPlain(Session& session, const Request& request) {
  ForwardOptions options;
  options.timeout = context_.config->upstream.command_timeout;
  return Forward(session, request, std::move(options));
}

bool Dispatcher::ParkedForUpstream(Session& session, const UpstreamLink* lane) const {
  if (context_.paused) {
    session.ParkUntil(Session::Park::kPaused);
    return true;
  }
  if (session.upstream().holding() || (lane != nullptr && lane->holding())) {
    context_.stats.held.Add();
    context_.held = true;
    session.ParkWhileHeld(lane);
    return true;
  }
  return false;
}

// False: the request is parked until it may go.
bool Dispatcher::MayForwardNow(Session& session, std::size_t bytes) const {
  if (session.pin.ending && !session.pin.multi) {  // the exclusive link goes back first
    if (session.unanswered() != 0) {
      session.ParkUntil(Session::Park::kUpstream);
      return false;
    }
    session.Unpin(true);
  }
  if (RulesAreNew() && !session.open.no_fills()) {
    session.ParkUntil(Session::Park::kFills);
    return false;
  }
  if (session.pin.link != nullptr) {
    return true;
  }
  UpstreamLink& lane = session.Lane();
  if (ParkedForUpstream(session, &lane)) {
    return false;
  }
  if (lane.Crowded(session.open.forwards())) {
    session.ParkWhileCrowded(lane);
    return false;
  }
  if (lane.Full(bytes) && session.MayRetry()) {
    session.Retry();
    return false;
  }
  return true;
}

bool Dispatcher::Forward(Session& session, const Request& request, ForwardOptions options) {
  if (const auto taken = ReadFromReplica(session, request)) {
    return *taken;
  }
  if (!MayForwardNow(session, request.raw.size())) {
    return false;
  }
  if (const auto script = ScriptStateOf(session, request); script == ScriptState::kBeingTold) {
    return false;
  } else if (script == ScriptState::kUntold) {
    session.FailSlot(session.Wait({}), session.pin.script_untold);
    return true;
  }
  std::unique_ptr<Footprint> footprint =
      context_.config->l1.enabled ? FootprintOf(request) : nullptr;
  Merge(footprint, std::move(options.extra));
  if (session.reads_past_l1() && footprint != nullptr && !footprint->write && !footprint->wide) {
    footprint = nullptr;  // it reads none of these keys from L1, which may keep them for others
  }
  PendingRequest pending;
  pending.kind = options.kind;
  pending.command = request.row->id;
  pending.db = options.db;
  if (context_.routes != nullptr && !NoteForReplicas(session, request, pending)) {
    return false;
  }
  if (footprint != nullptr) {
    if (MeetsFills(session, *footprint)) {
      session.ParkUntil(Session::Park::kFills);
      return false;
    }
    if (context_.routes == nullptr) {  // else all its keys are noted already
      NoteKeys(pending, *footprint);
    }
    QueueInMulti(session, *footprint, options.kind);
    context_.coherence.BeginWrite(*footprint);
  }
  if (session.pin.multi && options.kind == PendingRequest::Kind::kForward) {
    ++session.pin.commands_queued;
  }
  UpstreamLink& link = session.pin.link != nullptr ? *session.pin.link : session.Lane();
  const std::uint64_t seq = session.Wait(std::move(pending));
  ScriptRef script = NoteScript(session, request);
  if (script != nullptr) {
    KeepScriptCall(session, request, seq, script, footprint.get());
  }
  const bool repeatable =
      session.pin.link == nullptr && script == nullptr && Repeatable(*request.row);
  SendRequest out{.bytes = options.instead_of_raw.empty() ? request.raw : options.instead_of_raw,
                  .keep = options.instead_of_raw.empty() ? session.KeepInput(request.raw) : nullptr,
                  .sink = &session.sink(),
                  .token = {session.id(), seq},
                  .footprint = std::move(footprint),
                  .timeout = options.timeout,
                  .repeatable = repeatable,
                  .client = session.id(),
                  .unfinished = options.unfinished,
                  .script = std::move(script)};
  const std::string_view refused = link.Send(out);
  if (!refused.empty()) {
    if (out.footprint != nullptr) {
      context_.coherence.Finish(std::move(out.footprint), Outcome::kAnswered);  // never left
    }
    session.FailSlot(seq, refused);
  }
  return true;
}

// Adds what `extra` touches, if anything.
void Dispatcher::Merge(std::unique_ptr<Footprint>& footprint, std::unique_ptr<Footprint> extra) {
  if (extra == nullptr) {
    return;
  }
  if (footprint == nullptr) {
    footprint = std::move(extra);
    return;
  }
  footprint->write = footprint->write || extra->write;
  footprint->wide = footprint->wide || extra->wide;
  footprint->flushes_all = footprint->flushes_all || extra->flushes_all;
  std::move(extra->keys.begin(), extra->keys.end(), std::back_inserter(footprint->keys));
}

// Inside MULTI, what a queued command will touch is remembered for EXEC (R9): keys it writes must
// be held until EXEC has been answered, keys it reads must not go back in time after that (R15).
// The command is also treated as if it ran now, so that a MULTI which failed unnoticed cannot leave
// an old value behind.
void Dispatcher::QueueInMulti(Session& session, const Footprint& footprint,
                              PendingRequest::Kind kind) {
  if (!session.pin.multi || kind != PendingRequest::Kind::kForward) {
    return;
  }
  constexpr std::size_t kKeysMax = 10'000;
  if (session.pin.queued == nullptr) {
    session.pin.queued = std::make_unique<Footprint>();
  }
  Footprint& queued = *session.pin.queued;
  queued.write = queued.write || footprint.write;
  queued.wide = queued.wide || footprint.wide;
  queued.flushes_all = queued.flushes_all || footprint.flushes_all;
  if (queued.keys.size() + footprint.keys.size() > kKeysMax) {
    queued.flushes_all = queued.write = true;  // too many to remember one by one
    queued.keys.clear();
  }
  if (!queued.flushes_all) {
    queued.keys.insert(queued.keys.end(), footprint.keys.begin(), footprint.keys.end());
  }
}

// ---- exclusive links ----------------------------------------------------------------------------

bool Dispatcher::EnsurePinned(Session& session, const Request& request, bool& answered) const {
  answered = false;
  if (session.pin.link != nullptr && !session.pin.ending) {
    return true;
  }
  if (!session.open.empty()) {
    session.ParkUntil(Session::Park::kUpstream);  // what went before must have been done before
    return false;
  }
  session.Unpin(true);
  if (ParkedForUpstream(session)) {
    return false;
  }
  std::string_view error_line;
  if (!session.Pin(session.client.db, error_line)) {
    if (error_line.empty()) {
      session.ParkUntil(Session::Park::kLink);
      return false;
    }
    session.AnswerError(request.row->id, error_line);
    answered = true;
  }
  return true;
}

bool Dispatcher::Transaction(Session& session, const Request& request) {
  if (!request.row->ArityHolds(request.args.size())) {
    return ForwardPlain(session, request);  // the server refuses it, and nothing changes
  }
  const std::string_view name = request.row->name;
  if (name == "multi" || name == "watch") {
    bool answered = false;
    if (!EnsurePinned(session, request, answered)) {
      return false;
    }
    if (answered) {
      // What was sent behind it was meant for a transaction that there is not. Carried out one by
      // one it could be done by half; a connection that ends is understood by every client.
      if (context_.batch.HasMoreBehind(request)) {
        session.CloseAfterReplies(context_.stats.closed_upstream);
      }
      return true;
    }
    ForwardOptions options;
    options.timeout = context_.config->upstream.command_timeout;
    if (name == "multi" && !session.pin.multi) {
      session.pin.multi = true;
      session.pin.commands_queued = 0;
      options.kind = PendingRequest::Kind::kMulti;
    } else if (name == "watch" && !session.pin.multi) {
      session.pin.watching = true;
    }
    return Forward(session, request, std::move(options));
  }
  return EndTransaction(session, request);
}

// EXEC, DISCARD, UNWATCH.
bool Dispatcher::EndTransaction(Session& session, const Request& request) {
  const bool unwatch = request.row->name == "unwatch";
  if (session.pin.link == nullptr || (unwatch ? session.pin.multi : false) ||
      (!unwatch && !session.pin.multi)) {
    return ForwardPlain(session, request);  // the upstream knows what to say
  }
  ForwardOptions options;
  options.kind = PendingRequest::Kind::kTxnEnd;
  options.timeout = context_.config->upstream.command_timeout;
  std::unique_ptr<Footprint> queued = std::move(session.pin.queued);
  if (request.row->name == "exec" && session.pin.aborted) {
    options.kind = PendingRequest::Kind::kExecAborted;
    options.instead_of_raw = proto::kDiscardRequest;
  } else if (request.row->name == "exec") {
    options.extra = std::move(queued);
  }
  session.pin.multi = false;
  session.pin.watching = false;
  session.pin.aborted = false;
  const bool taken = Forward(session, request, std::move(options));
  session.EndPin();
  return taken;
}

bool Dispatcher::Blocking(Session& session, const Request& request) {
  const BlockingWait wait = BlockingWaitOf(*request.row, request.args);
  if (wait.kind == BlockingWait::Kind::kNotBlocking || session.pin.multi) {
    return ForwardPlain(session, request);
  }
  if (InCluster() && request.row->Is(CommandFlag::kBoundToLane)) {
    session.AnswerError(request.row->id,
                        proto::NotSupported(request.row->name,
                                            "what was written is on several nodes of the cluster, "
                                            "and each knows its own replicas only"));
    return true;
  }
  if (session.gone()) {
    // It was parked while its client left: what it pops nobody could take (pitfalls.md 38).
    session.CloseAfterReplies(context_.stats.closed_by_client);
    return true;
  }
  bool answered = false;
  if (!EnsurePinned(session, request, answered)) {
    return false;
  }
  if (answered) {
    return true;
  }
  if (request.row->Is(CommandFlag::kBoundToLane)) {
    // WAIT is about what was written before it "on this connection", which the server takes to be
    // all that was written when the connection's last command ran. This client's writes have been
    // answered, so any command will do.
    (void)session.pin.link->Send({.bytes = proto::kPingRequest,
                                  .timeout = context_.config->upstream.command_timeout,
                                  .discard_reply = true});
  }
  ForwardOptions options;
  options.kind = PendingRequest::Kind::kTxnEnd;
  if (wait.kind == BlockingWait::Kind::kFor) {
    options.timeout = wait.wait + Duration(context_.config->upstream.command_timeout);
  }
  const bool taken = Forward(session, request, std::move(options));
  if (taken && session.unanswered() != 0) {
    session.pin.blocking = true;
    session.ParkUntil(Session::Park::kUpstream);
  }
  if (taken && !session.pin.watching) {
    session.EndPin();
  }
  return taken;
}

// What ends a script must not wait behind it, so it goes on a link that nobody else is on. In the
// default database: a server that a script keeps busy answers SELECT with an error.
bool Dispatcher::Urgent(Session& session, const Request& request) {
  if (InCluster() || (session.pin.link != nullptr && !session.pin.ending)) {
    return ForwardPlain(session, request);
  }
  if (session.unanswered() != 0) {
    session.ParkUntil(Session::Park::kUpstream);
    return false;
  }
  session.Unpin(true);
  std::string_view error_line;
  if (!session.Pin(0, error_line)) {
    if (error_line.empty()) {
      session.ParkUntil(Session::Park::kLink);
      return false;
    }
    session.AnswerError(request.row->id, error_line);
    return true;
  }
  ForwardOptions options;
  options.timeout = context_.config->upstream.command_timeout;
  const bool taken = Forward(session, request, std::move(options));
  session.EndPin();
  return taken;
}

// Redis refuses EXEC after a command that it refused to queue; so do we after one of our refusals.
void Dispatcher::RefuseInMulti(Session& session, const Request& request, std::string_view line) {
  if (session.pin.multi) {
    session.pin.aborted = true;
  }
  session.AnswerError(request.row->id, line);
}

// What servers never queue they refuse in MULTI before they ask what it is, in words that clients
// know.
void Dispatcher::RefuseAsRowSays(Session& session, const Request& request) {
  const CommandRow& row = *request.row;
  const bool never_queued = session.pin.multi && row.Is(CommandFlag::kNoMulti);
  RefuseInMulti(session, request, never_queued ? kNotInMulti : row.refusal);
}

}  // namespace nearcached
