// A session's hold on an exclusive link: taking it, giving it back, and what comes through it while
// client and server talk directly (passthrough).
#include <string>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/session/server.h"
#include "daemon/session/session.h"
#include "proto/encode.h"

namespace nearcached {

bool Session::Pin(DbIndex db, std::string_view& error_line) {
  NC_CHECK(pin.link == nullptr);
  pin = PinState{};
  may_borrow_ = false;
  pin.link = context_.upstream.Borrow(db, client.protocol, server_, id_, error_line);
  if (pin.link != nullptr) {
    context_.stats.pinned.Add();
  }
  return pin.link != nullptr;
}

void Session::OnMayBorrow() {
  may_borrow_ = true;
  NoteProgress();
}

void Session::Unpin(bool reusable) {
  if (pin.link == nullptr) {
    return;
  }
  ExclusiveLink* const link = std::exchange(pin.link, nullptr);
  reusable = reusable && pin.Reusable();
  pin = PinState{};
  context_.stats.pinned.Sub();
  context_.upstream.Return(link, reusable);
}

void Session::EndPin() {
  pin.ending = pin.link != nullptr;
  if (queue_.empty()) {
    Unpin(true);
  }
}

void Session::OnPassthrough(std::string_view bytes) {
  if (closed_) {
    return;
  }
  out_.Append(bytes);
  MarkDirty();
  CheckOutput();
  NoteProgress();
}

// An ordinary client again, with L1 and lanes. The link is not lent to anyone else.
void Session::OnSubscriptionsEnded() {
  if (!closed_ && pin.passthrough && !pin.stays && !pin.multi) {
    Unpin(false);
    NoteProgress();
  }
}

void Session::OnExclusiveLost(std::string_view error_line) {
  if (closed_ || pin.link == nullptr) {
    return;
  }
  const bool was_passthrough = pin.passthrough;
  const bool had_state = pin.HasServerState();
  Unpin(false);
  NoteProgress();
  if (had_state) {
    // The server has forgotten the transaction, the watch or the subscription. A client that is
    // told nothing would go on without it; one whose connection ends knows what to do.
    if (!was_passthrough) {  // there, a message may have broken off, and nothing fits behind it
      Answer([&](std::string& out) { proto::AppendError(out, error_line); });
    }
    CloseAfterReplies(context_.stats.closed_upstream);
  }
}

}  // namespace nearcached
