// AUTH and HELLO where clients log in to the upstream themselves (upstream.identity client).
//
// The request goes to the server as it came, on a link of the client's own that nobody gets
// afterwards, and everything behind it waits. So what the server says to a wrong login is what the
// client hears, in its place, and nothing is remembered of a password that was wrong. After a right
// one the client moves to links that log in as that user by themselves.
#include <memory>
#include <string>
#include <utility>

#include "daemon/command/ascii.h"
#include "daemon/session/dispatcher.h"
#include "proto/number.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// What a well-formed AUTH or HELLO asks for. One that is not is refused by the server.
std::unique_ptr<LoginAttempt> AttemptOf(const Request& request) {
  const auto& args = request.args;
  auto attempt = std::make_unique<LoginAttempt>();
  attempt->hello = request.row->name == "hello";
  const auto names = [&](std::string_view user, std::string_view password) {
    attempt->names_user = true;
    attempt->user.assign(user);
    attempt->password.assign(password);
  };
  if (!attempt->hello) {
    names(args.size() > 2 ? args[1] : "default", args.back());
    return attempt;
  }
  if (args.size() > 1) {
    attempt->protocol =
        proto::ParseInt64(args[1]) == 3 ? proto::Protocol::kResp3 : proto::Protocol::kResp2;
  }
  for (std::size_t i = 2; i + 1 < args.size(); ++i) {
    if (EqualsIgnoringCase(args[i], "auth") && i + 2 < args.size()) {
      names(args[i + 1], args[i + 2]);
      i += 2;
    } else if (EqualsIgnoringCase(args[i], "setname")) {
      attempt->name = std::string(args[++i]);
    }
  }
  return attempt;
}

}  // namespace

// Without AUTH, HELLO is the server's to answer for a client that has not logged in: it refuses one
// that has to.
bool Dispatcher::IsForUpstream(const Session& session, const Request& request) const {
  if (context_.logins == nullptr) {
    return false;
  }
  const bool names_user = AttemptOf(request)->names_user;
  return names_user || (!session.logged_in() && session.pin.link == nullptr);
}

bool Dispatcher::LogIn(Session& session, const Request& request) {
  if (session.unanswered() != 0) {
    session.ParkUntil(Session::Park::kUpstream);
    return false;
  }
  if (session.pin.link != nullptr && !session.pin.ending) {
    session.AnswerError(request.row->id,
                        proto::NotSupported(request.row->name,
                                            "its links are another user's then; send it outside "
                                            "MULTI, WATCH and subscriptions"));
    return true;
  }
  session.Unpin(true);
  if (ParkedForUpstream(session)) {
    return false;
  }
  std::string_view error_line;
  if (!session.PinForLogin(error_line)) {
    if (error_line.empty()) {
      session.ParkUntil(Session::Park::kLink);
      return false;
    }
    session.AnswerError(request.row->id, error_line);
    return true;
  }
  session.BeginLogin(AttemptOf(request));
  session.pin.tainted = true;
  ForwardOptions options;
  options.kind = PendingRequest::Kind::kLogin;
  options.timeout = context_.config->upstream.command_timeout;
  (void)Forward(session, request, std::move(options));
  session.EndPin();
  if (session.unanswered() != 0) {
    session.ParkUntil(Session::Park::kUpstream);
  }
  return true;
}

}  // namespace nearcached
