// Whether a request may be handed on before its end is there, and its beginning when it may. How
// the rest follows: session_upload.cc.
#include <memory>
#include <utility>

#include "daemon/session/dispatcher.h"

namespace nearcached {
namespace {

// Whatever may still come, the first argument is the one key of the call.
bool NamesItsKeyFirst(const CommandRow& row) {
  if (row.key_scan != KeyScan::kSpecs || row.keys.size() != 1) {
    return false;
  }
  const KeySpec& key = row.keys.front();
  return key.begin_by == KeySpec::Begin::kIndex && key.find_by == KeySpec::Find::kRange &&
         key.begin == 1 && key.last == 0;
}

}  // namespace

bool Dispatcher::MayUpload(const Session& session, const Request& request) const {
  const CommandRow& row = *request.row;
  const bool ordinary = row.handling == Handling::kForward && row.script == ScriptRole::kNone &&
                        row.Is(CommandFlag::kWrite) && NamesItsKeyFirst(row);
  const bool alone =
      session.pin.link == nullptr || (session.pin.ending && !session.pin.HasServerState());
  return ordinary && request.args.size() > 1 && alone && !session.muted() &&
         session.client.authenticated && !session.listener().admin_only && !InCluster() &&
         context_.commands.renamed().empty() && PolicyRefusal(session, request).empty();
}

Dispatcher::Upload Dispatcher::BeginUpload(Session& session, const Request& request) {
  if (!MayUpload(session, request)) {
    return Upload::kGather;
  }
  bool answered = false;
  if (!EnsurePinned(session, request, answered)) {
    return Upload::kParked;
  }
  if (answered) {
    return Upload::kTaken;  // with an error; the rest is skipped
  }
  Request beginning = request;
  beginning.raw = {};  // SendRaw brings all of it
  ForwardOptions options;
  options.unfinished = true;
  if (!Forward(session, beginning, std::move(options))) {
    return Upload::kParked;
  }
  if (session.unanswered() == 0) {
    session.Unpin(false);  // the link would not have it
  }
  return Upload::kTaken;
}

}  // namespace nearcached
