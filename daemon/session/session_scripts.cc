// An EVALSHA that the server answers with NOSCRIPT although the sidecar knows the script.
//
// Links tell their server about a script before they carry its first call, so this happens when
// somebody else has sent SCRIPT FLUSH since. The call is then sent once more, the script ahead of
// it. Two things must not come of that. Order: nothing that the client sent later may have been
// under way, and nothing is until this is over, for the client is parked. And a script must not run
// twice: NOSCRIPT may be what a script itself has returned, after it did its work. So the server is
// asked (SCRIPT EXISTS) whether it lacks the script; if not, the error was the script's own, and
// passes.
//
// In MULTI the server says QUEUED, whatever it knows; there the script is told over a lane before
// (script_path.cc).
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/session/server.h"
#include "daemon/session/session.h"
#include "proto/encode.h"

namespace nearcached {
namespace {

// What SCRIPT EXISTS says of one script that is not there.
constexpr std::string_view kAbsent = "*1\r\n:0\r\n";

bool SaysNoScript(std::string_view reply, const ReplyInfo& info) {
  return info.type == '-' && reply.starts_with("-NOSCRIPT");
}

}  // namespace

void Session::NoteScriptCall(ScriptCall&& call) {
  script_call_ = std::make_unique<ScriptCall>(std::move(call));
}

bool Session::TakeScriptReply(std::string_view bytes, const ReplyInfo& info, bool last) {
  if (!last) {
    return false;
  }
  switch (script_call_->stage) {
    case ScriptCall::Stage::kSent:
      return SaysNoScript(bytes, info) && AskForScript(bytes);
    case ScriptCall::Stage::kAsking:
      if (bytes != kAbsent || !CallScriptAgain()) {
        const std::uint64_t seq = script_call_->seq;
        Deliver(seq, script_call_->refusal);
        FinishSlot(seq, true);
      }
      return true;
    case ScriptCall::Stage::kAgain:
      if (SaysNoScript(bytes, info)) {
        context_.scripts.Forget(*script_call_->script);  // it may not be loaded, or not be kept
      }
      return false;
  }
  return false;
}

// A server that lets nobody load scripts may know this one all the same; its call will show. Any
// other error means that it was not told, or that not every node of a cluster was.
void Session::OnScriptTold(std::uint64_t seq, std::string_view bytes, const ReplyInfo& info) {
  const bool failed =
      info.type == '-' && !bytes.starts_with("-NOPERM") && !bytes.starts_with("-ERR unknown");
  if (failed) {
    pin.script_untold = bytes.substr(1, bytes.find('\r') - 1);
  }
  FinishSlot(seq, failed);
}

// True: the reply of the call is awaited still.
bool Session::AskForScript(std::string_view refusal) {
  ScriptCall& call = *script_call_;
  if (context_.scripts.Find(call.script->sha1) != call.script) {
    return false;  // SCRIPT FLUSH went through here
  }
  context_.scripts.NoteLost(*call.script);
  if (!queue_.NothingOpenBehind(call.seq)) {
    return false;
  }
  const std::array<std::string_view, 3> exists = {"SCRIPT", "EXISTS", call.script->sha1};
  std::string bytes;
  proto::AppendCommand(bytes, exists);
  UpstreamLink& link = pin.link != nullptr ? *pin.link : Lane();
  SendRequest out{.bytes = bytes,
                  .sink = &server_,
                  .token = {id_, call.seq},
                  .footprint = nullptr,
                  .timeout = context_.config->upstream.command_timeout};
  if (!link.SendBack(out).empty()) {
    return false;
  }
  call.stage = ScriptCall::Stage::kAsking;
  call.refusal.assign(refusal);
  ParkUntil(Park::kUpstream);  // whatever it was parked for is looked at again then
  return true;
}

bool Session::CallScriptAgain() {
  ScriptCall& call = *script_call_;
  std::unique_ptr<Footprint> footprint;
  if (call.footprint) {
    footprint = std::make_unique<Footprint>(std::move(*call.footprint));
    context_.coherence.BeginWrite(*footprint);
  }
  UpstreamLink& link = pin.link != nullptr ? *pin.link : Lane();
  SendRequest out{.bytes = call.bytes,
                  .sink = &server_,
                  .token = {id_, call.seq},
                  .footprint = std::move(footprint),
                  .timeout = call.timeout,
                  .script = call.script};
  if (!link.Send(out).empty()) {
    if (out.footprint != nullptr) {
      context_.coherence.Finish(std::move(out.footprint), Outcome::kAnswered);  // never left
    }
    return false;
  }
  call.stage = ScriptCall::Stage::kAgain;
  context_.scripts.stats().repaired.Add();
  return true;
}

}  // namespace nearcached
