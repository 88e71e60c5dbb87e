// How a link keeps requests and replies in step.
//
// Every request that was accepted has one place in `requests_`, in the order its bytes went into
// `out_`; every reply that is not a push belongs to the front. A timed-out request is answered with
// an error at once but keeps its place ("abandoned"), so the reply that comes late is counted off
// against it and never reaches anyone else. Abandoned requests are always a prefix of the queue,
// because deadlines rise along it.
//
// A reply that lies whole in the read buffer is handed on as a view into that buffer. One that does
// not is gathered in `carry_` while it is small, and streamed piece by piece once it is not, so a
// value of any size costs the link no memory.
//
// Whatever goes wrong ends in Lose(): the stream is closed first, then the observer is told (a fill
// link's entries go), then the requests; the order matters, because "the write may still be
// executed" ends only when the connection is known closed (consistency.md R3).
#include "daemon/upstream/link.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "daemon/base/check.h"
#include "daemon/base/log.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// A reply above this is streamed to its waiter instead of being gathered.
constexpr std::size_t kStreamAbove = 64 * 1024;
// Above this many bytes its client has yet to read, a large reply is not read on.
constexpr std::size_t kBacklogHigh = 1024 * 1024;
// The daemon's own questions and push frames have small answers; COMMAND is the largest.
constexpr std::size_t kOwnReplyMax = 16 * 1024 * 1024;
// A link that was lost this soon after it stood counts as a failed attempt, so that a server which
// accepts and hangs up is not dialled in a tight loop.
constexpr Duration kStableAfter = std::chrono::seconds(1);

// The first element of a message from the server, given its first bytes:
// "*3\r\n$7\r\nmessage\r\n…".
std::string_view FirstElement(std::string_view head) {
  const std::size_t header = head.find("\r\n");
  if (header == std::string_view::npos) {
    return {};
  }
  head.remove_prefix(header + 2);
  const std::size_t length = head.find("\r\n");
  if (length == std::string_view::npos || head[0] != '$') {
    return {};
  }
  head.remove_prefix(length + 2);
  return head.substr(0, head.find("\r\n"));
}

// https://redis.io/docs/latest/develop/pubsub/#format-of-pushed-messages
bool IsConfirmation(std::string_view head) {
  const std::string_view first = FirstElement(head);
  return first.ends_with("subscribe") && first.size() <= std::string_view("punsubscribe").size();
}

bool IsPubSubMessage(std::string_view head) {
  const std::string_view first = FirstElement(head);
  return head.starts_with('*') &&
         (first == "message" || first == "pmessage" || first == "smessage" || IsConfirmation(head));
}

void AppendCommand(std::string& out, const std::vector<std::string>& command) {
  const std::vector<std::string_view> views(command.begin(), command.end());
  proto::AppendCommand(out, views);
}

}  // namespace

Link::Link(const LinkContext& context, const Spec& spec)
    : context_(context),
      spec_(spec),
      backoff_(context.config.reconnect_delay_min, context.config.reconnect_delay_max),
      last_used_(context.scheduler.Now()) {}

Link::~Link() {
  NC_CHECK(requests_.empty());
}

// ---- connecting ---------------------------------------------------------------------------------

void Link::Open() {
  if (state_ == State::kClosed) {
    StartConnecting();
  }
}

void Link::StartConnecting() {
  state_ = State::kConnecting;
  ++epoch_;
  armed_ = false;
  scanner_.Reset();
  carry_.clear();
  streaming_ = false;
  write_blocked_ = false;
  pause_.reset();
  pauses_ = 0;
  handshake_out_.Clear();
  handshake_.reset();
  timer_ = context_.scheduler.After(context_.config.connect_timeout, [this] {
    Lose(context_.stats.connects_failed, "no connection within upstream.connect_timeout", {});
  });
  stream_ = context_.dialer.Dial(context_.topology.Primary(), *this);
}

void Link::OnOpen() {
  state_ = State::kHandshake;
  const bool fill = spec_.purpose == Purpose::kFill;
  handshake_.emplace(HandshakeTerms{.username = context_.config.username,
                                    .password = context_.config.password,
                                    .db = spec_.db,
                                    .protocol = spec_.protocol,
                                    .fallback_to_resp2 = fill,
                                    .track = spec_.track});
  SendHandshake();
}

void Link::SendHandshake() {
  AppendCommand(handshake_out_.Tail(), handshake_->Command());
  write_blocked_ = !handshake_out_.Flush(*stream_);
}

void Link::OnHandshakeReply(std::string_view frame) {
  const auto reply = ParseUpstreamReply(frame);
  if (!reply) {
    Lose(context_.stats.connects_failed, "the upstream's handshake is not RESP", {});
    return;
  }
  switch (handshake_->OnReply(*reply)) {
    case Handshake::Verdict::kNext:
      SendHandshake();
      break;
    case Handshake::Verdict::kDone:
      OnReady();
      break;
    case Handshake::Verdict::kFailed: {
      const std::string why = handshake_->failure();
      Lose(context_.stats.connects_failed, why, {});
      break;
    }
  }
}

void Link::OnReady() {
  state_ = State::kReady;
  timer_.reset();
  armed_ = handshake_->armed();
  failing_ = false;
  down_why_.clear();
  ready_since_ = last_received_ = context_.scheduler.Now();
  context_.stats.connects_ok.Add();
  context_.stats.links_ready.Add();
  context_.stats.up.Set(1);
  MarkDirty();
  context_.observer.OnLinkReady(*this, *handshake_);
}

// ---- sending ------------------------------------------------------------------------------------

std::string_view Link::Send(SendRequest& request) {
  if (spent_) {
    return proto::kErrConnectionLost;
  }
  if (state_ == State::kClosed) {
    StartConnecting();
  }
  if (state_ != State::kReady && (failing_ || state_ == State::kBackoff)) {
    context_.stats.refused_down.Add();
    error_line_ = proto::UpstreamUnavailable(context_.topology.Primary().ToString(), down_why_);
    return error_line_;
  }
  const bool full =
      requests_.size() >= context_.config.link_queue_max ||
      (!out_.empty() && out_.size() + request.bytes.size() > context_.config.link_bytes_max);
  if (full && !request.follows) {
    context_.stats.refused_full.Add();
    return proto::kErrOverload;
  }
  out_.Append(request.bytes);
  last_used_ = context_.scheduler.Now();
  Request queued;
  queued.sink = request.sink;
  queued.token = request.token;
  queued.footprint = std::move(request.footprint);
  queued.answered_by_push = request.answered_by_push;
  queued.sent_at = last_used_;
  if (request.timeout != Duration::zero()) {
    queued.deadline = last_used_ + request.timeout;
  }
  Enqueue(std::move(queued));
  return {};
}

void Link::Ask(const std::vector<std::string>& command,
               std::function<void(const UpstreamReply*)> done) {
  NC_CHECK(state_ == State::kReady);
  AppendCommand(out_.Tail(), command);
  const MonoTime now = context_.scheduler.Now();
  Request request;
  request.own = std::move(done);
  request.sent_at = now;
  request.deadline = now + context_.config.command_timeout;
  Enqueue(std::move(request));
}

void Link::Enqueue(Request request) {
  context_.stats.requests.Add();
  context_.stats.inflight.Add();
  requests_.PushBack(std::move(request));
  MarkDirty();
}

void Link::MarkDirty() {
  if (!dirty_) {
    dirty_ = true;
    context_.observer.OnLinkDirty(*this);
  }
}

void Link::Flush() {
  dirty_ = false;
  if (state_ == State::kReady && !write_blocked_ && !out_.empty()) {
    const std::size_t before = out_.size();
    write_blocked_ = !out_.Flush(*stream_);
    context_.stats.bytes_sent.Add(before - out_.size());
  }
  ArmDeadline();
}

void Link::OnWritable() {
  write_blocked_ = false;
  if (state_ == State::kHandshake) {
    write_blocked_ = !handshake_out_.Flush(*stream_);
  } else {
    Flush();
  }
}

// ---- replies ------------------------------------------------------------------------------------

void Link::OnBytes(std::span<char> bytes) {
  last_received_ = context_.scheduler.Now();
  context_.stats.bytes_received.Add(bytes.size());
  TakeReplies({bytes.data(), bytes.size()});
}

void Link::TakeReplies(std::string_view input) {
  const std::uint32_t epoch = epoch_;
  while (!input.empty() && stream_ != nullptr && epoch == epoch_) {
    const auto result = scanner_.Scan(input);
    if (result.status == proto::ReplyScanner::Result::Status::kError) {
      const std::string why = "the upstream broke the protocol: " + std::string(scanner_.error());
      Lose(context_.stats.closed_protocol, why, proto::kErrBadUpstreamReply);
      return;
    }
    TakePiece(input.substr(0, result.consumed),
              result.status == proto::ReplyScanner::Result::Status::kDone);
    input.remove_prefix(result.consumed);
  }
}

// Takes the next piece of the reply at hand; it is the last one if `last`.
void Link::TakePiece(std::string_view piece, bool last) {
  if (passthrough_ && state_ == State::kReady) {
    DeliverPassthrough(piece, last);
    return;
  }
  const bool push = scanner_.type() == '>';
  const bool own = state_ == State::kHandshake || push ||
                   (!requests_.empty() && requests_.front().own != nullptr);
  if (!own) {
    DeliverPiece(piece, last);
    return;
  }
  if (!last || !carry_.empty()) {
    carry_.append(piece);
    if (carry_.size() > kOwnReplyMax) {
      Lose(context_.stats.closed_protocol,
           "the upstream's answer to the sidecar itself is too large", proto::kErrBadUpstreamReply);
      return;
    }
    if (!last) {
      return;
    }
    const std::string frame = std::exchange(carry_, {});
    TakeOwnReply(frame);
    return;
  }
  TakeOwnReply(piece);
}

void Link::TakeOwnReply(std::string_view frame) {
  if (state_ == State::kHandshake) {
    if (scanner_.type() != '>') {
      OnHandshakeReply(frame);
    }
    return;
  }
  if (scanner_.type() == '>') {
    context_.observer.OnLinkPush(*this, frame);
    return;
  }
  Request request = PopRequest();
  const auto reply = ParseUpstreamReply(frame);
  if (!request.abandoned) {
    request.own(reply ? &*reply : nullptr);
  }
}

void Link::DeliverPiece(std::string_view piece, bool last) {
  if (requests_.empty()) {
    Lose(context_.stats.closed_protocol, "the upstream sent a reply that nobody asked for",
         proto::kErrBadUpstreamReply);
    return;
  }
  if (!streaming_) {
    if (last && carry_.empty()) {
      Deliver(piece, true);
      return;
    }
    carry_.append(piece);
    const bool large = carry_.size() > kStreamAbove ||
                       scanner_.bulk_length() > static_cast<std::int64_t>(kStreamAbove);
    if (!last && !large) {
      return;
    }
    streaming_ = !last;
    const std::string gathered = std::exchange(carry_, {});
    Deliver(gathered, last);
    return;
  }
  streaming_ = !last;
  Deliver(piece, last);
}

// Hands bytes of the front request's reply to its sink.
void Link::Deliver(std::string_view bytes, bool last) {
  const ReplyInfo info{scanner_.type(), scanner_.is_null(), scanner_.bulk_length()};
  Request& front = requests_.front();
  Settle(front, Outcome::kAnswered);
  if (!last) {
    front.begun = true;
    if (!front.abandoned) {
      front.sink->OnReplyPart(front.token, bytes, info, false);
      PauseIfBehind();
    }
    return;
  }
  pauses_ = 0;
  const Request request = PopRequest();  // before calling out: the sink may send more
  if (request.abandoned) {
    context_.stats.late_replies.Add();
    return;
  }
  context_.stats.replies.Add();
  context_.stats.latency.Observe(context_.scheduler.Now() - request.sent_at);
  request.sink->OnReplyPart(request.token, bytes, info, true);
}

// Gives the client of a large reply time to read. Others wait meanwhile, as they do behind any
// large reply; but only while it does read: one who stands still is waited for once, and then its
// output limit ends the matter. A fill link carries the pushes that bound staleness (G3), so it
// waits that long in all, whoever reads.
void Link::Pause(std::size_t backlog) {
  constexpr Duration kPauseStep = std::chrono::milliseconds(2);
  constexpr int kPausesMax = 500;
  if (backlog < paused_backlog_ && spec_.purpose != Purpose::kFill) {
    pauses_ = 0;
  }
  paused_backlog_ = backlog;
  if (pause_ != nullptr || ++pauses_ > kPausesMax) {
    return;
  }
  stream_->SetReading(false);
  pause_ = context_.scheduler.After(kPauseStep, [this] {
    pause_.reset();
    last_received_ = context_.scheduler.Now();  // the silence is ours
    stream_->SetReading(true);
    PauseIfBehind();
  });
}

// Called between two pieces of the front request's reply.
void Link::PauseIfBehind() {
  if (stream_ == nullptr || requests_.empty()) {
    return;
  }
  const Request& front = requests_.front();
  if (!front.begun || front.sink == nullptr || front.abandoned) {
    return;
  }
  const std::size_t backlog = front.sink->Backlog(front.token);
  if (backlog > kBacklogHigh) {
    Pause(backlog);
  }
}

// Everything goes to the client as it comes; the places in the queue only settle footprints. What
// (P|S)(UN)SUBSCRIBE is answered with is a push, or in RESP2 looks like one, as do the messages of
// a subscription: those give back the places of such requests alone. A reply gives back the place
// of the oldest other request; subscriptions before it must have been confirmed by then.
void Link::DeliverPassthrough(std::string_view piece, bool last) {
  constexpr std::size_t kHeadMax = 48;
  passthrough_head_.append(
      piece.substr(0, kHeadMax - std::min(kHeadMax, passthrough_head_.size())));
  // A late reply from before the passthrough is still counted off and thrown away (R13).
  const bool late = scanner_.type() != '>' && !requests_.empty() && requests_.front().abandoned;
  bool ended = false;
  if (last) {
    const bool subscribed = in_subscription_;
    SettlePassthrough(std::exchange(passthrough_head_, {}), piece);
    ended = subscribed && !in_subscription_ && requests_.empty();
  }
  if (!late) {
    lent_to_->OnPassthrough(lent_session_, piece);
  }
  if (ended && passthrough_) {
    lent_to_->OnSubscriptionsEnded(lent_session_);
  }
}

// A whole message has come: `head` are its first bytes, `tail` ends with its last.
void Link::SettlePassthrough(std::string_view head, std::string_view tail) {
  const bool subscribing = !requests_.empty() && requests_.front().answered_by_push;
  // In RESP3 messages are pushes; in RESP2 only a subscriber gets them, and an array that merely
  // looks like one is a reply to everybody else.
  const bool push =
      scanner_.type() == '>' || (spec_.protocol == proto::Protocol::kResp2 &&
                                 (in_subscription_ || subscribing) && IsPubSubMessage(head));
  const bool confirms = push && IsConfirmation(head);
  if (confirms) {
    in_subscription_ = !tail.ends_with(":0\r\n");  // how many subscriptions are left
  }
  if (!push && scanner_.type() != '-') {
    while (!requests_.empty() && requests_.front().answered_by_push) {
      PopRequest();
    }
  }
  if (!requests_.empty() && (!push || (confirms && requests_.front().answered_by_push))) {
    Settle(requests_.front(), Outcome::kAnswered);
    PopRequest();
  }
}

Link::Request Link::PopRequest() {
  Request request = std::move(requests_.front());
  requests_.PopFront();
  context_.stats.inflight.Sub();
  if (first_waiting_ > 0) {
    --first_waiting_;
  }
  return request;
}

void Link::Settle(Request& request, Outcome outcome) {
  if (request.footprint != nullptr) {
    context_.coherence.Finish(std::move(request.footprint), outcome);
  }
}

// ---- time ---------------------------------------------------------------------------------------

void Link::ArmDeadline() {
  if (first_waiting_ >= requests_.size()) {
    return;
  }
  const MonoTime deadline = requests_[first_waiting_].deadline;
  if (deadline == MonoTime::max() ||
      (deadline_timer_ != nullptr && deadline_armed_for_ <= deadline)) {
    return;  // the timer that runs comes early enough, and looks again
  }
  deadline_armed_for_ = deadline;
  deadline_timer_ = context_.scheduler.After(
      std::max(Duration::zero(), deadline - context_.scheduler.Now()), [this] { OnDeadline(); });
}

void Link::OnDeadline() {
  deadline_timer_.reset();
  const MonoTime now = context_.scheduler.Now();
  while (first_waiting_ < requests_.size() && requests_[first_waiting_].deadline <= now) {
    Request& request = requests_[first_waiting_];
    const Duration timeout = context_.config.command_timeout;
    if (request.begun && now - last_received_ < timeout) {
      request.deadline = last_received_ + timeout;  // a large reply that keeps coming is not late
      break;
    }
    ++first_waiting_;
    request.abandoned = true;
    context_.stats.timeouts.Add();
    if (request.own != nullptr) {
      const auto own = request.own;
      own(nullptr);
    } else if (request.sink != nullptr) {
      ReplySink* const sink = request.sink;
      const RequestToken token = request.token;
      sink->OnReplyLost(token, proto::kErrTimeout, request.begun);
    }
  }
  ArmDeadline();
}

void Link::CheckHealth() {
  if (state_ != State::kReady || passthrough_) {
    return;
  }
  const MonoTime now = context_.scheduler.Now();
  const Duration interval = context_.config.health_interval;
  if (requests_.empty()) {
    if (now - last_received_ >= interval / 2) {
      context_.stats.pings.Add();
      Ask({"PING"}, [this, now](const UpstreamReply* reply) {
        if (reply != nullptr) {
          context_.stats.ping_rtt.Observe(context_.scheduler.Now() - now);
        }
      });
    }
    return;
  }
  if (spec_.purpose == Purpose::kExclusive && requests_.front().own == nullptr) {
    return;  // it may rightly wait for ever
  }
  // Silence is only a sign where something is due. A fill link answers for the staleness of L1 and
  // has the shorter patience; a lane may be waiting for one slow command.
  Duration patience = interval * context_.config.health_misses;
  if (spec_.purpose != Purpose::kFill) {
    patience = std::max<Duration>(patience, context_.config.command_timeout);
  }
  if (now - std::max(last_received_, requests_.front().sent_at) >= patience) {
    Lose(context_.stats.closed_silent, "the upstream stopped answering", proto::kErrConnectionLost);
  }
}

// ---- loss ---------------------------------------------------------------------------------------

void Link::OnEnd(const Error& why) {
  const bool standing = state_ == State::kReady;
  Lose(standing ? context_.stats.closed_by_peer : context_.stats.connects_failed, why.message, {});
}

void Link::Close(std::string_view why) {
  if (state_ == State::kClosed) {
    return;
  }
  const bool standing = state_ == State::kReady;
  timer_.reset();
  deadline_timer_.reset();
  stream_.reset();
  state_ = State::kClosed;
  failing_ = false;
  if (standing) {
    context_.stats.links_ready.Sub();
    context_.observer.OnLinkDown(*this, why);
  }
  FailRequests(standing ? std::string(proto::kErrConnectionLost)
                        : proto::UpstreamUnavailable(context_.topology.Primary().ToString(), why));
}

void Link::Lose(Counter& reason, std::string_view why, std::string_view error_line) {
  const bool standing = state_ == State::kReady;
  const std::string error =
      standing ? std::string(error_line.empty() ? proto::kErrConnectionLost : error_line)
               : proto::UpstreamUnavailable(context_.topology.Primary().ToString(), why);
  (standing ? reason : context_.stats.connects_failed).Add();
  down_why_.assign(why);
  timer_.reset();
  stream_.reset();
  if (standing) {
    context_.stats.links_ready.Sub();
  }
  failing_ = !standing || context_.scheduler.Now() - ready_since_ < kStableAfter;
  if (failing_) {
    context_.stats.up.Set(0);
  }
  state_ = State::kClosed;
  armed_ = false;
  context_.observer.OnLinkDown(*this, down_why_);
  FailRequests(error);
  Reconnect();
}

void Link::Reconnect() {
  if (state_ != State::kClosed || !spec_.retry) {
    return;  // somebody opened it from a callback, or will when it is needed
  }
  if (!failing_) {
    backoff_.Reset();
    StartConnecting();  // the first attempt after a good connection is immediate
    return;
  }
  state_ = State::kBackoff;
  timer_ = context_.scheduler.After(backoff_.Next(context_.rng), [this] { StartConnecting(); });
}

void Link::FailRequests(std::string_view error_line) {
  deadline_timer_.reset();
  pause_.reset();
  first_waiting_ = 0;
  out_.Clear();
  carry_.clear();
  streaming_ = false;
  Ring<Request> lost = std::exchange(requests_, {});
  while (!lost.empty()) {
    Request request = std::move(lost.front());
    lost.PopFront();
    context_.stats.inflight.Sub();
    Settle(request, Outcome::kLost);
    if (request.abandoned) {
      continue;
    }
    context_.stats.lost.Add();
    if (request.own != nullptr) {
      request.own(nullptr);
    } else if (request.sink != nullptr) {
      request.sink->OnReplyLost(request.token, error_line, request.begun);
    }
  }
  if (spec_.purpose == Purpose::kExclusive) {
    spent_ = true;
    if (lent_to_ != nullptr) {
      lent_to_->OnExclusiveLost(lent_session_, error_line);
    }
  }
}

}  // namespace nearcached
