// A client that talks with the server itself, over a link of its own: subscriptions, tracking,
// MONITOR, and whatever else is a state of the server's connection.
//
// Bytes go through in both directions. What stays here: a command's effect on L1, which it has on
// this way as on any other; commands about the client itself (HELLO, CLIENT ID, QUIT …), answered
// once the server has said all it owes; and the ids of clients, which are ours on this side and the
// server's on the other. When the last subscription ends, and nothing else holds the link, the
// client is an ordinary one again.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/command/ascii.h"
#include "daemon/session/dispatcher.h"
#include "daemon/session/server.h"
#include "proto/encode.h"
#include "proto/number.h"
#include "proto/requests.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

constexpr std::string_view kOneNode =
    "it concerns one connection to one node of the cluster; connect to that node for it";
// A client id that no server has given out yet.
constexpr std::int64_t kNobody = 9'223'372'036'854'775'807;

}  // namespace

// (P|S)UNSUBSCRIBE by a client that has no subscription, as libraries send to clean up: confirmed
// here, rather than spending an exclusive link on nothing.
void Dispatcher::ConfirmUnsubscribe(Session& session, const Request& request) {
  const auto channels = request.args.subspan(1);
  session.Answer([&](std::string& out) {
    for (std::size_t i = 0; i < std::max<std::size_t>(channels.size(), 1); ++i) {
      if (session.client.protocol == proto::Protocol::kResp3) {
        proto::AppendPushHeader(out, 3);
      } else {
        proto::AppendArrayHeader(out, 3);
      }
      proto::AppendBulk(out, request.row->name);
      if (channels.empty()) {
        proto::AppendNull(out, session.client.protocol);
      } else {
        proto::AppendBulk(out, channels[i]);
      }
      proto::AppendInteger(out, 0);
    }
  });
}

// In MULTI too: the server queues what changes the connection's state like anything else, and the
// state comes with EXEC.
bool Dispatcher::StartPassthrough(Session& session, const Request& request) {
  if (!session.pin.multi && request.row->name.ends_with("unsubscribe")) {
    ConfirmUnsubscribe(session, request);
    return true;
  }
  if (InCluster() && (session.pin.multi || request.row->handling == Handling::kOwnLink)) {
    RefuseInMulti(session, request, proto::NotSupported(request.row->name, kOneNode));
    return true;
  }
  if (session.unanswered() != 0) {
    session.ParkUntil(Session::Park::kUpstream);
    return false;
  }
  bool answered = false;
  if (!EnsurePinned(session, request, answered)) {
    return false;
  }
  if (answered) {
    return true;
  }
  session.pin.passthrough = true;
  session.pin.link->StartPassthrough();
  return DispatchPassthrough(session, request);
}

// EXEC after a command of the transaction was refused here: the server is told to forget it.
bool Dispatcher::AbortPassthrough(Session& session, const Request& request) const {
  if (session.server_talks()) {
    session.ParkUntil(Session::Park::kPassthrough);
    return false;
  }
  session.pin.multi = false;
  session.pin.aborted = false;
  session.pin.queued.reset();
  (void)session.pin.link->Send({.bytes = proto::kDiscardRequest,
                                .timeout = context_.config->upstream.command_timeout,
                                .discard_reply = true});
  session.AnswerError(request.row->id, proto::kErrExecAbort);
  return true;
}

// CLIENT TRACKING … REDIRECT id: the id is one of ours, the server knows the link of that client.
// Leaves `bytes` alone where there is nothing to translate. False: parked.
bool Dispatcher::TranslateRedirect(Session& session, const Request& request, std::string& bytes) {
  const auto& args = request.args;
  session.client.tracking = EqualsIgnoringCase(args[2], "on");
  session.client.redirect = 0;
  for (std::size_t i = 3; i + 1 < args.size(); ++i) {
    const auto id =
        EqualsIgnoringCase(args[i], "redirect") ? proto::ParseInt64(args[i + 1]) : std::nullopt;
    if (!id || *id == 0) {
      continue;
    }
    Session* const target = session.server().FindClient(*id);
    const std::int64_t upstream_id = target != nullptr ? UpstreamIdOf(*target) : -1;
    if (upstream_id == 0) {
      session.Retry();
      return false;
    }
    session.client.redirect = *id;
    session.pin.redirect_upstream = upstream_id;
    // An id that nobody has gets the server's own answer.
    const std::string text = std::to_string(upstream_id > 0 ? upstream_id : kNobody);
    std::vector<std::string_view> words(args.begin(), args.end());
    words[i + 1] = text;
    proto::AppendCommand(bytes, words);
    return true;
  }
  return true;
}

// The server's id of the link that `target` has for itself, giving it one if it has none, since its
// pushes must reach it. 0: not known yet; -1: it cannot be given one.
std::int64_t Dispatcher::UpstreamIdOf(Session& target) const {
  if (target.pin.passthrough) {
    return target.pin.link->upstream_client_id();
  }
  if (target.unanswered() != 0 || target.pin.link != nullptr) {
    return 0;
  }
  std::string_view error_line;
  if (!target.Pin(target.client.db, error_line)) {
    target.upstream().LeaveLine(target.id());  // the target waits for nothing; its tracker does
    return error_line.empty() ? 0 : -1;
  }
  target.pin.passthrough = true;
  target.pin.stays = true;
  target.pin.link->StartPassthrough();
  // Opens the connection, which is what we are after.
  (void)target.pin.link->Send({.bytes = proto::kPingRequest,
                               .timeout = context_.config->upstream.command_timeout,
                               .discard_reply = true});
  return 0;
}

// Whether the command is answered here although the client talks with the server: what the server
// would say about this connection is about the link. A PING goes to the server, whose answer to a
// RESP2 subscriber has a form of its own.
bool Dispatcher::IsOurs(const CommandRow& row) {
  const std::string_view name = row.name;
  return row.handling == Handling::kLocal && name != "ping" && name != "echo" &&
         name != "client|tracking" && name != "client|caching" && name != "client|trackinginfo" &&
         name != "client|getredir" && name != "select";
}

// The client talks with the server itself; only what concerns L1, the client's own state, and the
// end, is ours.
bool Dispatcher::DispatchPassthrough(Session& session, const Request& request) {
  const std::string_view name = request.row->name;
  const bool refused = request.row->handling == Handling::kRefused;
  const bool names_redirect = session.pin.redirect_upstream > 0 &&
                              (name == "client|trackinginfo" || name == "client|getredir");
  const bool ours = IsOurs(*request.row);
  if ((ours || refused || names_redirect) && session.server_talks()) {
    session.ParkUntil(Session::Park::kPassthrough);  // the server's answers come first
    return false;
  }
  if (ours) {
    return Local(session, request);
  }
  if (refused) {
    RefuseAsRowSays(session, request);
    return true;
  }
  if (name == "exec" && session.pin.aborted) {
    return AbortPassthrough(session, request);
  }
  std::string translated;
  if (name == "client|tracking" && request.args.size() > 2 &&
      !TranslateRedirect(session, request, translated)) {
    return false;
  }
  session.pin.stays = session.pin.stays || name == "client|tracking" || name == "select" ||
                      request.row->handling == Handling::kTransaction ||
                      request.row->handling == Handling::kOwnLink || session.pin.multi;
  SendPassthrough(session, request, translated.empty() ? request.raw : translated);
  if (names_redirect) {
    session.pin.translating = true;
    session.ParkUntil(Session::Park::kPassthrough);  // so that its reply is known by its time
  }
  return true;
}

// What the command touches, and in a transaction what the whole of it does (R9).
std::unique_ptr<Footprint> Dispatcher::PassthroughFootprint(Session& session,
                                                            const Request& request) {
  const std::string_view name = request.row->name;
  std::unique_ptr<Footprint> footprint =
      context_.config->l1.enabled ? FootprintOf(request) : nullptr;
  if (name == "multi") {
    session.pin.subscribes = false;
    session.pin.multi = true;
    session.pin.commands_queued = 0;
  } else if (name == "exec" || name == "discard") {
    session.pin.multi = false;
    session.pin.aborted = false;
    std::unique_ptr<Footprint> queued = std::move(session.pin.queued);
    Merge(footprint, name == "exec" ? std::move(queued) : nullptr);
  } else if (footprint != nullptr) {
    QueueInMulti(session, *footprint, PendingRequest::Kind::kForward);
  }
  return footprint;
}

void Dispatcher::SendPassthrough(Session& session, const Request& request, std::string_view bytes) {
  const std::string_view name = request.row->name;
  const bool queues = session.pin.multi && name != "exec" && name != "discard";
  const bool subscription = request.row->handling == Handling::kSubscribe;
  session.pin.subscribes =
      session.pin.subscribes || (queues && subscription && !name.ends_with("unsubscribe"));
  std::unique_ptr<Footprint> footprint = PassthroughFootprint(session, request);
  if (footprint != nullptr) {
    context_.coherence.BeginWrite(*footprint);
  }
  // (What CLIENT CACHING says is for the next command that the server gets.)
  const CommandRow* const before = session.client.last_command;
  const bool bound = before != nullptr && before->name == "client|caching";
  const bool unknown = request.row == &context_.commands.unknown();
  session.pin.writes_through = session.pin.writes_through ||
                               (context_.routes != nullptr && (unknown || request.row->MayWrite()));
  ScriptRef script = NoteScript(session, request);
  SendRequest out{.bytes = bytes,
                  .sink = nullptr,
                  .token = {},
                  .footprint = std::move(footprint),
                  .timeout = {},
                  .answered_by_push = subscription && !queues,
                  .subscribes = name == "exec" && session.pin.subscribes,
                  .script = bound ? nullptr : std::move(script)};
  const std::string_view refused = session.pin.link->Send(out);
  if (!refused.empty()) {
    if (out.footprint != nullptr) {
      context_.coherence.Finish(std::move(out.footprint), Outcome::kAnswered);
    }
    if (!session.pin.link->mid_message()) {  // nothing fits behind half a message
      session.AnswerError(request.row->id, refused);
    }
    session.CloseAfterReplies(context_.stats.closed_upstream);
  } else if (!queues && (name == "sync" || name == "psync")) {  // which a transaction may not
    session.pin.tunnel = true;
    session.pin.link->StartTunnel();
  }
}

}  // namespace nearcached
