// CLIENT: the client, and the other clients, of this sidecar.
//
// Ids, names and addresses are those of the sidecar's clients, so what lists, ends or unblocks a
// client is answered here; what concerns the server as a whole (PAUSE, UNPAUSE, HELP) is forwarded.
// Tracking is done by the server on a link of the client's own (passthrough.cc).
// Words and shapes of the replies are those of Redis 7
// (https://redis.io/docs/latest/commands/client-list/, …/client-kill/, …/client-unblock/,
// …/client-reply/, …/client-trackinginfo/).
#include <optional>
#include <string>
#include <vector>

#include "daemon/command/ascii.h"
#include "daemon/session/client_line.h"
#include "daemon/session/dispatcher.h"
#include "daemon/session/server.h"
#include "proto/encode.h"
#include "proto/number.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

constexpr std::string_view kNoTracking =
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
    "OPTOUT mode enabled";

void Integer(Session& session, std::int64_t value) {
  session.Answer([&](std::string& out) { proto::AppendInteger(out, value); });
}

bool IsClientType(std::string_view word) {
  for (const std::string_view type : {"normal", "master", "replica", "slave", "pubsub"}) {
    if (EqualsIgnoringCase(word, type)) {
      return true;
    }
  }
  return false;
}

std::string UnknownType(std::string_view word) {
  return "ERR Unknown client type '" + proto::Printable(word) + "'";
}

// Which clients CLIENT KILL means.
struct KillFilter {
  std::optional<std::string_view> addr;
  std::optional<std::string_view> laddr;
  std::optional<std::string_view> user;
  std::optional<std::string_view> type;
  std::optional<std::int64_t> id;
  bool skip_me = true;

  [[nodiscard]] bool Matches(const Session& session) const {
    return (!addr || session.PeerName() == *addr) &&
           (!laddr || session.listener().config.address == *laddr) &&
           (!user || ClientUserOf(session) == *user) &&
           (!type || EqualsIgnoringCase(*type, ClientTypeOf(session))) &&
           (!id || static_cast<std::int64_t>(session.client_id()) == *id);
  }

  // Takes one option and its value in. Empty, or the error line.
  std::string Take(const Session& session, std::string_view option, std::string_view value) {
    if (EqualsIgnoringCase(option, "id")) {
      id = proto::ParseInt64(value);
      return id && *id > 0 ? "" : "ERR client-id should be greater than 0";
    }
    if (EqualsIgnoringCase(option, "type")) {
      type = value;
      return IsClientType(value) ? "" : UnknownType(value);
    }
    if (EqualsIgnoringCase(option, "user")) {
      user = value;
      return value == ClientUserOf(session) ? ""
                                            : "ERR No such user '" + proto::Printable(value) + "'";
    }
    if (EqualsIgnoringCase(option, "addr")) {
      addr = value;
      return {};
    }
    if (EqualsIgnoringCase(option, "laddr")) {
      laddr = value;
      return {};
    }
    if (EqualsIgnoringCase(option, "skipme")) {
      skip_me = EqualsIgnoringCase(value, "yes");
      return skip_me || EqualsIgnoringCase(value, "no") ? "" : std::string(proto::kErrSyntax);
    }
    return std::string(proto::kErrSyntax);
  }
};

}  // namespace

bool Dispatcher::Client(Session& session, const Request& request) {
  const std::string_view full = request.row->name;
  if (full == "client") {
    session.AnswerError(request.row->id, proto::UnknownSubcommand("CLIENT", request.args[1]));
    return true;
  }
  const std::string_view sub = full.substr(full.find('|') + 1);
  if (sub == "unblock") {
    return ClientUnblock(session, request);
  }
  if (sub == "tracking" && !EqualsIgnoringCase(request.args[2], "off")) {
    return StartPassthrough(session, request);
  }
  if (sub == "list") {
    ClientList(session, request);
  } else if (sub == "kill") {
    ClientKill(session, request);
  } else if (sub == "reply") {
    ClientReply(session, request);
  } else {
    ClientAboutItself(session, request, sub);
  }
  return true;
}

// What a client says and asks about itself.
void Dispatcher::ClientAboutItself(Session& session, const Request& request,
                                   std::string_view sub) const {
  const std::uint16_t id = request.row->id;
  if (sub == "id") {
    Integer(session, static_cast<std::int64_t>(session.client_id()));
  } else if (sub == "getname") {
    session.Answer([&](std::string& out) {
      if (session.client.name.empty()) {
        proto::AppendNull(out, session.client.protocol);
      } else {
        proto::AppendBulk(out, session.client.name);
      }
    });
  } else if (sub == "setname" && !IsPlainClientWord(request.args[2])) {
    session.AnswerError(id, proto::kErrClientName);
  } else if (sub == "setname") {
    session.client.name.assign(request.args[2]);
    session.AnswerOk();
  } else if (sub == "setinfo") {
    ClientSetInfo(session, request);
  } else if (sub == "no-evict" || sub == "no-touch") {
    if (EqualsIgnoringCase(request.args[2], "on") || EqualsIgnoringCase(request.args[2], "off")) {
      session.AnswerOk();  // clients here are not the upstream's to evict, and links do not carry
                           // the mark
    } else {
      session.AnswerError(id, proto::kErrSyntax);
    }
  } else if (sub == "info") {
    session.client.last_command = request.row;
    const std::string text = DescribeClient(session, context_.scheduler.Now(), request.raw.size());
    session.Answer([&](std::string& out) {
      proto::AppendVerbatim(out, "txt", text, session.client.protocol);
    });
  } else if (sub == "getredir") {
    Integer(session, session.client.tracking ? session.client.redirect : -1);
  } else if (sub == "trackinginfo") {
    ClientTrackingOff(session);
  } else if (sub == "caching") {
    session.AnswerError(id, kNoTracking);
  } else if (sub == "tracking") {
    session.AnswerOk();  // off already: it is on only on a link of the client's own
  } else {
    session.AnswerError(
        id, proto::NotSupported(request.row->name, "connect to the upstream directly for it"));
  }
}

void Dispatcher::ClientTrackingOff(Session& session) {
  session.Answer([&](std::string& out) {
    const auto protocol = session.client.protocol;
    proto::AppendMapHeader(out, 3, protocol);
    proto::AppendBulk(out, "flags");
    proto::AppendSetHeader(out, 1, protocol);
    proto::AppendBulk(out, "off");
    proto::AppendBulk(out, "redirect");
    proto::AppendInteger(out, -1);
    proto::AppendBulk(out, "prefixes");
    proto::AppendArrayHeader(out, 0);
  });
}

void Dispatcher::ClientSetInfo(Session& session, const Request& request) {
  std::string* field = nullptr;
  if (EqualsIgnoringCase(request.args[2], "lib-name")) {
    field = &session.client.lib_name;
  } else if (EqualsIgnoringCase(request.args[2], "lib-ver")) {
    field = &session.client.lib_version;
  }
  if (field == nullptr) {
    session.AnswerError(request.row->id,
                        "ERR Unrecognized option '" + proto::Printable(request.args[2]) + "'");
  } else if (!IsPlainClientWord(request.args[3])) {
    session.AnswerError(request.row->id,
                        "ERR " + proto::Printable(request.args[2]) +
                            " cannot contain spaces, newlines or special characters.");
  } else {
    field->assign(request.args[3]);
    session.AnswerOk();
  }
}

// CLIENT REPLY ON|OFF|SKIP. Only ON is answered.
void Dispatcher::ClientReply(Session& session, const Request& request) {
  const std::string_view how = request.args[2];
  Replies& replies = session.client.replies;
  if (EqualsIgnoringCase(how, "on")) {
    replies = Replies::kOn;
    session.AnswerOk();
  } else if (EqualsIgnoringCase(how, "off")) {
    replies = Replies::kOff;
  } else if (!EqualsIgnoringCase(how, "skip")) {
    session.AnswerError(request.row->id, proto::kErrSyntax);
  } else if (replies != Replies::kOff) {
    replies = Replies::kSkipNext;
  }
}

// CLIENT LIST [TYPE type] [ID id …].
void Dispatcher::ClientList(Session& session, const Request& request) const {
  const auto& args = request.args;
  session.client.last_command = request.row;
  const MonoTime now = context_.scheduler.Now();
  std::string text;
  const auto describe = [&](const Session& other) {
    text += DescribeClient(other, now, &other == &session ? request.raw.size() : 0);
  };
  const bool by_type = args.size() == 4 && EqualsIgnoringCase(args[2], "type");
  if (by_type && !IsClientType(args[3])) {
    session.AnswerError(request.row->id, UnknownType(args[3]));
    return;
  }
  if (args.size() > 3 && EqualsIgnoringCase(args[2], "id")) {
    for (const std::string_view word : args.subspan(3)) {
      const auto id = proto::ParseInt64(word);
      if (!id) {
        session.AnswerError(request.row->id, "ERR Invalid client ID");
        return;
      }
      if (const Session* other = session.server().FindClient(*id)) {
        describe(*other);
      }
    }
  } else if (args.size() == 2 || by_type) {
    session.server().ForEach([&](const Session& other) {
      if (!by_type || EqualsIgnoringCase(args[3], ClientTypeOf(other))) {
        describe(other);
      }
    });
  } else {
    session.AnswerError(request.row->id, proto::kErrSyntax);
    return;
  }
  session.Answer(
      [&](std::string& out) { proto::AppendVerbatim(out, "txt", text, session.client.protocol); });
}

// CLIENT KILL addr:port, or with options.
void Dispatcher::ClientKill(Session& session, const Request& request) const {
  const auto& args = request.args;
  const bool old_form = args.size() == 3;
  KillFilter filter;
  if (old_form) {
    filter.addr = args[2];
    filter.skip_me = false;
  }
  for (std::size_t i = 2; !old_form && i < args.size(); i += 2) {
    const std::string error = i + 1 < args.size() ? filter.Take(session, args[i], args[i + 1])
                                                  : std::string(proto::kErrSyntax);
    if (!error.empty()) {
      session.AnswerError(request.row->id, error);
      return;
    }
  }
  std::int64_t killed = 0;
  bool myself = false;
  session.server().ForEach([&](Session& other) {
    if (!filter.Matches(other) || (&other == &session && filter.skip_me)) {
      return;
    }
    ++killed;
    if (&other == &session) {
      myself = true;
    } else {
      other.CloseNow(context_.stats.closed_killed);
    }
  });
  if (old_form && killed == 0) {
    session.AnswerError(request.row->id, "ERR No such client");
  } else if (old_form) {
    session.AnswerOk();
  } else {
    Integer(session, killed);
  }
  if (myself) {
    session.CloseAfterReplies(context_.stats.closed_killed);
  }
}

// CLIENT UNBLOCK id [TIMEOUT|ERROR]: the server unblocks the link that waits for that client.
bool Dispatcher::ClientUnblock(Session& session, const Request& request) {
  const auto& args = request.args;
  if (args.size() > 4) {
    session.AnswerError(request.row->id,
                        "ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try "
                        "CLIENT HELP.");
    return true;
  }
  if (args.size() == 4 && !EqualsIgnoringCase(args[3], "timeout") &&
      !EqualsIgnoringCase(args[3], "error")) {
    session.AnswerError(request.row->id, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    return true;
  }
  const auto id = proto::ParseInt64(args[2]);
  if (!id) {
    session.AnswerError(request.row->id, proto::kErrNotInteger);
    return true;
  }
  Session* const other = session.server().FindClient(*id);
  if (other == nullptr || !other->pin.blocking || other->pin.link == nullptr) {
    Integer(session, 0);
    return true;
  }
  const std::int64_t upstream_id = other->pin.link->upstream_client_id();
  if (upstream_id <= 0) {
    session.AnswerError(request.row->id, proto::OwnError("that client's link is not known to the "
                                                         "upstream yet; try again"));
    return true;
  }
  const std::string text = std::to_string(upstream_id);
  std::vector<std::string_view> words(args.begin(), args.end());
  words[2] = text;
  std::string translated;
  proto::AppendCommand(translated, words);
  ForwardOptions options;
  options.timeout = context_.config->upstream.command_timeout;
  options.instead_of_raw = translated;
  if (!Forward(session, request, std::move(options))) {
    return false;
  }
  // The other client may be served before this arrives. Whoever had its link next would be
  // unblocked.
  other->pin.tainted = true;
  return true;
}

}  // namespace nearcached
