// What the sidecar answers itself: the state of the client's own connection, and NEARCACHE.
//
// Words and shapes of the replies are those of Redis 7
// (https://redis.io/docs/latest/commands/hello/, …/auth/, …/select/, …/reset/), answered truthfully
// for this connection. CLIENT is in client_commands.cc.
#include <array>
#include <optional>
#include <string>

#include "daemon/base/secret.h"
#include "daemon/command/ascii.h"
#include "daemon/session/client_line.h"
#include "daemon/session/dispatcher.h"
#include "daemon/session/hello_reply.h"
#include "proto/encode.h"
#include "proto/number.h"
#include "proto/requests.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

constexpr std::string_view kConnectionHere =
    "this connection's state lives in the sidecar; send it outside MULTI and WATCH";

}  // namespace

bool Dispatcher::Local(Session& session, const Request& request) {
  const CommandRow& row = *request.row;
  const std::string_view name = row.name.substr(0, row.name.find('|'));
  if (name == "quit") {
    session.AnswerOk();
    session.CloseAfterReplies(context_.stats.closed_by_client);
    return true;
  }
  if (name == "reset") {
    return Reset(session, request);
  }
  if (session.pin.multi) {
    return LocalInMulti(session, request);
  }
  if (!row.ArityHolds(request.args.size()) || (name == "ping" && request.args.size() > 2)) {
    session.AnswerError(row.id, proto::WrongArity(row.name));
    return true;
  }
  if ((name == "ping" || name == "echo") && context_.config->commands.forward_ping) {
    return ForwardPlain(session, request);
  }
  if (name == "ping" || name == "echo") {
    session.Answer([&](std::string& out) {
      if (request.args.size() == 2) {
        proto::AppendBulk(out, request.args[1]);
      } else {
        proto::AppendSimple(out, "PONG");
      }
    });
    return true;
  }
  if (name == "hello") {
    return Hello(session, request);
  }
  if (name == "auth") {
    return Auth(session, request);
  }
  if (name == "select") {
    return Select(session, request);
  }
  if (name == "client") {
    return Client(session, request);
  }
  return Nearcache(session, request);
}

bool Dispatcher::LocalInMulti(Session& session, const Request& request) {
  const std::string_view name = request.row->name;
  if (name == "ping" || name == "echo") {
    return ForwardPlain(session, request);  // queued like any other command
  }
  if (name == "select" && session.pin.link != nullptr) {
    return StartPassthrough(session, request);  // what EXEC makes of it only the server knows
  }
  RefuseInMulti(session, request, proto::NotSupported(name, kConnectionHere));
  return true;
}

bool Dispatcher::Nearcache(Session& session, const Request& request) const {
  if (!session.listener().admin) {
    session.AnswerError(request.row->id,
                        proto::OwnError("NEARCACHE is answered on loopback and unix "
                                        "listeners, or on admin.address where it is set"));
    return true;
  }
  std::string reply;
  const auto verdict = context_.admin->Handle(
      {request.args, session.client.protocol, session.client.db, session.again()}, reply);
  if (verdict == AdminHandler::Verdict::kLater) {
    session.ParkUntil(Session::Park::kQuiet);
    return false;
  }
  session.Answer([&](std::string& out) { out += reply; });
  return true;
}

// ---- HELLO, AUTH --------------------------------------------------------------------------------

bool Dispatcher::CheckPassword(Session& session, std::string_view user, std::string_view password) {
  const auto& listener = session.listener().config;
  // Spelled out: a conditional of a literal and a std::string would be a temporary string.
  std::string_view expected_user = "default";
  if (!listener.username.empty()) {
    expected_user = listener.username;
  }
  // Without a password of its own the listener is as a Redis whose default user has none.
  const bool right = listener.password.empty()
                         ? user == "default"
                         : user == expected_user && SameSecret(password, listener.password);
  if (right) {
    session.SetAuthenticated(true);
  } else {
    context_.stats.auth_failures.Add();
  }
  return right;
}

// The protocol that HELLO asks for; nullopt when it was answered with why not.
std::optional<proto::Protocol> Dispatcher::HelloVersion(Session& session,
                                                        const Request& request) const {
  if (request.args.size() < 2) {
    return session.client.protocol;
  }
  const auto version = proto::ParseInt64(request.args[1]);
  if (!version) {
    session.AnswerError(request.row->id, proto::kErrProtoNotInteger);
    return std::nullopt;
  }
  if ((*version != 2 && *version != 3) || (*version == 3 && !context_.upstream.speaks_resp3())) {
    session.AnswerError(request.row->id, proto::kErrNoProto);
    return std::nullopt;
  }
  return *version == 3 ? proto::Protocol::kResp3 : proto::Protocol::kResp2;
}

// AUTH and SETNAME of HELLO. False: answered with an error.
bool Dispatcher::HelloOptions(Session& session, const Request& request) {
  const auto& args = request.args;
  std::optional<std::string_view> name;
  for (std::size_t i = 2; i < args.size(); ++i) {
    const std::size_t left = args.size() - i - 1;
    if (EqualsIgnoringCase(args[i], "auth") && left >= 2) {
      if (!CheckPassword(session, args[i + 1], args[i + 2])) {
        session.AnswerError(request.row->id, proto::kErrWrongPass);
        return false;
      }
      i += 2;
    } else if (EqualsIgnoringCase(args[i], "setname") && left >= 1) {
      name = args[++i];
    } else {
      session.AnswerError(request.row->id, proto::HelloSyntax(args[i]));
      return false;
    }
  }
  if (!session.client.authenticated) {
    session.AnswerError(request.row->id, proto::kErrHelloNoAuth);
    return false;
  }
  if (name && !IsPlainClientWord(*name)) {
    session.AnswerError(request.row->id, proto::kErrClientName);
    return false;
  }
  if (name) {
    session.client.name.assign(*name);
  }
  return true;
}

bool Dispatcher::Hello(Session& session, const Request& request) {
  if (IsForUpstream(session, request)) {
    return LogIn(session, request);
  }
  const auto wanted = HelloVersion(session, request);
  if (!wanted) {
    return true;
  }
  const bool switches = *wanted != session.client.protocol;
  if (switches && session.unanswered() != 0) {
    session.ParkUntil(Session::Park::kUpstream);  // earlier replies keep the earlier protocol
    return false;
  }
  if (!HelloOptions(session, request)) {
    return true;
  }
  if (switches && session.pin.link != nullptr) {
    session.pin.link->SwitchProtocol(*wanted);
    session.pin.tainted = true;
  }
  session.SetProtocol(*wanted);
  const std::string_view version = context_.upstream.server_version();
  session.Answer(
      [&](std::string& out) { AppendHelloReply(out, *wanted, version, session.client_id()); });
  return true;
}

bool Dispatcher::Auth(Session& session, const Request& request) {
  if (context_.logins != nullptr) {
    return LogIn(session, request);
  }
  const auto& args = request.args;
  if (args.size() > 3) {
    session.AnswerError(request.row->id, proto::kErrSyntax);
    return true;
  }
  if (args.size() == 2 && session.listener().config.password.empty()) {
    session.AnswerError(request.row->id, proto::kErrAuthWithoutPassword);
    return true;
  }
  const auto& configured = session.listener().config.username;
  const std::string_view user = args.size() == 3     ? args[1]
                                : configured.empty() ? std::string_view("default")
                                                     : std::string_view(configured);
  if (CheckPassword(session, user, args.back())) {
    session.AnswerOk();
  } else {
    session.AnswerError(request.row->id, proto::kErrWrongPass);
  }
  return true;
}

// ---- SELECT, RESET ------------------------------------------------------------------------------

bool Dispatcher::Select(Session& session, const Request& request) {
  const auto index = proto::ParseInt64(request.args[1]);
  if (!index) {
    session.AnswerError(request.row->id, proto::kErrNotInteger);
    return true;
  }
  if (session.unanswered() != 0) {
    session.ParkUntil(Session::Park::kUpstream);  // databases have lanes of their own
    return false;
  }
  if (session.pin.passthrough) {
    session.AnswerError(request.row->id, proto::NotSupported("SELECT", kConnectionHere));
    return true;
  }
  // Each database in use has lanes and fill links of its own.
  constexpr std::size_t kDatabasesMax = 1024;
  constexpr std::int64_t kDbMax = 1'000'000;
  if (*index < 0 || *index > kDbMax) {
    session.AnswerError(request.row->id, proto::kErrDbIndex);
    return true;
  }
  const auto db = static_cast<DbIndex>(*index);
  if (session.pin.link != nullptr) {
    // Watched keys stay watched on the link the client has; nobody else gets it afterwards.
    session.pin.tainted = true;
    ForwardOptions options;
    options.kind = PendingRequest::Kind::kSelect;
    options.timeout = context_.config->upstream.command_timeout;
    options.db = db;
    (void)Forward(session, request, std::move(options));
    if (session.unanswered() != 0) {
      session.ParkUntil(Session::Park::kUpstream);
    }
    return true;
  }
  // (Whether a user of the upstream may select one is for the upstream to say.)
  if (!session.logged_in() &&
      (db == context_.config->upstream.db || context_.known_dbs.contains(db))) {
    session.client.db = db;
    session.AnswerOk();
    return true;
  }
  if (context_.known_dbs.size() >= kDatabasesMax) {
    session.AnswerError(request.row->id,
                        proto::OwnError("1024 databases are in use, and that is the limit"));
    return true;
  }
  // Only the upstream knows whether it has this database. A link of the client's own asks it, so
  // that a wrong number leaves nothing behind.
  if (ParkedForUpstream(session)) {
    return false;
  }
  std::string_view error_line;
  if (!session.Pin(db, error_line)) {
    if (error_line.empty()) {
      session.ParkUntil(Session::Park::kLink);
      return false;
    }
    session.AnswerError(request.row->id, error_line);
    return true;
  }
  ForwardOptions options;
  options.kind = PendingRequest::Kind::kSelect;
  options.timeout = context_.config->upstream.command_timeout;
  if (!session.logged_in()) {
    // The link is in the database. (A user's may have come there as somebody else: it is asked.)
    options.instead_of_raw = proto::kPingRequest;
  }
  options.db = db;
  (void)Forward(session, request, std::move(options));
  session.EndPin();
  if (session.unanswered() != 0) {
    session.ParkUntil(Session::Park::kUpstream);
  }
  return true;
}

bool Dispatcher::Reset(Session& session, const Request& request) const {
  if (!request.row->ArityHolds(request.args.size())) {
    session.AnswerError(request.row->id, proto::WrongArity("reset"));
    return true;
  }
  if (session.unanswered() != 0) {
    session.ParkUntil(Session::Park::kUpstream);
    return false;
  }
  session.Unpin(false);
  session.LogOut();
  session.SetProtocol(proto::Protocol::kResp2);
  session.SetAuthenticated(session.listener().config.password.empty());
  session.client.db = context_.config->upstream.db;
  session.client.name.clear();
  session.client.replies = Replies::kOn;
  session.client.tracking = false;
  session.client.redirect = -1;
  session.Answer([](std::string& out) { proto::AppendSimple(out, "RESET"); });
  return true;
}

}  // namespace nearcached
