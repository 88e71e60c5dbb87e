"""One planted bug per rule of the coherence contract (ARCHITECTURE.md 4; rules R1-R15, G1-G7).

Each is a small edit of the product that breaks one rule and nothing else. `find` must occur exactly
once in `file`: when the code changes and it does not, run.py says so instead of testing nothing.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutant:
    name: str
    rule: str     # which promise it breaks
    file: str     # from the root of the repository
    find: str
    replace: str
    by: str = ""  # who is to catch it: a profile of the simulator, or "unit/ROOM", the unit tests in
                  # nearcached_ROOM_test; empty: the simulator, all profiles in turn


_FLIGHTS = "daemon/fetch/flight_table.cc"
_REPLIES = "daemon/fetch/flight_replies.cc"
_AGAIN = "daemon/fetch/flight_again.cc"
_COHERENCE = "daemon/fetch/coherence.cc"
_COHERENCE_H = "daemon/fetch/coherence.h"
_READS = "daemon/session/read_path.cc"
_VARIANTS = "daemon/session/variant_path.cc"
_FORWARD = "daemon/session/forward_path.cc"
_CLUSTER = "daemon/upstream/cluster_ownership.cc"
_EVENTS = "daemon/upstream/invalidation_channel.cc"
_OPS = "daemon/upstream/cluster_ops.cc"

MUTANTS = [
    Mutant("ticket", "R1: what an invalidation meets on its way fills nothing", _REPLIES,
           "  if (!flight.terms.may_fill || !flight.answered) {\n    ForgetOlder",
           "  if (!flight.answered) {\n    ForgetOlder"),
    Mutant("push-spares-flights", "R1: a push poisons the flights of its key", _COHERENCE,
           "    dropped += l1_.EraseInAllDatabases(key, hash);\n    flights_.Poison(hash, key);",
           "    dropped += l1_.EraseInAllDatabases(key, hash);"),
    Mutant("prefix-spares-flights", "R1: a message that names a prefix poisons its flights",
           _COHERENCE, "  flights_.PoisonPrefix(prefix);\n", "",
           by="announced"),
    Mutant("gap", "R6: a subscription that stands again makes up for what was missed", _EVENTS,
           "  deps_.coherence.Flush(FlushReason::kEvent);\n  backoff_.Reset();",
           "  backoff_.Reset();",
           by="old-server"),
    Mutant("detach", "R2: nobody joins a flight that an invalidation has met", _FLIGHTS,
           "        PoisonOne(it->second);\n        again = true;  // the range changed under us\n",
           "        flights_[it->second]->terms.may_fill = false;\n"),
    Mutant("second-act", "R3: an own write acts again before its reply is released", _COHERENCE,
           "  DropKeys(*footprint);\n  const Duration hold =",
           "  if (!footprint->write) {\n    DropKeys(*footprint);\n  }\n"
           "  const Duration hold ="),
    Mutant("hold", "R3: nothing is filled while a write of the key is unanswered", _COHERENCE_H,
           "    return flush_holds_ != 0 || (!holds_.empty() && holds_.contains(hash));",
           "    return false && hash == 0;",
           by="unit/fetch"),
    Mutant("lost-flush", "R3: a flush whose reply was lost may still be carried out, and SWAPDB is announced by nobody",
           _COHERENCE, "footprint->flushes_all ? hold_after_lost_flush_ : hold_after_loss_;",
           "hold_after_loss_;", by="unit/fetch"),
    Mutant("own-order", "R4: a read behind the client's own write follows it", _READS,
           "  if (session.open.MayBeForwarded(key.hash) || (RulesAreNew() && "
           "!session.open.no_forwards())) {",
           "  if (session.open.MayBeForwarded(key.hash) && session.id() == 0) {"),
    Mutant("behind", "G2: nor does L1 answer a GET behind one that passed L1 over", _READS,
           "  pending.past_l1 = variant || behind;", "  pending.past_l1 = variant;",
           by="meeting"),
    Mutant("parking", "R4: a write does not overtake the client's own read of the key", _FORWARD,
           "{ return session.open.MayBeFilling(key.hash); });",
           "{ return session.open.MayBeFilling(key.hash) && session.id() == 0; });"),
    Mutant("no-pttl", "R5: no entry outlives its key", "daemon/fetch/entry_deadline.h",
           "    if (pttl_ms < std::chrono::ceil<std::chrono::milliseconds>(ttl).count()) {",
           "    if (pttl_ms < 0) {",
           by="short-lives"),
    Mutant("ttl-from-arrival", "R5: a life is counted from the sending of its read", _REPLIES,
           "EntryDeadline(flight.sent_at, negative ?", "EntryDeadline(scheduler_.Now(), negative ?",
           by="short-lives"),
    Mutant("late-joiner", "G4: a reply that may be older than the key's end is not for those who came "
           "after it", _AGAIN,
           "    return w.since > flight.sent_at && w.since >= alive_until;",
           "    return w.since > alive_until && w.since < flight.sent_at;",
           by="unit/fetch"),
    Mutant("owner", "R6: what a lost fill link had filled is gone", _COHERENCE,
           "  } else {\n    l1_.DropOwners(owners);\n  }", "  }",
           by="faults"),
    Mutant("tracker-unheard", "R6: no link fills before the server redirects its tracking",
           "daemon/upstream/redirected_tracking.cc", "  if (ready_) {\n    Ask(*Find(&fill));",
           "  fill.Arm();\n  if (ready_) {\n    Ask(*Find(&fill));",
           by="redirect-faults"),
    Mutant("unordered-variants", "G2: where pushes may come after replies no two reads are kept",
           "daemon/upstream/pool_fill.cc", "? TrackingState::kArmedUnordered", "? TrackingState::kArmed",
           by="redirect-faults"),
    Mutant("tracker-lost", "R6: what a lost tracking link covered is gone",
           "daemon/upstream/redirected_tracking.cc", "    owner_.OnTrackerLost(owners, away);",
           "    (void)away;", by="redirect-faults"),
    Mutant("older-left", "G2: a reply that is not kept leaves no older one in L1", _REPLIES,
           "  (void)l1_.Erase(flight.Key());", "  (void)flight;", by="unit/fetch"),
    Mutant("null-push", "R7: a flush at the server empties L1", _COHERENCE,
           "      stats_.flushes_push.Add();\n      break;",
           "      stats_.flushes_push.Add();\n      return;",
           by="churn"),
    Mutant("flush-spares-flights", "R7: a flush meets the flights too", _COHERENCE,
           "  l1_.Clear();\n  flights_.PoisonAll();", "  l1_.Clear();",
           by="churn"),
    Mutant("own-flush", "R7: FLUSHALL through here holds every key", _COHERENCE_H,
           "    return flush_holds_ != 0 || (!holds_", "    return (!holds_",
           by="unit/fetch"),
    Mutant("first-key-only", "R8: every key a command writes counts", _FORWARD,
           "    const bool write = visit.write || unknown;",
           "    if (footprint != nullptr && !footprint->keys.empty()) {\n      break;\n    }\n"
           "    const bool write = visit.write || unknown;"),
    Mutant("exec", "R9: what MULTI queued acts again at EXEC", _FORWARD,
           "    options.extra = std::move(queued);", "    queued.reset();"),
    Mutant("database", "G5: a value of one database is not shown in another",
           "daemon/fetch/flight_table.h", "      return db == k.db && key == k.key", "      return key == k.key"),
    Mutant("read-past-l1", "R15: a reply read past L1 is not older than what L1 shows next",
           _COHERENCE, "  DropKeys(*footprint);\n  const Duration hold =",
           "  if (footprint->write) {\n    DropKeys(*footprint);\n  }\n"
           "  const Duration hold ="),
    Mutant("older-flight", "R15: of several flights of a key only the youngest fills", _FLIGHTS,
           "  SupersedeOlder(key);\n  const std::uint64_t index",
           "  const std::uint64_t index"),
    Mutant("variants-outlive", "R1: an invalidation drops every reply kept under the key",
           "daemon/cache/variants.cc", "return KeyOf(arena_.At(id)) == key; };",
           "return KeyOf(arena_.At(id)) == key && !arena_.At(id).variant(); };"),
    Mutant("variant-arguments", "G5: a reply is kept for the arguments it was asked with",
           _VARIANTS, "    variant_.append(arg.substr(0, kVariantBytesMax));",
           "    variant_.append(arg.substr(0, 0));"),
    Mutant("variant-protocol", "G5: a reply is kept for the protocol it was asked in", _VARIANTS,
           "variant_.push_back(protocol == proto::Protocol::kResp3 ? '3' : '2');",
           "variant_.push_back(protocol == proto::Protocol::kResp3 ? '2' : '2');"),
    Mutant("get-behind-variant", "G2: who waits for a read of the key gets no older GET from L1",
           "daemon/session/open_requests.h",
           "(!MayBeForwarded(hash) && !MayAwaitYounger(hash))", "!MayBeForwarded(hash)",
           by="meeting"),
    Mutant("variant-behind-read", "G2: who waits for a read of the key gets no older reply from L1",
           _VARIANTS,
           "!session.open.MayBeForwarded(key.hash) && !session.open.MayBeFilling(key.hash);",
           "!session.open.MayBeForwarded(key.hash);",
           by="meeting"),
    Mutant("join-older", "G2: who waits for a read of the key joins no older flight of it", _FLIGHTS,
           "(joining == Joining::kAny || found->order == youngest)", "youngest != 0",
           by="meeting"),
    Mutant("follow-up", "G2: what asks again takes its client's later reads of the key along", _AGAIN,
           "  for (const auto& [of, waiter] : behind) {\n    Rejoin(of, waiter);",
           "  for (const auto& [of, waiter] : behind) {\n"
           "    for (const auto& flight : flights_) {\n"
           "      if (flight->open && flight->order == of.order) {\n"
           "        flight->waiters.push_back(waiter);\n"
           "      }\n"
           "    }",
           by="meeting"),
    Mutant("absent-reply", "G4: what PTTL calls gone is kept only if the reply says so too",
           _REPLIES, "!negative || flight.SaysNoKey();", "true;",
           by="unit/fetch"),
    Mutant("variant-untracked", "G2: without tracking no two reads of a key are kept", _READS,
           "      (variant && state != TrackingState::kArmed)) {", "      false) {",
           by="tracking-off"),
    Mutant("role", "I8: a node is the primary when it says so itself, not when somebody names it",
           "daemon/upstream/role.cc",
           "    role.offset = parts[4].integer;\n    return role;",
           "    role.offset = parts[4].integer;\n    role.primary = true;\n    return role;",
           by="failover"),
    Mutant("leave", "I8: links to a primary that was replaced are closed",
           "daemon/upstream/link_connection.cc",
           "  if (state_ == State::kReady) {\n    context_.stats.closed_switched.Add();\n  }\n",
           "  if (state_ == State::kReady) {\n    return;\n  }\n",
           by="failover"),
    Mutant("epoch", "I8: a name that is known to be old is not followed",
           "daemon/upstream/primary_choice.cc",
           "  return node.epoch > 0 && rules.epoch > 0 ? node.epoch >= rules.epoch : "
           "HasMajority(node, rules);", "  return node.votes > 0 || HasMajority(node, rules);",
           by="failover"),
    Mutant("script", "I9: a server is told a script before the first call on a new connection",
           "daemon/upstream/link.cc", "  if (request.script != nullptr && !KnowsScript(*request.script, ",
           "  if (request.script != nullptr && renewing() && !KnowsScript(*request.script, ",
           by="faults"),
    Mutant("script-in-multi", "I9: inside MULTI the server is told before the call is queued",
           "daemon/session/script_path.cc", "  if (script == nullptr) {\n    return ScriptState::kKnown;",
           "  if (script == nullptr || script->id != 0) {\n    return ScriptState::kKnown;",
           by="faults"),
    Mutant("patience", "I8: a primary that stays silent is left in the end",
           "daemon/upstream/primary_choice.cc",
           "(node.incumbent ? node.misses < rules.misses_max : node.misses == 0)",
           "(node.incumbent ? rules.misses_max > 0 : node.misses == 0)",
           by="failover"),
    Mutant("ask-remembered", "I8: ASK is for one request, the slot is still its owner's", _CLUSTER,
           "    cluster_stats_.asked.Add();\n    return;  // the slot is still its owner's\n",
           "    cluster_stats_.asked.Add();\n",
           by="unit/app"),
    Mutant("moved-forgotten", "I8: MOVED is heeded by the next request", _CLUSTER,
           "    MoveSlots({{redirect.slot, node}});\n    refresh_.Request(redirect.to);\n", "",
           by="cluster"),
    Mutant("merge-order", "I2: the parts of an MGET go back to the places of their keys",
           "daemon/upstream/cluster_merge.cc",
           "      places[part.positions[i]] = (*elements)[i];",
           "      places[--total] = (*elements)[i];",
           by="cluster"),
    Mutant("overtaking", "I1: nobody overtakes what is on its way to a slot that has moved",
           "daemon/upstream/cluster_slot_table.cc",
           "  state.shut = state.under_way != 0;", "  state.shut = false;",
           by="cluster"),
    Mutant("slot-generation", "R7: what a slot had filled is gone when it has another owner", _CLUSTER,
           "    if (slots_.Move(slot, node) && owned) {\n",
           "    if (slots_.Move(slot, node) && owned && slot == kSlots) {\n",
           by="unit/app"),
    Mutant("slot-fillers", "R6: what a lost node had filled is gone", _CLUSTER,
           "  coherence_->OnFillersLost(ended, away);", "  coherence_->OnFillersLost({}, away);",
           by="cluster"),
    Mutant("slot-shelf", "R7: what was set aside of a slot is gone when it has another owner",
           _COHERENCE,
           "  l1_.Unshelve(owners);\n  flights_.PoisonAll();", "  flights_.PoisonAll();",
           by="unit/fetch"),
    Mutant("node-back", "G3: what was set aside of a node is gone when the node is back", _CLUSTER,
           "  coherence_->OnFillersBack(back);", "  coherence_->OnFillersBack({});",
           by="unit/app"),
    Mutant("asked-elsewhere-fills", "R6: what a redirected fill finds is not stored", _OPS,
           "kNoTtl, {'-', false, -1}, true);", "\":-1\\r\\n\", {':', false, -1}, true);",
           by="cluster"),
    Mutant("footprint-once", "R3: a write that is sent again is under way again", _OPS,
           "again ? FootprintAgain(op.bytes) : std::move(op.footprint)",
           "again ? nullptr : std::move(op.footprint)",
           by="unit/app"),
    Mutant("absence-believed", "G1: a cluster's replica is not believed that a key is gone",
           "daemon/upstream/second_chance.cc",
           "(IsRedirection(reply) || MayMeanAbsent(reply));", "IsRedirection(reply);",
           by="cluster-replicas"),
    Mutant("down-overtaken", "I1: what was refused is not asked again behind what was served after it",
           "daemon/upstream/cluster_waiting.cc",
           "op.down && op.slot == served.slot &&", "op.down && op.plain && op.slot == served.slot &&",
           by="unit/app"),
    Mutant("sent-again", "I1: what may have been carried out is not sent again", _OPS,
           "  if (what == kReply) {\n    Lose(id, error_line, mid_reply);",
           "  if (what == kReply && op.keyed && !mid_reply && op.due < 3) {\n"
           "    SendAgain(id, slots_.owner(op.slot), false);\n"
           "  } else if (what == kReply) {\n    Lose(id, error_line, mid_reply);",
           by="cluster"),
]
