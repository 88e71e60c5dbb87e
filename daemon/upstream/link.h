// One connection to the upstream: connects, shakes hands, carries pipelined requests and hands each
// reply to whoever waits for it, verbatim and in order.
//
// A link lives as long as its pool and reconnects in place, with backoff. It never matches a reply
// by guess: replies belong to requests by position alone; a request that timed out keeps its
// position until its late reply is counted off (R13); a byte that nobody is due ends the
// connection.
//
// Owned by the pool; loop thread only. May call its sinks from OnBytes, OnEnd and timers, never
// from Send. Sinks may call Send from there.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "config/config.h"
#include "daemon/base/byte_stream.h"
#include "daemon/base/out_buffer.h"
#include "daemon/base/ring.h"
#include "daemon/base/rng.h"
#include "daemon/base/scheduler.h"
#include "daemon/command/renamed_commands.h"
#include "daemon/fetch/coherence.h"
#include "daemon/fetch/upstream.h"
#include "daemon/upstream/backoff.h"
#include "daemon/upstream/dial_gate.h"
#include "daemon/upstream/handshake.h"
#include "daemon/upstream/replay_log.h"
#include "daemon/upstream/topology.h"
#include "daemon/upstream/upstream_stats.h"
#include "proto/reply_scanner.h"

namespace nearcached {

class Link;

// What a link tells its pool.
class LinkObserver {
 public:
  // The server does not take the login. Called before OnLinkDown.
  virtual void OnLoginRefused(Link& /*link*/) {}
  virtual void OnLinkReady(Link& link, const Handshake& handshake) = 0;
  // The link stood and was lost, or could not be made. Called before its requests are told.
  virtual void OnLinkDown(Link& link, std::string_view why) = 0;
  // A push frame that is not the reply to anything (fill links, trackers). A tracker speaks RESP2
  // and is given the messages of its channels.
  virtual void OnLinkPush(Link& link, std::string_view frame) = 0;
  // Something was queued: Flush is due at the end of the turn.
  virtual void OnLinkDirty(Link& link) = 0;

 protected:
  ~LinkObserver() = default;
};

// Everything a link borrows. All of it outlives the link.
struct LinkContext {
  Scheduler& scheduler;
  Dialer& dialer;
  Topology& topology;
  const config::UpstreamConfig& config;  // may change between turns (reload)
  Rng& rng;
  Coherence& coherence;
  UpstreamStats& stats;
  DialGate& gate;
  LinkObserver& observer;
  LoginKind login = LoginKind::kOwn;
  const RenamedCommands* renamed = nullptr;                    // null: none is
  const std::vector<std::string>* tracking_options = nullptr;  // of CLIENT TRACKING ON; null: none
};

class Link final : public ExclusiveLink, private ByteStreamHandler {
 public:
  enum class Purpose : std::uint8_t {
    kLane,       // requests of many clients
    kFill,       // the reads that fill L1, and the pushes that empty it
    kTracker,    // nothing but the pushes of fill links whose tracking is redirected to it
    kExclusive,  // one client at a time
  };
  struct Spec {
    Purpose purpose = Purpose::kLane;
    DbIndex db = 0;
    proto::Protocol protocol = proto::Protocol::kResp2;
    bool track = false;      // kFill: ask for tracking
    std::uint16_t id = 0;    // kFill: FillOwner::link; else for logs
    bool read_only = false;  // as HandshakeTerms
    bool retry = true;       // reconnect by itself after a loss, without waiting for a request
  };
  enum class State : std::uint8_t { kClosed, kConnecting, kHandshake, kReady, kBackoff };

  Link(const LinkContext& context, const Spec& spec);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Starts connecting if nothing is under way or waiting.
  void Open();
  // It is about to stand, as far as anybody knows: what is sent now is queued until then.
  [[nodiscard]] bool opening() const {
    return (state_ == State::kConnecting || state_ == State::kHandshake) && !failing_;
  }
  // The upstream is there again: a link that waits to try again need not, and one that is trying
  // takes requests meanwhile.
  void Wake();

  using UpstreamLink::Send;
  std::string_view Send(SendRequest& request) override;
  [[nodiscard]] bool Crowded(std::size_t own) const override;
  [[nodiscard]] bool Full(std::size_t bytes) const override {
    return state_ == State::kReady && Exceeds(bytes);
  }
  [[nodiscard]] bool holding() const override;
  void StartPassthrough() override { passthrough_ = true; }
  void StartTunnel() override { tunnel_ = true; }
  void SendRaw(std::string_view bytes) override;
  void EndRest(Duration timeout) override;
  [[nodiscard]] std::size_t unsent() const override { return out_.size(); }
  void SwitchProtocol(proto::Protocol protocol) override;
  [[nodiscard]] bool KnowsScript(const Script& script, std::string_view /*call*/) override {
    return scripts_known_.contains(script.id);
  }
  void NoteScript(const Script& script) override;
  [[nodiscard]] std::uint32_t subscriptions() const override { return subscriptions_; }
  [[nodiscard]] bool mid_message() const override { return !passthrough_head_.empty(); }
  [[nodiscard]] std::int64_t upstream_client_id() const override {
    return state_ == State::kReady ? handshake_->client_id() : 0;
  }

  // kExclusive: to whom it is lent, or null while it is idle.
  void Lend(ExclusiveOwner* owner, std::uint64_t session) {
    lent_to_ = owner;
    lent_session_ = session;
  }

  // kExclusive: each is lent from now on to whom the other was lent to, if to anybody, and is asked
  // to send what the other was asked to; the owners are told. REQUIRES: this one stands and `other`
  // does not; nothing that either was asked to send has been written; the same database and
  // protocol.
  void ExchangeClients(Link& other);

  // Sends a command of the daemon's own; `done` gets the parsed reply, or null when there is none
  // within `timeout` (zero: upstream.command_timeout). REQUIRES: state() == kReady.
  void Ask(const std::vector<std::string>& command, std::function<void(const UpstreamReply*)> done,
           Duration timeout = Duration::zero());

  // Writes what is queued. Called by the pool at the end of the turn.
  void Flush();

  // Sends a PING when one is due, and gives the link up when too many stayed unanswered. Called
  // every health_interval.
  void CheckHealth();

  // Replaces the connection as soon as all that was sent on it has been answered, which may be now.
  // What is sent meanwhile waits for the new one; nothing is lost by it. `reason` is counted then,
  // and must outlive the link. Not for exclusive links, which carry a client's state.
  void Renew(Counter& reason, std::string_view why);

  // The primary is another node now, or there is one at last: what was sent to the one before is
  // told it is lost, and what waits for a connection gets one.
  void OnPrimaryChanged();

  // The connection has reached upstream.pool.max_lifetime, or was declared to have.
  [[nodiscard]] bool outlived(MonoTime now) const { return now >= retire_at_; }
  void Retire() { retire_at_ = MonoTime::min(); }

  // Closes without waiting; requests are told they are lost. Stays closed until Open or Send.
  void Close(std::string_view why);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const Spec& spec() const { return spec_; }
  // Not while it is being renewed: an entry filled by the new connection must not be taken for one
  // of the old.
  [[nodiscard]] bool armed() const { return state_ == State::kReady && armed_ && !renewing(); }
  [[nodiscard]] bool renewing() const { return renew_reason_ != nullptr; }
  [[nodiscard]] FillOwner owner() const { return {spec_.id, fill_epoch_}; }
  // kFill, where tracking is asked for on the standing link and not in its handshake: the server
  // has confirmed it, or what it was redirected to is gone. What a link fills after the one is
  // another owner's than what it has filled before the other. REQUIRES: Arm: state() == kReady.
  void Arm() { armed_ = true; }
  void Disarm() {
    armed_ = false;
    ++fill_epoch_;
  }
  [[nodiscard]] std::size_t unanswered() const override { return requests_.size(); }
  [[nodiscard]] bool StuckAt(MonoTime now) override;
  // Of those, the ones that have not timed out.
  [[nodiscard]] std::size_t awaited() const { return requests_.size() - first_waiting_; }
  // Nothing unanswered, no passthrough: fit to be lent again.
  [[nodiscard]] bool clean() const {
    return state_ == State::kReady && requests_.empty() && !passthrough_ && !unfinished_ &&
           protocol_ == spec_.protocol;
  }
  // kExclusive: the session it is lent to.
  [[nodiscard]] std::uint64_t lent_session() const { return lent_session_; }
  // Of the connection that ended last: we wanted it so.
  [[nodiscard]] bool closed_by_us() const { return closed_by_us_; }
  [[nodiscard]] MonoTime last_used() const { return last_used_; }
  // When the connection that stands did so first.
  [[nodiscard]] MonoTime ready_since() const { return ready_since_; }
  [[nodiscard]] bool dirty() const { return dirty_; }

 private:
  struct Request {
    ReplySink* sink = nullptr;  // null: passthrough, nobody wants it, or the daemon's own
    RequestToken token;
    std::unique_ptr<Footprint> footprint;
    std::function<void(const UpstreamReply*)> own;  // the daemon's own question
    std::uint32_t bytes = 0;                        // of the request
    MonoTime sent_at{};
    MonoTime deadline = MonoTime::max();
    std::uint64_t client = 0;
    std::uint32_t kept = 0;         // bytes of it in replay_: it may be sent once more
    bool repeated = false;          // and was
    bool follows = false;           // the second half of the one before it
    bool abandoned = false;         // its reply is thrown away
    bool settled = false;           // the footprint's second act is done
    bool begun = false;             // pieces of the reply were delivered
    bool answered_by_push = false;  // passthrough: its confirmation is no reply
    bool subscribes = false;        // passthrough: its confirmations are inside its reply
    [[nodiscard]] bool MayRepeat() const { return kept != 0 && !repeated && !begun && !abandoned; }
  };

  void OnOpen() override;
  void OnBytes(std::span<char> bytes) override;
  void OnWritable() override;
  void OnEnd(const Error& why) override;

  [[nodiscard]] bool MayQueue();
  [[nodiscard]] std::string RefusalLine() const;
  void StartConnecting();
  void Dial();
  void OnBreakerOpen();
  void EndDial(DialGate::End end);
  void SendHandshake();
  void OnHandshakeReply(std::string_view frame);
  void OnReady();
  void TakeReplies(std::string_view input);
  void TakePiece(std::string_view piece, bool last);
  [[nodiscard]] bool IsPush(std::string_view frame) const;
  void TakeOwnReply(std::string_view frame);
  void DeliverPiece(std::string_view piece, bool last);
  void DeliverPassthrough(std::string_view piece, bool last);
  void Deliver(std::string_view bytes, bool last);
  void NoteSick(SickReply sign);
  [[nodiscard]] bool StepsBack(SickReply sign) const;
  [[nodiscard]] Duration HealthPatience() const;
  [[nodiscard]] bool Exceeds(std::size_t bytes) const;
  Request PopRequest();
  void Settle(Request& request, Outcome outcome);
  Request& Enqueue();
  void AppendRequest(OutBuffer& out, std::string_view request) const;
  void LoadScript(const Script& script, Duration timeout);
  void Lose(Counter& reason, std::string_view why, std::string_view error_line);
  void FinishRenewal();
  void Reconnect();
  void WaitToReconnect(Duration delay);
  enum class Repeat : std::uint8_t { kNo, kReads };
  void FailRequests(std::string_view error_line, Repeat repeat);
  void FailRequest(Request& request, std::string_view error_line);
  void QueueAgain(Request&& request, std::string_view bytes);
  [[nodiscard]] bool TakenBack(Request& request);
  [[nodiscard]] std::vector<bool> Repeatable() const;
  void CloseFor(std::string_view why, Repeat repeat);
  void RenewPauses(const Request& answered);
  void Pause(std::size_t backlog);
  void PauseIfBehind();
  void PausePassthroughIfBehind();
  [[nodiscard]] bool IsPassthroughPush(std::string_view head);
  void SettlePassthrough(std::string_view head, std::string_view tail);
  void ArmDeadline();
  void OnDeadline();
  void MarkDirty();

  const LinkContext context_;
  const Spec spec_;

  State state_ = State::kClosed;
  std::uint32_t epoch_ = 0;       // rises with every connection
  std::uint32_t fill_epoch_ = 0;  // and with every loss of tracking
  std::unique_ptr<ByteStream> stream_;
  bool dialling_ = false;    // the gate waits to hear how it ended
  bool dial_waits_ = false;  // as many others as may are connecting
  std::optional<Handshake> handshake_;
  Backoff backoff_;
  std::unique_ptr<Timer> timer_;           // connect timeout, or the wait before the next attempt
  std::unique_ptr<Timer> deadline_timer_;  // for the oldest request
  MonoTime deadline_armed_for_ = MonoTime::max();

  OutBuffer handshake_out_;
  OutBuffer out_;  // requests; waits while the link does not stand
  Ring<Request> requests_;
  std::uint64_t request_bytes_ = 0;  // of all of them
  ReplayLog replay_;                 // of those that may be sent once more
  Counter* renew_reason_ = nullptr;  // set while renewing
  std::string renew_why_;
  // By Script::id: what the server knows once it has got what is in out_ (renewing: in held_).
  std::unordered_set<std::uint64_t> scripts_known_;
  std::size_t owed_ = 0;           // renewing: requests the old connection still answers
  OutBuffer held_;                 // renewing: requests for the new one
  std::size_t first_waiting_ = 0;  // requests before this one are abandoned
  bool write_blocked_ = false;
  std::unique_ptr<Timer> pause_;  // set while the reader of a large reply is waited for
  std::size_t paused_backlog_ = 0;
  std::uint32_t subscriptions_ = 0;  // passthrough: how many are left
  Duration paused_for_{};            // in all, since paused_at_
  MonoTime paused_at_{};
  bool dirty_ = false;

  proto::ReplyScanner scanner_;
  std::string carry_;  // beginning of a reply whose end has not come
  bool streaming_ = false;
  bool armed_ = false;

  // kExclusive.
  proto::Protocol protocol_ = spec_.protocol;  // what the client on it has switched to
  bool passthrough_ = false;
  bool tunnel_ = false;
  bool unfinished_ = false;       // the rest of the last request is still to come
  std::string passthrough_head_;  // the first bytes of the message at hand
  std::string passthrough_tail_;  // and its last
  bool spent_ = false;  // its connection was lost: whoever has it must not go on with a new one
  ExclusiveOwner* lent_to_ = nullptr;
  std::uint64_t lent_session_ = 0;

  MonoTime last_received_{};
  MonoTime last_used_{};
  MonoTime ready_since_{};
  MonoTime retire_at_ = MonoTime::max();
  bool closed_by_us_ = false;
  bool failing_ = false;  // the last attempt failed: refuse at once instead of queueing
  std::optional<MonoTime> down_since_;  // lost, or could not be made, and does not stand since
  std::string error_line_;              // the last one returned by Send
  std::string down_why_;
  std::string busy_line_;  // of the last attempt: what clients of a busy server hear; else empty
};

}  // namespace nearcached
