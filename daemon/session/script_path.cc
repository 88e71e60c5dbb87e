// What requests show of scripts, and which script a request calls by its SHA1.
//
// What EVAL and SCRIPT LOAD carry is remembered when they are dispatched, whatever becomes of them:
// a script that does not compile is one that the server refuses again. SCRIPT FLUSH makes us forget
// at once as well, so that an EVALSHA behind it is answered as the server answers it.
//
// A link tells its server about a script ahead of the call. Inside MULTI it cannot, since there
// SCRIPT LOAD would be queued and have a place in the reply of EXEC. A lane of the client tells the
// server instead, and the call is queued once that has been answered: a round trip, for a script
// and an exclusive link once. Where the lane is lost before, the call fails and with it the
// transaction: queued, it might answer NOSCRIPT from the middle of an EXEC that did the rest.
// In a cluster it is the node of the call's keys that is told, and the next one too where the slot
// has got another owner by the time of the answer (ClusterExclusive::KnowsScript).
#include <array>
#include <string>
#include <utility>

#include "daemon/session/dispatcher.h"
#include "proto/encode.h"

namespace nearcached {

// Takes note of what the request shows. The script it calls, where its link may tell the server
// ahead of it; else null.
ScriptRef Dispatcher::NoteScript(Session& session, const Request& request) {
  const auto& args = request.args;
  const CommandRow& row = *request.row;
  if (row.script == ScriptRole::kNone || !row.ArityHolds(args.size())) {
    return nullptr;
  }
  switch (row.script) {
    case ScriptRole::kBodyFirst:
      (void)context_.scripts.Remember(args[1]);
      return nullptr;
    case ScriptRole::kBodySecond:
      (void)context_.scripts.Remember(args[2]);
      return nullptr;
    case ScriptRole::kFlush:
      context_.scripts.ForgetAll();
      return nullptr;
    case ScriptRole::kNameFirst:
      return session.pin.multi ? nullptr : context_.scripts.Find(args[1]);
    case ScriptRole::kNone:
      break;
  }
  return nullptr;
}

// Inside MULTI: whether the server knows the script that the request calls, or is being told it
// over a lane; then the request is parked.
Dispatcher::ScriptState Dispatcher::ScriptStateOf(Session& session, const Request& request) {
  if (!session.pin.multi || request.row->script != ScriptRole::kNameFirst ||
      !request.row->ArityHolds(request.args.size())) {
    return ScriptState::kKnown;
  }
  const ScriptRef script = context_.scripts.Find(request.args[1]);
  if (script == nullptr) {
    return ScriptState::kKnown;
  }
  if (session.pin.script_told == script->id) {
    session.pin.script_told = 0;
    if (!session.pin.script_untold.empty()) {
      return ScriptState::kUntold;
    }
    session.pin.link->NoteScript(*script);
  }
  if (session.pin.link->KnowsScript(*script, request.raw)) {
    return ScriptState::kKnown;
  }
  session.pin.script_told = script->id;
  session.pin.script_untold.clear();
  const std::array<std::string_view, 3> load = {"SCRIPT", "LOAD", script->body};
  std::string bytes;
  proto::AppendCommand(bytes, load);
  PendingRequest pending;
  pending.kind = PendingRequest::Kind::kScriptLoad;
  pending.command = request.row->id;
  const std::uint64_t seq = session.Wait(std::move(pending));
  SendRequest out{.bytes = bytes,
                  .sink = &session.sink(),
                  .token = {session.id(), seq},
                  .footprint = nullptr,
                  .timeout = context_.config->upstream.command_timeout};
  const std::string_view refused = session.pin.link->TellScript(request.raw, session.Lane(), out);
  if (!refused.empty()) {
    session.FailSlot(seq, refused);
  }
  session.ParkUntil(Session::Park::kUpstream);
  return ScriptState::kBeingTold;
}

// Keeps the call that has just been sent, so that it can be sent again.
void Dispatcher::KeepScriptCall(Session& session, const Request& request, std::uint64_t seq,
                                ScriptRef script, const Footprint* footprint) const {
  constexpr std::size_t kKeptMax = 64 * 1024;  // who sends more sees the NOSCRIPT
  if (request.raw.size() > kKeptMax) {
    return;
  }
  ScriptCall call;
  call.seq = seq;
  call.script = std::move(script);
  call.bytes.assign(request.raw);
  if (footprint != nullptr) {
    call.footprint = *footprint;
  }
  call.timeout = context_.config->upstream.command_timeout;
  session.NoteScriptCall(std::move(call));
}

}  // namespace nearcached
