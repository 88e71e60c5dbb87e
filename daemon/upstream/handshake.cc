#include "daemon/upstream/handshake.h"

#include "daemon/upstream/role.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

constexpr std::string_view kClientName = "nearcached";

bool Begins(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

}  // namespace

Handshake::Handshake(const HandshakeTerms& terms)
    : terms_(terms), step_(Step::kHello), protocol_(terms.protocol) {
  step_ = terms_.login == LoginKind::kClient && terms_.db != 0 ? Step::kSelectFirst : FirstStep();
}

// By which it says who it is.
Handshake::Step Handshake::FirstStep() const {
  if (protocol_ != proto::Protocol::kResp2) {
    return Step::kHello;
  }
  return terms_.password.empty() ? Step::kSetName : Step::kAuth;
}

std::vector<std::string> Handshake::Command() const {
  switch (step_) {
    case Step::kHello: {
      std::vector<std::string> hello = {"HELLO", "3"};
      if (!terms_.password.empty()) {
        hello.insert(hello.end(),
                     {"AUTH", terms_.username.empty() ? "default" : std::string(terms_.username),
                      std::string(terms_.password)});
      }
      hello.insert(hello.end(), {"SETNAME", std::string(kClientName)});
      return hello;
    }
    case Step::kAuth:
      if (terms_.username.empty()) {
        return {"AUTH", std::string(terms_.password)};
      }
      return {"AUTH", std::string(terms_.username), std::string(terms_.password)};
    case Step::kSetName:
      return {"CLIENT", "SETNAME", std::string(kClientName)};
    case Step::kIdentify:
      return {"CLIENT", "ID"};
    case Step::kSelectFirst:
    case Step::kSelect:
      return {"SELECT", std::to_string(terms_.db)};
    case Step::kPing:
      return {"PING"};
    case Step::kRole:
      return {"ROLE"};
    case Step::kReadOnly:
      return {"READONLY"};
    case Step::kTracking: {
      std::vector<std::string> on = {"CLIENT", "TRACKING", "ON"};
      if (terms_.tracking_options != nullptr) {
        on.insert(on.end(), terms_.tracking_options->begin(), terms_.tracking_options->end());
      }
      return on;
    }
    case Step::kDone:
      break;
  }
  return {};
}

Handshake::Verdict Handshake::Fail(std::string_view what, const UpstreamReply& reply) {
  // An unknown command is answered with its arguments, and those of AUTH are nobody's business.
  login_refused_ = Begins(reply.text, "WRONGPASS") || Begins(reply.text, "ERR invalid password");
  failure_ = std::string(what) + " was answered with: " +
             (Begins(reply.text, "ERR unknown command") ? "ERR unknown command"
                                                        : proto::Printable(reply.text));
  if (terms_.login != LoginKind::kOwn) {
    return Verdict::kFailed;
  }
  if (Begins(reply.text, "NOAUTH")) {
    failure_ += "; set upstream.password";
  } else if (Begins(reply.text, "WRONGPASS") || Begins(reply.text, "ERR invalid password")) {
    failure_ += "; check upstream.username and upstream.password";
  }
  return Verdict::kFailed;
}

// Moves to `to`, skipping what these terms do not need.
Handshake::Verdict Handshake::Advance(Step to) {
  if (to == Step::kIdentify && !terms_.identify) {
    to = Step::kSelect;
  }
  if (to == Step::kSelect && terms_.db == 0) {
    to = Step::kPing;
  }
  if (to == Step::kRole && !terms_.primary_only) {
    to = Step::kReadOnly;
  }
  if (to == Step::kReadOnly && !terms_.read_only) {
    to = Step::kTracking;
  }
  if (to == Step::kTracking && (!terms_.track || protocol_ != proto::Protocol::kResp3)) {
    if (terms_.track && tracking_refusal_.empty()) {
      tracking_refusal_ = "the server does not speak RESP3";
    }
    to = Step::kDone;
  }
  step_ = to;
  return to == Step::kDone ? Verdict::kDone : Verdict::kNext;
}

// Whether an error says only what the user of this link may not do. The link stands all the same,
// and its clients hear it from their own commands.
bool Handshake::IsForClients(const UpstreamReply& reply) const {
  return (terms_.login == LoginKind::kNobody && Begins(reply.text, "NOAUTH")) ||
         (terms_.login == LoginKind::kClient && Begins(reply.text, "NOPERM"));
}

Handshake::Verdict Handshake::OnHello(const UpstreamReply& reply) {
  if (!reply.is_error()) {
    const UpstreamReply* version = reply.Find("version");
    if (version != nullptr) {
      server_version_ = proto::Printable(version->text);
    }
    if (const UpstreamReply* id = reply.Find("id"); id != nullptr) {
      client_id_ = id->integer;
    }
    return Advance(Step::kSelect);
  }
  if (terms_.fallback_to_resp2 && IsForClients(reply)) {
    tracking_refusal_ = proto::Printable(reply.text);
    protocol_ = proto::Protocol::kResp2;
    return Advance(Step::kSetName);
  }
  // Redis before 6 does not know HELLO; servers without RESP3 say NOPROTO. Anything else (wrong
  // password, loading) is a refusal of ours, not of the protocol.
  if (!Begins(reply.text, "ERR unknown command") && !Begins(reply.text, "NOPROTO")) {
    return Fail("HELLO", reply);
  }
  resp3_refused_ = true;
  if (!terms_.fallback_to_resp2) {
    failure_ = "the upstream does not speak RESP3";
    return Verdict::kFailed;
  }
  protocol_ = proto::Protocol::kResp2;
  return Advance(FirstStep());
}

Handshake::Verdict Handshake::OnSelect(const UpstreamReply& reply) {
  const bool there = selected_first_ && IsForClients(reply);
  if (!reply.is_error() || there || (terms_.login == LoginKind::kNobody && IsForClients(reply))) {
    return Advance(Step::kPing);
  }
  if (Begins(reply.text, "BUSY ")) {
    busy_line_ = proto::Printable(reply.text);
  }
  return Fail("SELECT " + std::to_string(terms_.db), reply);
}

// The topology has asked the same a moment ago; since then the node may have become a replica,
// which would answer reads from its own, older data.
Handshake::Verdict Handshake::OnRole(const UpstreamReply& reply) {
  if (IsForClients(reply)) {
    return Advance(Step::kReadOnly);  // the sidecar's control links have found it, and watch
  }
  const auto role = ParseRole(reply);
  if (!role.ok()) {
    failure_ = role.error().message;
    return Verdict::kFailed;
  }
  if (!role.value().primary) {
    failure_ = "the node is a replica";
    return Verdict::kFailed;
  }
  return Advance(Step::kReadOnly);
}

Handshake::Verdict Handshake::OnReply(const UpstreamReply& reply) {
  switch (step_) {
    case Step::kSelectFirst:
      selected_first_ = !reply.is_error();
      return Advance(FirstStep());
    case Step::kHello:
      return OnHello(reply);
    case Step::kAuth:
      return reply.is_error() ? Fail("AUTH", reply) : Advance(Step::kSetName);
    case Step::kSetName:
      // A name is a courtesy; who refuses it is served all the same.
      return Advance(Step::kIdentify);
    case Step::kIdentify:
      client_id_ = reply.kind == UpstreamReply::Kind::kInteger ? reply.integer : 0;
      return Advance(Step::kSelect);
    case Step::kSelect:
      return OnSelect(reply);
    case Step::kPing:
      // Says whether the server is ready for work: LOADING, NOAUTH and MASTERDOWN come out here.
      // A user who may not PING is let through; what it may do shows by its own commands. So is a
      // server that a script keeps BUSY: it says so to every command but to those that end that.
      // One client's own link stands for MASTERDOWN as well, and passes on what it says.
      if (reply.is_error() && !IsForClients(reply) && !Begins(reply.text, "NOPERM") &&
          !Begins(reply.text, "BUSY") && !(terms_.identify && Begins(reply.text, "MASTERDOWN"))) {
        return Fail("PING", reply);
      }
      return Advance(Step::kRole);
    case Step::kRole:
      return OnRole(reply);
    case Step::kReadOnly:
      return reply.is_error() ? Fail("READONLY", reply) : Advance(Step::kTracking);
    case Step::kTracking:
      armed_ = !reply.is_error();
      if (!armed_) {
        tracking_refusal_ = proto::Printable(reply.text);
      }
      return Advance(Step::kDone);
    case Step::kDone:
      break;
  }
  return Verdict::kDone;
}

}  // namespace nearcached
