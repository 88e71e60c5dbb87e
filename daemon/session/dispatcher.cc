#include "daemon/session/dispatcher.h"

#include "proto/wire_errors.h"

namespace nearcached {

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
  if (session.pin.passthrough) {
    return DispatchPassthrough(session, request);
  }
  switch (row.handling) {
    case Handling::kGet:
      return Get(session, request);
    case Handling::kMget:
      return Mget(session, request);
    case Handling::kForward:
      return ForwardPlain(session, request);
    case Handling::kLocal:
      return Local(session, request);
    case Handling::kTransaction:
      return Transaction(session, request);
    case Handling::kBlocking:
      return Blocking(session, request);
    case Handling::kSubscribe:
      return StartPassthrough(session, request);
    case Handling::kRefused:
      RefuseInMulti(session, request, row.refusal);
      if (row.Is(CommandFlag::kCloses)) {
        session.CloseAfterReplies(context_.stats.closed_protocol);
      }
      return true;
  }
  return true;
}

}  // namespace nearcached
