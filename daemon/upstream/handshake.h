// What a link says before it carries requests: who we are, which database, and whether the server
// will tell us of changes. Pure: replies in, the next command or a verdict out.
//
// HELLO proto [AUTH user password] [SETNAME name]; where HELLO is unknown or RESP2 is wanted, AUTH
// and CLIENT SETNAME; then SELECT (for a user that a client has logged in as before all else too,
// as the default user: who is in a database stays there when it logs in as one who may not select
// it); where the primary may change ROLE, to a cluster's replicas READONLY, and for fill links
// CLIENT TRACKING ON (consistency.md R6: arm, then fill).
// https://redis.io/docs/latest/commands/hello/ https://redis.io/docs/latest/commands/readonly/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/cache/l1.h"
#include "daemon/upstream/hiredis_reply.h"
#include "proto/protocol.h"

namespace nearcached {

// Who a link is to the server.
enum class LoginKind : std::uint8_t {
  kOwn,     // the user that the sidecar is configured with
  kNobody,  // the default user, without a login: what that may not do is its clients' to hear
  kClient,  // a user that a client has logged in as: what it may not do likewise
};

// What the handshake needs to know. Borrowed strings outlive it.
struct HandshakeTerms {
  std::string_view username{};  // empty: AUTH with the password alone
  std::string_view password{};  // empty: no AUTH
  DbIndex db = 0;
  proto::Protocol protocol = proto::Protocol::kResp2;
  bool fallback_to_resp2 = false;  // a server without RESP3 will do as well
  bool track = false;              // ask for CLIENT TRACKING
  const std::vector<std::string>* tracking_options = nullptr;  // after ON; null: none
  bool primary_only = false;                                   // ask for ROLE, and refuse a replica
  bool read_only = false;  // a cluster's replica: say READONLY, or it redirects every read
  LoginKind login = LoginKind::kOwn;
  bool identify = false;  // ask which client the server takes us for
};

class Handshake {
 public:
  explicit Handshake(const HandshakeTerms& terms);

  enum class Verdict : std::uint8_t { kNext, kDone, kFailed };

  // The command to send now. REQUIRES: the last verdict (if any) was kNext.
  [[nodiscard]] std::vector<std::string> Command() const;

  // Takes the reply to it.
  Verdict OnReply(const UpstreamReply& reply);

  // After kFailed: why, without credentials, and what would mend it where we know.
  [[nodiscard]] const std::string& failure() const { return failure_; }

  // After kDone.
  [[nodiscard]] bool armed() const { return armed_; }
  [[nodiscard]] const std::string& tracking_refusal() const { return tracking_refusal_; }
  [[nodiscard]] proto::Protocol protocol() const { return protocol_; }
  // The server answered HELLO 3 with an error: it knows RESP2 only.
  [[nodiscard]] bool resp3_refused() const { return resp3_refused_; }
  // After kFailed: what the server said to SELECT because a script keeps it busy, which it would
  // say to a client's command as well; else empty.
  [[nodiscard]] const std::string& busy_line() const { return busy_line_; }
  // After kFailed: the server does not take this user with this password.
  [[nodiscard]] bool login_refused() const { return login_refused_; }
  // Empty when the server did not say (RESP2 without HELLO).
  [[nodiscard]] const std::string& server_version() const { return server_version_; }
  // The server's CLIENT ID of this connection; 0 when it was not asked or did not say.
  [[nodiscard]] std::int64_t client_id() const { return client_id_; }

 private:
  enum class Step : std::uint8_t {
    kSelectFirst,
    kHello,
    kAuth,
    kSetName,
    kIdentify,
    kSelect,
    kPing,
    kRole,
    kReadOnly,
    kTracking,
    kDone
  };

  [[nodiscard]] Step FirstStep() const;
  Verdict Advance(Step to);
  Verdict Fail(std::string_view what, const UpstreamReply& reply);
  [[nodiscard]] bool IsForClients(const UpstreamReply& reply) const;
  Verdict OnHello(const UpstreamReply& reply);
  Verdict OnSelect(const UpstreamReply& reply);
  Verdict OnRole(const UpstreamReply& reply);

  const HandshakeTerms terms_;
  Step step_;
  proto::Protocol protocol_;
  bool selected_first_ = false;
  bool armed_ = false;
  bool resp3_refused_ = false;
  bool login_refused_ = false;
  std::string tracking_refusal_;
  std::string server_version_;
  std::int64_t client_id_ = 0;
  std::string failure_;
  std::string busy_line_;
};

}  // namespace nearcached
