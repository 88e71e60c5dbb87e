// Who a client is upstream, where clients log in there themselves (upstream.identity client).
//
// A client that has not logged in shares the sidecar's own links, which log in as nobody: it is the
// server's default user, as on a direct connection. One that has travels on links of its user's
// own, which carry nothing of anybody else; it neither reads L1 nor joins flights, so the server's
// ACL judges each of its commands, at that moment. Nor does it after RESET has made it nobody
// again.
#include <memory>
#include <string>
#include <utility>

#include "daemon/session/hello_reply.h"
#include "daemon/session/session.h"
#include "proto/encode.h"

namespace nearcached {

void Session::BeginLogin(std::unique_ptr<LoginAttempt> attempt) {
  login_ = std::move(attempt);
}

// The upstream has accepted it. Returns the reply.
std::string Session::FinishLogin() {
  const std::unique_ptr<LoginAttempt> attempt = std::move(login_);
  Unpin(false);  // the link on which it was tried is that user's from now on
  std::string reply;
  std::string_view refused;
  if (attempt->names_user && !LogIn(attempt->user, attempt->password, refused)) {
    proto::AppendError(reply, refused);
    return reply;
  }
  if (!attempt->hello) {
    proto::AppendSimple(reply, "OK");
    return reply;
  }
  if (attempt->name) {
    client.name = *attempt->name;
  }
  SetProtocol(attempt->protocol.value_or(client.protocol));
  AppendHelloReply(reply, client.protocol, context_.upstream.server_version(), client_id_);
  return reply;
}

bool Session::LogIn(std::string_view user, std::string_view password, std::string_view& refused) {
  Upstream* const entered = context_.logins->Enter(user, password, refused);
  if (entered == nullptr) {
    return false;
  }
  LogOut();
  upstream_ = entered;
  was_user_ = true;
  client.user.assign(user);
  return true;
}

void Session::LogOut() {
  lane_ = nullptr;
  client.user.clear();
  if (logged_in()) {
    context_.logins->Leave(*std::exchange(upstream_, &context_.upstream));
  }
}

}  // namespace nearcached
