#include "daemon/session/dispatcher.h"

#include <algorithm>
#include <string>

#include "daemon/command/ascii.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

bool MayBeCached(Handling handling) {
  return handling == Handling::kGet || handling == Handling::kMget || handling == Handling::kRead;
}

}  // namespace

// The whole product on one screen: who answers a request, and by which path.
bool Dispatcher::Dispatch(Session& session, const Request& request) {
  const CommandRow& row = *request.row;
  if (!session.client.authenticated && !row.Is(CommandFlag::kNoAuth)) {
    session.AnswerError(row.id, proto::kErrNoAuth);
    return true;
  }
  if (session.listener().admin_only && !row.Is(CommandFlag::kNoAuth) && row.name != "nearcache" &&
      row.name != "ping") {
    session.AnswerError(row.id, proto::OwnError("admin.address answers NEARCACHE only"));
    return true;
  }
  if (session.listener().config.read_only || !context_.denied.empty()) {
    if (const std::string refusal = PolicyRefusal(session, request); !refusal.empty()) {
      if (session.server_talks()) {
        session.ParkUntil(Session::Park::kPassthrough);  // the server's answers come first
        return false;
      }
      context_.stats.denied.Add();
      RefuseInMulti(session, request, refusal);
      return true;
    }
  }
  if (session.pin.passthrough) {
    return DispatchPassthrough(session, request);
  }
  if (session.reads_past_l1() && MayBeCached(row.handling)) {
    context_.stats.bypass_identity.Add();
    return ForwardPlain(session, request);  // whether it may read the key, the server says (G5)
  }
  switch (row.handling) {
    case Handling::kGet:
      return Get(session, request);
    case Handling::kMget:
      return Mget(session, request);
    case Handling::kRead:
      return Read(session, request);
    case Handling::kForward:
      return ForwardPlain(session, request);
    case Handling::kLocal:
      return Local(session, request);
    case Handling::kTransaction:
      return Transaction(session, request);
    case Handling::kBlocking:
      return Blocking(session, request);
    case Handling::kUrgent:
      return Urgent(session, request);
    case Handling::kSubscribe:
    case Handling::kOwnLink:
      return StartPassthrough(session, request);
    case Handling::kRefused:
      RefuseAsRowSays(session, request);
      if (row.Is(CommandFlag::kCloses)) {
        session.CloseAfterReplies(context_.stats.closed_protocol);
      }
      return true;
  }
  return true;
}

// Why the configuration does not let this command through. Empty: it does.
std::string Dispatcher::PolicyRefusal(const Session& session, const Request& request) const {
  const CommandRow& row = *request.row;
  const bool unknown = &row == &context_.commands.unknown();
  std::string name(unknown ? request.args[0] : row.name);
  std::transform(name.begin(), name.end(), name.begin(), AsciiLower);
  const auto denied = [&](const std::string& what) { return context_.denied.contains(what); };
  if (denied(name) || denied(name.substr(0, name.find('|')))) {
    return proto::OwnError("'" + proto::Printable(name) + "' is refused by commands.deny");
  }
  if (session.listener().config.read_only && row.MayWrite()) {
    return proto::OwnError("'" + proto::Printable(name) +
                           "' may write, and this listener is read_only");
  }
  return {};
}

}  // namespace nearcached
