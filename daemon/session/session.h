// One client: its bytes, its state, its replies in order.
//
// Bytes are decoded in batches and dispatched; whatever cannot be dispatched yet stays in the input
// ("parked") until the client's own earlier requests are answered. Replies go to the output buffer,
// which the server flushes once a turn. Nothing here knows an upstream connection: requests go out
// through the seams of fetch/, replies come in through the server by session id.
// Its parts: session_input.cc (bytes to requests), session_replies.cc (answers), and
// session_exclusive.cc (a link of the client's own), session_upload.cc (requests too large to be
// gathered), session_scripts.cc (NOSCRIPT), session_login.cc (who the client is upstream);
// session.cc has its state, output and end.
//
// Owned by the server, which alone destroys it, at the end of a turn. Loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/base/byte_stream.h"
#include "daemon/base/out_buffer.h"
#include "daemon/base/scheduler.h"
#include "daemon/fetch/upstream.h"
#include "daemon/session/client_state.h"
#include "daemon/session/login_attempt.h"
#include "daemon/session/open_requests.h"
#include "daemon/session/pin_state.h"
#include "daemon/session/reply_queue.h"
#include "daemon/session/reply_size.h"
#include "daemon/session/script_call.h"
#include "daemon/session/session_context.h"
#include "daemon/session/upload_state.h"
#include "proto/protocol.h"
#include "proto/request_decoder.h"

namespace nearcached {

class Server;
class Dispatcher;

class Session final : private ByteStreamHandler {
 public:
  // Why the next request waits.
  enum class Park : std::uint8_t {
    kNone,
    kFills,        // until no read of this client is on a fill link
    kUpstream,     // until nothing of this client is unanswered
    kPipeline,     // until fewer requests are unanswered
    kOutput,       // until the client has read more
    kReplies,      // until some of the large replies that are on their way have come
    kRetry,        // for a moment
    kPassthrough,  // until the server has answered all that was sent on the client's own link
    kCrowd,        // until the link is less busy, or this client has less on it
    kPaused,       // until RESUME
    kHeld,         // until the upstream is back, or has been away for too long
    kQuiet,        // PAUSE itself: until nothing is under way
    kLink,         // until there is an exclusive link for it, or the wait for one is over
  };

  // `listener` outlives the session.
  Session(std::uint64_t id, std::uint64_t client_id, const ListenerContext& listener,
          SessionContext& context, Dispatcher& dispatcher, Server& server);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // For whoever makes the stream; then hands it over.
  ByteStreamHandler& handler() { return *this; }
  void Attach(std::unique_ptr<ByteStream> stream) { stream_ = std::move(stream); }

  // ---- for the dispatcher ----

  // Answers a request here and now: `write` appends exactly one reply to the string it is given.
  template <typename Write>
  void Answer(Write&& write) {
    if (muted()) {
      std::string unheard;
      write(unheard);
    } else if (queue_.empty()) {
      write(out_.Tail());
    } else {
      std::string reply;
      write(reply);
      queue_.OpenAnswered(std::move(reply));
    }
    MarkDirty();
  }
  // Answers +OK.
  void AnswerOk();
  // The same with an error line (no '-', no CRLF).
  void AnswerError(std::uint16_t command, std::string_view line);
  // Answers with an L1 value, without copying a large one.
  void AnswerValue(const L1Hit& hit);

  // Opens the slot of a request that is answered later.
  std::uint64_t Wait(PendingRequest&& pending);
  // Answers a slot with an error line.
  void FailSlot(std::uint64_t seq, std::string_view error_line);

  // The request of slot `call.seq` calls a script by its SHA1. A later one takes its place.
  void NoteScriptCall(ScriptCall&& call);

  // The request cannot be dispatched now; try it again when `until` holds.
  void ParkUntil(Park until);

  // The same in a few milliseconds: it waits for something that tells nobody.
  void Retry();
  [[nodiscard]] bool MayRetry() const;
  // Waits while the lane, or the fill link of a key, is crowded (see UpstreamLink::Crowded).
  void ParkWhileCrowded(const UpstreamLink& lane);
  void ParkWhileCrowded(DbIndex db, std::uint64_t hash);

  // Waits while the upstream, or this lane (null: no matter which), is held (upstream.max_hold).
  void ParkWhileHeld(const UpstreamLink* lane);

  // Closes once everything before has been answered and sent (QUIT).
  void CloseAfterReplies(Counter& reason);
  // Closes now; what is in the output is offered to the kernel once.
  void CloseNow(Counter& reason);

  // Takes or gives back the exclusive link. No link, and no `error_line`: the client stands in line
  // for one, and its request must be parked until Park::kLink is over.
  bool Pin(DbIndex db, std::string_view& error_line);
  // The same for a link of the sidecar's own, whoever the client is: a login is tried on it.
  bool PinForLogin(std::string_view& error_line);
  void Unpin(bool reusable);
  // It goes back as soon as nothing is unanswered on it, which may be now.
  void EndPin();

  // Who the client is upstream (session_login.cc). A login that was begun is finished, or
  // forgotten, when the reply to the request of kind kLogin comes.
  void BeginLogin(std::unique_ptr<LoginAttempt> attempt);
  // The sidecar's own upstream again. REQUIRES: nothing is unanswered, no link is held.
  void LogOut();
  [[nodiscard]] bool logged_in() const { return upstream_ != &context_.upstream; }
  // Whether it has ever logged in. What it was shown then may be newer than what L1 holds, whose
  // invalidation is still on its way: such a client asks the upstream for as long as it is there
  // (G2).
  [[nodiscard]] bool reads_past_l1() const { return was_user_; }
  [[nodiscard]] Upstream& upstream() const { return *upstream_; }

  void SetProtocol(proto::Protocol protocol);
  void SetAuthenticated(bool on);
  // Where replies to this client's requests go.
  ReplySink& sink();
  // The client's lane in its database and protocol; another one than before where that is stuck
  // and nothing of the client is on it.
  UpstreamLink& Lane();
  // All the clients, this one among them.
  [[nodiscard]] Server& server() { return server_; }

  // ---- for the server ----

  void OnReplyPart(std::uint64_t seq, std::string_view bytes, const ReplyInfo& info, bool last);
  void OnReplyLost(std::uint64_t seq, std::string_view error_line, bool mid_reply);
  void OnFlightPart(const FlightWaiter& waiter, std::string_view bytes, const ReplyInfo& info,
                    bool last);
  void OnFlightLost(const FlightWaiter& waiter, std::string_view error_line, bool mid_reply);
  void OnPassthrough(std::string_view bytes, bool push);
  void OnSubscriptionsEnded();
  void OnExclusiveLost(std::string_view error_line);
  // The wait for an exclusive link is over, one way or the other.
  void OnMayBorrow();
  // `link` stands for pin.link from now on. REQUIRES: a link is lent.
  void OnLinkExchanged(ExclusiveLink& link);

  // Goes on with parked input if it may.
  void Resume();
  // What parked clients wait for may have changed.
  void Wake() { NoteProgress(); }
  // Writes the output; closes if that was all there was to do.
  void Flush();
  // Once a second or so: timeouts, and memory that an idle client need not keep.
  void Tick(MonoTime now);
  // Drain: answers what was asked, reads no more, closes.
  void StartDrain();

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] std::uint64_t client_id() const { return client_id_; }
  // What is answered now is not for the client to hear (CLIENT REPLY).
  [[nodiscard]] bool muted() const {
    return client.replies == Replies::kOff || client.replies == Replies::kSkip;
  }
  [[nodiscard]] bool closed() const { return closed_; }
  // The client has sent all it will send, and may be gone altogether.
  [[nodiscard]] bool gone() const { return eof_; }
  [[nodiscard]] const ListenerContext& listener() const { return listener_; }
  [[nodiscard]] std::string PeerName() const { return stream_->PeerName(); }
  [[nodiscard]] MonoTime accepted_at() const { return accepted_at_; }
  [[nodiscard]] MonoTime last_active() const { return last_active_; }
  [[nodiscard]] std::size_t unanswered() const { return queue_.size(); }
  // Passthrough: the server has yet to answer something, or is in the middle of a message. Whatever
  // is ours to say comes after that.
  [[nodiscard]] bool server_talks() const {
    return pin.passthrough && (pin.link->unanswered() != 0 || pin.link->mid_message());
  }
  [[nodiscard]] std::size_t output_bytes() const { return out_.size() + queue_.held_bytes(); }
  // How many bytes the replies that are on their way may amount to.
  [[nodiscard]] std::size_t bytes_due() const { return reply_size_.Of(open.all()); }
  // As ReplySink::Backlog: what links should give this client time to read.
  [[nodiscard]] std::size_t Backlog() const;
  [[nodiscard]] std::size_t input_bytes() const { return in_.size(); }
  // For people: what the next request waits for; empty while none does.
  [[nodiscard]] std::string_view WaitsFor() const;
  // Something of this client is under way that will end by itself soon: an unanswered request or a
  // transaction, but not a subscription or a blocking command.
  [[nodiscard]] bool busy() const {
    return !pin.passthrough && !pin.blocking && (pin.link != nullptr || queue_.size() != 0);
  }
  // Waits for the upstream to come back.
  [[nodiscard]] bool held() const { return park_ == Park::kHeld; }
  // This request has been parked before, and is offered again.
  [[nodiscard]] bool again() const { return again_; }
  // Of the request being dispatched: see SendRequest::keep. Null: it is to be copied.
  [[nodiscard]] std::shared_ptr<const void> KeepInput(std::string_view raw) const;

  ClientState client;
  PinState pin;
  OpenRequests open;
  std::uint64_t replica_lane = 0;  // the latest of open.at_replica()
  bool on_replica_lanes = false;   // there are others among them

  bool dirty = false;      // in the server's flush list
  bool resumable = false;  // in the server's resume list

 private:
  void OnBytes(std::span<char> bytes) override;
  void OnWritable() override;
  void OnEnd(const Error& why) override;

  std::size_t Process(std::string_view input);
  void ProcessKept();
  void GrowInput(std::size_t more);
  // session_upload.cc. Both return how many bytes are done with.
  std::size_t BeginUpload(std::string_view head);
  std::size_t TakeUpload(std::string_view input);
  void EndUpload();
  void FailUpload(std::string_view line);
  void WaitForUpload();
  bool DecodeBatch(std::string_view input, std::size_t& at);
  void PrepareBatch();
  bool DispatchBatch(std::size_t& at);
  std::string WithOurId(std::string_view bytes);
  void NoteDispatched(const CommandRow& row);
  void ProtocolError(std::string_view line);
  void UpdateReading();
  [[nodiscard]] bool MayResume() const;
  [[nodiscard]] bool WaitsForOthers() const;
  void NoteProgress();
  void Deliver(std::uint64_t seq, std::string_view bytes);
  void NoteWritten(bool all);
  void NoteReplySize(const ReplyInfo& info, std::size_t bytes);
  void FinishSlot(std::uint64_t seq, bool error);
  void DeliverMgetPart(const FlightWaiter& waiter, std::string_view bytes, const ReplyInfo& info,
                       bool last);
  void FinishMgetPart(std::uint64_t seq, PendingRequest& pending);
  void MarkDirty();
  void CheckOutput();
  // session_scripts.cc. True: the reply is not for the client.
  void OnScriptTold(std::uint64_t seq, std::string_view bytes, const ReplyInfo& info);
  bool TakeScriptReply(std::string_view bytes, const ReplyInfo& info, bool last);
  bool Borrow(Upstream& from, DbIndex db, proto::Protocol protocol, std::string_view& error_line);
  std::string FinishLogin();
  bool LogIn(std::string_view user, std::string_view password, std::string_view& refused);
  bool AskForScript(std::string_view refusal);
  bool CallScriptAgain();

  const std::uint64_t id_;
  const std::uint64_t client_id_;
  const ListenerContext& listener_;
  SessionContext& context_;
  Dispatcher& dispatcher_;
  Server& server_;

  std::unique_ptr<ByteStream> stream_;
  proto::RequestDecoder decoder_;
  bool decoder_failed_ = false;
  std::string_view decoder_error_;  // lives in decoder_
  std::string in_;                  // bytes not dispatched yet
  std::size_t in_needed_ = 0;       // as many as the request that begins there claims to have
  std::shared_ptr<std::string> shared_in_;  // where `in_` is while it is processed, if it is large
  UploadState upload_;
  OutBuffer out_;
  ReplyQueue queue_;
  std::unique_ptr<ScriptCall> script_call_;  // while it is unanswered

  Upstream* upstream_;  // the sidecar's own, or that of the user it has logged in as
  bool was_user_ = false;
  Upstream* lender_;                     // whose link is held, or waited for
  std::unique_ptr<LoginAttempt> login_;  // while the upstream judges it
  UpstreamLink* lane_ = nullptr;  // the last one asked for; the pool keeps it as long as itself
  DbIndex lane_db_ = 0;
  proto::Protocol lane_protocol_ = proto::Protocol::kResp2;

  Park park_ = Park::kNone;
  std::unique_ptr<Timer> retry_;  // Park::kRetry
  std::optional<MonoTime> retrying_since_;
  bool again_ = false;  // the request being dispatched was parked as Park::kQuiet
  bool reading_ = true;
  bool may_borrow_ = false;  // Park::kLink is over
  // kCrowd. The link outlives the wait: this client has requests on it.
  const UpstreamLink* crowded_lane_ = nullptr;  // null: a fill link
  std::uint64_t crowded_hash_ = 0;              // of a key it fills
  DbIndex crowded_db_ = 0;
  const UpstreamLink* held_lane_ = nullptr;  // kHeld
  bool write_blocked_ = false;
  MonoTime blocked_since_{};  // when the kernel last took something, and not all
  bool eof_ = false;          // the client has sent all it will send
  bool draining_ = false;     // no more requests are taken
  bool closing_ = false;      // close once everything is answered and sent
  bool closed_ = false;       // to be reaped
  Counter* close_reason_ = nullptr;
  const MonoTime accepted_at_;
  MonoTime last_active_;
  ReplySize reply_size_;
};

}  // namespace nearcached
