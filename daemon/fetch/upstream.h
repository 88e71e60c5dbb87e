// The seam to the upstream as sessions see it: lanes that answer in order, and links lent to one
// client alone. Implemented by upstream/pool. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "daemon/base/time.h"
#include "daemon/cache/l1.h"
#include "daemon/fetch/footprint.h"
#include "daemon/fetch/reply_sink.h"
#include "daemon/fetch/script_memory.h"
#include "proto/protocol.h"

namespace nearcached {

// One request on its way out.
struct SendRequest {
  std::string_view bytes;  // a whole RESP request; copied, unless `keep` is there
  // Keeps a large request's bytes where they are until they are written.
  std::shared_ptr<const void> keep{};
  ReplySink* sink = nullptr;
  RequestToken token{};
  std::unique_ptr<Footprint> footprint{};  // null when the command touches nothing cacheable
  Duration timeout{};                      // zero: waits for ever (blocking commands)
  bool answered_by_push = false;           // passthrough: (P|S)(UN)SUBSCRIBE, see Link
  bool subscribes = false;                 // passthrough: EXEC of a transaction that does
  bool discard_reply = false;              // nobody wants the reply: counted off, not handed on
  // A read that changes nothing: should its connection be lost, it may be sent once more.
  bool repeatable = false;
  bool repeated = false;  // that is what it is now
  // Whose request it is: one that is repeated must not overtake a later one of the same client. 0:
  // of nobody who sends anything that it could overtake.
  std::uint64_t client = 0;
  bool follows = false;  // the second half of the request just taken: never refused
  // Only the beginning of a request; `timeout` is not looked at. See ExclusiveLink::EndRest.
  bool unfinished = false;
  // The script it calls by its SHA1, if that is remembered: a link that has not told its server
  // about it yet does so first. Not for what MULTI queues, nor where the command before reaches as
  // far as the next (ASKING).
  ScriptRef script{};
};

// One ordered lane. Requests are answered in the order they were sent, each exactly once: by its
// reply, or by OnReplyLost on timeout or loss. A late reply is counted off and thrown away (R13).
class UpstreamLink {
 public:
  // Queues the request; it leaves at the end of the turn, or as soon as the link stands. Returns an
  // empty view, or, when the request cannot be taken, the error line for the client (valid until
  // the next call); then the sink hears nothing. What was taken is moved out of `request`: the
  // footprint of a refused one is still the caller's.
  virtual std::string_view Send(SendRequest& request) = 0;
  // Something sent a while ago is still unanswered, so that what is sent now waits for that first;
  // or the link was lost, and refuses everything until it stands again.
  [[nodiscard]] virtual bool StuckAt(MonoTime now) = 0;
  // A client that has `own` requests unanswered here should wait for some of them before it sends
  // another: the link has as much under way as it may. Never true for a client that has none.
  [[nodiscard]] virtual bool Crowded(std::size_t /*own*/) const { return false; }
  // It stands, and a request of so many bytes should wait until more of what waits there has left:
  // now it would be refused.
  [[nodiscard]] virtual bool Full(std::size_t /*bytes*/) const { return false; }
  // It does not stand, and has not for less than upstream.max_hold: what needs it should wait.
  [[nodiscard]] virtual bool holding() const { return false; }
  // For a request that nobody wants back.
  std::string_view Send(SendRequest&& request) { return Send(request); }
  // As Send, for a request about the reply that the sink is being handed right now: it goes to the
  // very server which that reply comes from, where there are several.
  virtual std::string_view SendBack(SendRequest& request) { return Send(request); }

 protected:
  ~UpstreamLink() = default;
};

class ExclusiveLink;

// The session that an exclusive link is lent to, as the link sees it.
class ExclusiveOwner {
 public:
  // Passthrough only: what the server says, verbatim. `push`: the bytes belong to a message that is
  // the reply to nothing, not even to the request that brought it about.
  virtual void OnPassthrough(std::uint64_t session, std::string_view bytes, bool push) = 0;
  // Passthrough only: bytes that the client has yet to read.
  [[nodiscard]] virtual std::size_t PassthroughBacklog(std::uint64_t session) const = 0;
  // Passthrough only: the last subscription has ended and nothing is unanswered. May return the
  // link.
  virtual void OnSubscriptionsEnded(std::uint64_t session) = 0;
  // The connection is lost, and with it whatever state the client had on it. Comes after the loss
  // of each unanswered request was told. The link stays lent until it is returned, and refuses.
  virtual void OnExclusiveLost(std::uint64_t session, std::string_view error_line) = 0;
  // Whoever waits for a link may ask again: there is one, or the wait is over.
  virtual void OnMayBorrow(std::uint64_t session) = 0;
  // What was lent to the session is `link` from now on, with all that was sent on the one before,
  // which is not the session's any more. Happens only before any of that has reached the server.
  // May come from within another session's Borrow or Return: take note of it, and call nobody.
  virtual void OnLinkExchanged(std::uint64_t session, ExclusiveLink& link) = 0;

 protected:
  ~ExclusiveOwner() = default;
};

// A link that belongs to one client for a while: transactions, blocking commands, subscriptions.
class ExclusiveLink : public UpstreamLink {
 public:
  // From now on the client and the server talk through: whatever arrives is handed to the owner as
  // it comes, and the replies to what is sent only settle footprints. Lasts until it is returned.
  virtual void StartPassthrough() = 0;
  // From now on bytes that are no RESP pass in both directions: a replica's. Lasts until the link
  // is returned. REQUIRES: StartPassthrough() was called.
  virtual void StartTunnel() = 0;
  // Bytes of a tunnel, or the rest of an unfinished request. Nothing happens once the link is lost.
  virtual void SendRaw(std::string_view bytes) = 0;
  // That was the end of the unfinished request: it is one like any other now, whose `timeout`
  // begins. Nothing else may be sent before. A server that answers before the end has refused the
  // request, and the connection is for nobody any more.
  virtual void EndRest(Duration timeout) = 0;
  // Bytes that the kernel has not taken yet.
  [[nodiscard]] virtual std::size_t unsent() const = 0;
  // From now on the connection speaks `protocol`; it is not for anybody else afterwards.
  // REQUIRES: nothing is unanswered.
  virtual void SwitchProtocol(proto::Protocol protocol) = 0;
  // Passthrough: how many channels and patterns are subscribed to.
  [[nodiscard]] virtual std::uint32_t subscriptions() const = 0;
  // Passthrough: the owner was handed the beginning of a message, and not yet its end. Nothing else
  // may be told to the client meanwhile.
  [[nodiscard]] virtual bool mid_message() const = 0;
  // The server's CLIENT ID of the connection; 0 while it is not known.
  [[nodiscard]] virtual std::int64_t upstream_client_id() const = 0;
  // Requests whose replies have not come.
  [[nodiscard]] virtual std::size_t unanswered() const = 0;
  // Whether the server that `call`, a whole request, would go to has been told this script since
  // the connection was made, as far as the link knows.
  [[nodiscard]] virtual bool KnowsScript(const Script& script, std::string_view call) = 0;
  // Tells that server the script with `load`, beside this link: over `lane`, one of the client's,
  // or a better one. Returns as Send.
  virtual std::string_view TellScript(std::string_view /*call*/, UpstreamLink& lane,
                                      SendRequest& load) {
    return lane.Send(load);
  }
  // The server that TellScript was last called for has been told.
  virtual void NoteScript(const Script& script) = 0;

 protected:
  ~ExclusiveLink() = default;
};

class Upstream {
 public:
  // The lane of a client in one database and protocol, which outlives the client. `seat` says which
  // one: the client's to keep, any number at first. While `may_move` (nothing of the client is
  // unanswered, so no order can be lost) a lane that is stuck (StuckAt) is left for one that is
  // not; otherwise the same seat is always the same link.
  virtual UpstreamLink& Lane(DbIndex db, proto::Protocol protocol, std::uint64_t& seat,
                             bool may_move) = 0;

  // Lends a link, most recently used first. Null with an `error_line` that names the setting: there
  // is none to be had. Null without: the session stands in line. The owner is told once its turn
  // has come, or its time is over, and the session must then ask again, or leave the line.
  virtual ExclusiveLink* Borrow(DbIndex db, proto::Protocol protocol, ExclusiveOwner& owner,
                                std::uint64_t session, std::string_view& error_line) = 0;
  // The session wants no link any more. Does nothing for one that does not wait.
  virtual void LeaveLine(std::uint64_t session) = 0;
  // Gives it back. `reusable`: nothing is unanswered on it and it carries no state of the client;
  // otherwise it is closed, which also makes the server forget a blocked command.
  virtual void Return(ExclusiveLink* link, bool reusable) = 0;

  // No link at all stands, and has not for less than upstream.max_hold: what needs one should wait.
  [[nodiscard]] virtual bool holding() const = 0;
  // Nothing that concerns `key` can be had from the upstream at the moment.
  [[nodiscard]] virtual bool AwayFor(std::string_view key) const = 0;
  // False once the upstream is known not to speak RESP3.
  [[nodiscard]] virtual bool speaks_resp3() const = 0;
  // What the upstream calls itself in HELLO or INFO: "7.0.15"; empty while unknown.
  [[nodiscard]] virtual std::string_view server_version() const = 0;

 protected:
  ~Upstream() = default;
};

// The upstream as the users that clients have logged in to it as.
class Logins {
 public:
  // The upstream as `user`, which the server has just accepted with this password. It is the
  // caller's to use until it calls Leave. Null with an error line: there are too many of them.
  virtual Upstream* Enter(std::string_view user, std::string_view password,
                          std::string_view& error_line) = 0;
  virtual void Leave(const Upstream& upstream) = 0;

 protected:
  ~Logins() = default;
};

}  // namespace nearcached
