// What the upstream says: cut into replies, and each handed to whoever waits for it.
//
// A reply that lies whole in the read buffer is handed on as a view into that buffer. One that does
// not is gathered in `carry_` while it is small, and streamed piece by piece once it is not, so a
// value of any size costs the link no memory; it is then read only as fast as its client reads it.
#include <string>
#include <string_view>
#include <utility>

#include "daemon/upstream/link.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// A reply above this is streamed to its waiter instead of being gathered.
constexpr std::size_t kStreamAbove = 64 * 1024;
// Above this many bytes its client has yet to read, a large reply is not read on.
constexpr std::size_t kBacklogHigh = 1024 * 1024;
// The daemon's own questions and push frames have small answers; COMMAND is the largest.
constexpr std::size_t kOwnReplyMax = 16 * 1024 * 1024;

}  // namespace

void Link::OnBytes(std::span<char> bytes) {
  last_received_ = context_.scheduler.Now();
  if (state_ == State::kReady) {
    context_.gate.OnBytes();
  }
  context_.stats.bytes_received.Add(bytes.size());
  if (tunnel_ && state_ == State::kReady) {
    if (lent_to_ != nullptr) {
      lent_to_->OnPassthrough(lent_session_, {bytes.data(), bytes.size()}, true);
      PausePassthroughIfBehind();
    }
    return;
  }
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
    if (renewing() && owed_ == 0 && epoch == epoch_) {
      FinishRenewal();
    }
  }
}

// Takes the next piece of the reply at hand; it is the last one if `last`.
void Link::TakePiece(std::string_view piece, bool last) {
  if (passthrough_ && state_ == State::kReady) {
    DeliverPassthrough(piece, last);
    return;
  }
  const bool push = scanner_.type() == '>';
  const bool own = state_ == State::kHandshake || push || spec_.purpose == Purpose::kTracker ||
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
  if (IsPush(frame)) {
    context_.observer.OnLinkPush(*this, frame);
    return;
  }
  if (requests_.empty()) {
    Lose(context_.stats.closed_protocol, "the upstream sent a reply that nobody asked for",
         proto::kErrBadUpstreamReply);
    return;
  }
  Request request = PopRequest();
  const auto reply = ParseUpstreamReply(frame);
  if (!request.abandoned) {
    request.own(reply ? &*reply : nullptr);
  }
}

// A tracker has subscribed in RESP2, where messages are arrays like any other.
bool Link::IsPush(std::string_view frame) const {
  return scanner_.type() == '>' ||
         (spec_.purpose == Purpose::kTracker && frame.starts_with("*3\r\n$7\r\nmessage\r\n"));
}

void Link::DeliverPiece(std::string_view piece, bool last) {
  if (requests_.empty()) {
    Lose(context_.stats.closed_protocol, "the upstream sent a reply that nobody asked for",
         proto::kErrBadUpstreamReply);
    return;
  }
  const bool large = scanner_.bulk_length() > static_cast<std::int64_t>(kStreamAbove) ||
                     carry_.size() + piece.size() > kStreamAbove;
  if (!streaming_ && !last && !large) {
    carry_.append(piece);
    return;
  }
  streaming_ = !last;
  if (carry_.empty()) {
    Deliver(piece, last);
    return;
  }
  std::string gathered = std::exchange(carry_, {});
  gathered.append(piece);
  Deliver(gathered, last);
}

// Hands bytes of the front request's reply to its sink.
void Link::Deliver(std::string_view bytes, bool last) {
  const ReplyInfo info{scanner_.type(), scanner_.is_null(), scanner_.bulk_length()};
  Request& front = requests_.front();
  const auto sick = info.type == '-' && last ? SickReplyOf(bytes) : std::nullopt;
  if (sick && StepsBack(*sick) && front.MayRepeat()) {
    NoteSick(*sick);  // the read is sent again when the server is ready
    return;
  }
  Settle(front, Outcome::kAnswered);
  if (!last) {
    front.begun = true;
    if (!front.abandoned) {
      front.sink->OnReplyPart(front.token, bytes, info, false);
      PauseIfBehind();
    }
    return;
  }
  const Request request = PopRequest();  // before calling out: the sink may send more
  RenewPauses(request);
  if (request.abandoned) {
    if (request.sink != nullptr) {
      context_.stats.late_replies.Add();
    }
  } else {
    context_.stats.replies.Add();
    context_.stats.repeated_ok.Add(request.repeated ? 1 : 0);
    context_.stats.latency.Observe(context_.scheduler.Now() - request.sent_at);
    request.sink->OnReplyPart(request.token, bytes, info, true);
  }
  if (sick) {
    NoteSick(*sick);
  }
}

// The server says that something is wrong with it. A node that calls itself a replica, where the
// primary may be another one, is left at once, so that nothing is read from its older data either;
// the client has its error, and what else was under way there gets one.
void Link::NoteSick(SickReply sign) {
  context_.stats.sick[static_cast<std::size_t>(sign)].Add();
  const bool demoted = sign == SickReply::kReadOnly && context_.topology.changes();
  if (demoted || (context_.topology.changes() &&
                  (sign == SickReply::kLoading || sign == SickReply::kMasterDown))) {
    context_.topology.Suspect(kSickReplyNames[static_cast<std::size_t>(sign)]);
  }
  if (state_ != State::kReady) {
    return;
  }
  if (demoted) {
    Lose(context_.stats.closed_demoted, "the node is a replica now", proto::kErrConnectionLost);
  } else if (StepsBack(sign)) {
    Lose(context_.stats.closed_sick, "the server is not ready", proto::kErrConnectionLost);
  }
}

// Where requests may be held, a server that is not ready for any of them is treated as one that is
// away: a link stands again when the PING of its handshake is answered.
bool Link::StepsBack(SickReply sign) const {
  return (sign == SickReply::kLoading || sign == SickReply::kMasterDown) &&
         spec_.purpose != Purpose::kExclusive &&
         context_.config.max_hold != config::Duration::zero();
}

// A reply has come whole, and the next may be waited for anew. A fill link carries the pushes that
// bound staleness (G3), and what is waited for in front of one adds up: there a reply counts only
// if it was asked for after the first pause, since all that the server had said until then is read.
void Link::RenewPauses(const Request& answered) {
  if (spec_.purpose != Purpose::kFill || answered.sent_at >= paused_at_) {
    paused_for_ = {};
  }
}

// Gives the client of a large reply time to read. Others wait meanwhile, as they do behind any
// large reply; but only while it does read (Session::Backlog). A fill link waits for so long in
// all, whoever reads, and does not take its own silence for the server's.
void Link::Pause(std::size_t backlog) {
  constexpr Duration kPauseStep = std::chrono::milliseconds(2);
  Duration longest = std::chrono::seconds(1);
  if (spec_.purpose == Purpose::kFill) {
    longest = std::min<Duration>(longest, HealthPatience() / 2);
  } else if (backlog < paused_backlog_) {
    paused_for_ = {};
  }
  paused_backlog_ = backlog;
  if (pause_ != nullptr || paused_for_ >= longest) {
    return;
  }
  if (paused_for_ == Duration::zero()) {
    paused_at_ = context_.scheduler.Now();
  }
  paused_for_ += kPauseStep;
  context_.stats.paused.Add();
  stream_->SetReading(false);
  pause_ = context_.scheduler.After(kPauseStep, [this] {
    pause_.reset();
    if (spec_.purpose != Purpose::kFill) {
      last_received_ = context_.scheduler.Now();  // the silence is ours
    }
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

}  // namespace nearcached
