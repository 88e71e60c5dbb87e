// A link whose client talks with the server itself: subscriptions, CLIENT TRACKING, MONITOR.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/upstream/link.h"
#include "daemon/upstream/pubsub_message.h"
#include "proto/encode.h"

namespace nearcached {

// Everything goes to the client as it comes; the places in the queue only settle footprints. What
// (P|S)(UN)SUBSCRIBE is answered with is a push, or in RESP2 looks like one, as do the messages of
// a subscription: those give back the places of such requests alone. A reply gives back the place
// of the oldest other request; subscriptions before it must have been confirmed by then.
void Link::DeliverPassthrough(std::string_view piece, bool last) {
  passthrough_head_.append(
      piece.substr(0, kPubSubHeadBytes - std::min(kPubSubHeadBytes, passthrough_head_.size())));
  constexpr std::size_t kTailBytes = 24;  // ":<count>\r\n" fits
  passthrough_tail_.append(piece.substr(piece.size() - std::min(kTailBytes, piece.size())));
  passthrough_tail_.erase(
      0, passthrough_tail_.size() - std::min(kTailBytes, passthrough_tail_.size()));
  // A reply that nobody waits for is still counted off and thrown away (R13).
  const bool push = IsPassthroughPush(passthrough_head_);
  const bool unwanted = !push && !requests_.empty() && requests_.front().abandoned;
  bool ended = false;
  if (last) {
    const bool subscribed = subscriptions_ != 0;
    SettlePassthrough(std::exchange(passthrough_head_, {}), std::exchange(passthrough_tail_, {}));
    ended = subscribed && subscriptions_ == 0 && requests_.empty();
  }
  if (!unwanted) {
    lent_to_->OnPassthrough(lent_session_, piece, push);
  }
  if (!last) {
    PausePassthroughIfBehind();
  }
  // The owner may have given the link back just now: what it was handed exceeded its output.
  if (ended && lent_to_ != nullptr) {
    lent_to_->OnSubscriptionsEnded(lent_session_);
  }
}

// Whether the message that begins like this is the reply to nothing. In RESP3 such messages are
// pushes; in RESP2 only a subscriber gets them, and an array that merely looks like one is a reply
// to everybody else. What MONITOR reports is a status line in both.
bool Link::IsPassthroughPush(std::string_view head) {
  const bool subscribing = !requests_.empty() && requests_.front().answered_by_push;
  return scanner_.type() == '>' || (scanner_.type() == '+' && IsMonitorLine(head)) ||
         (protocol_ == proto::Protocol::kResp2 && (subscriptions_ != 0 || subscribing) &&
          IsPubSubMessage(head));
}

// A whole message has come: `head` are its first bytes, `tail` ends with its last.
void Link::SettlePassthrough(std::string_view head, std::string_view tail) {
  const bool push = IsPassthroughPush(head);
  const bool confirms = push && IsPubSubConfirmation(head);
  if (confirms) {
    subscriptions_ = 0;  // the last element says how many are left
    for (std::size_t at = tail.rfind(':') + 1; at < tail.size() && tail[at] != '\r'; ++at) {
      subscriptions_ = subscriptions_ * 10 + static_cast<std::uint32_t>(tail[at] - '0');
    }
  }
  if (!push && scanner_.type() != '-') {
    while (!requests_.empty() && requests_.front().answered_by_push) {
      PopRequest();
    }
  }
  if (!push && scanner_.type() == '*' && !requests_.empty() && requests_.front().subscribes) {
    // How many there are is inside; the next confirmation says it. What matters until then is that
    // what is published is no reply.
    subscriptions_ = std::max(subscriptions_, 1U);
  }
  if (!requests_.empty() && (!push || (confirms && requests_.front().answered_by_push))) {
    Settle(requests_.front(), Outcome::kAnswered);
    PopRequest();
  }
}

// What is too large to be kept for a client that reads slowly stays with the server, which has a
// limit of its own for such clients. Nobody else is on this link.
void Link::PausePassthroughIfBehind() {
  constexpr Duration kPauseStep = std::chrono::milliseconds(2);
  constexpr std::size_t kBacklogHigh = 1024 * 1024;
  if (stream_ == nullptr || lent_to_ == nullptr || pause_ != nullptr ||
      lent_to_->PassthroughBacklog(lent_session_) <= kBacklogHigh) {
    return;
  }
  stream_->SetReading(false);
  pause_ = context_.scheduler.After(kPauseStep, [this] {
    pause_.reset();
    stream_->SetReading(true);
    PausePassthroughIfBehind();
  });
}

void Link::SendRaw(std::string_view bytes) {
  if (spent_) {
    return;  // its owner is being told
  }
  out_.Append(bytes);
  MarkDirty();
}

void Link::SwitchProtocol(proto::Protocol protocol) {
  // What may still be unanswered is nobody's: it has timed out, or is the HELLO of a switch before.
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    NC_CHECK(requests_[i].abandoned);
  }
  const std::array<std::string_view, 2> hello = {"HELLO",
                                                 protocol == proto::Protocol::kResp3 ? "3" : "2"};
  std::string bytes;
  proto::AppendCommand(bytes, hello);
  protocol_ = protocol;
  (void)Send({.bytes = bytes, .timeout = context_.config.command_timeout, .discard_reply = true});
}

}  // namespace nearcached
