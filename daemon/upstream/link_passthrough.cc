// A link whose client talks with the server itself: subscriptions, CLIENT TRACKING.
#include <algorithm>
#include <string>
#include <utility>

#include "daemon/upstream/link.h"
#include "daemon/upstream/pubsub_message.h"

namespace nearcached {

// Everything goes to the client as it comes; the places in the queue only settle footprints. What
// (P|S)(UN)SUBSCRIBE is answered with is a push, or in RESP2 looks like one, as do the messages of
// a subscription: those give back the places of such requests alone. A reply gives back the place
// of the oldest other request; subscriptions before it must have been confirmed by then.
void Link::DeliverPassthrough(std::string_view piece, bool last) {
  passthrough_head_.append(
      piece.substr(0, kPubSubHeadBytes - std::min(kPubSubHeadBytes, passthrough_head_.size())));
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
  // The owner may have given the link back just now: what it was handed exceeded its output.
  if (ended && lent_to_ != nullptr) {
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
  const bool confirms = push && IsPubSubConfirmation(head);
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

}  // namespace nearcached
