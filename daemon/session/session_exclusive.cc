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
  return Borrow(*upstream_, db, client.protocol, error_line);
}

bool Session::PinForLogin(std::string_view& error_line) {
  return Borrow(context_.upstream, 0, proto::Protocol::kResp2, error_line);
}

bool Session::Borrow(Upstream& from, DbIndex db, proto::Protocol protocol,
                     std::string_view& error_line) {
  NC_CHECK(pin.link == nullptr);
  pin = PinState{};
  may_borrow_ = false;
  lender_ = &from;
  pin.link = from.Borrow(db, protocol, server_, id_, error_line);
  if (pin.link != nullptr) {
    context_.stats.pinned.Add();
  }
  return pin.link != nullptr;
}

void Session::OnMayBorrow() {
  may_borrow_ = true;
  NoteProgress();
}

void Session::OnLinkExchanged(ExclusiveLink& link) {
  NC_CHECK(pin.link != nullptr);
  for (const UpstreamLink** const waits_for : {&held_lane_, &crowded_lane_}) {
    if (*waits_for == pin.link) {
      *waits_for = &link;
    }
  }
  pin.link = &link;
}

void Session::Unpin(bool reusable) {
  if (pin.link == nullptr) {
    return;
  }
  ExclusiveLink* const link = std::exchange(pin.link, nullptr);
  reusable = reusable && pin.Reusable();
  pin = PinState{};
  context_.stats.pinned.Sub();
  lender_->Return(link, reusable);
}

void Session::EndPin() {
  pin.ending = pin.link != nullptr;
  if (queue_.empty()) {
    Unpin(true);
  }
}

void Session::OnPassthrough(std::string_view bytes, bool push) {
  if (closed_) {
    return;
  }
  if (pin.writes_through) {  // whose reply this is, nobody counts
    context_.recent_writes->Note({.hashes = {}, .all = true}, context_.scheduler.Now());
  }
  std::string translated;
  const bool broken = push && bytes.find("tracking-redir-broken") != std::string_view::npos;
  if (pin.redirect_upstream > 0 && (broken || (!push && pin.translating))) {
    translated = WithOurId(bytes);
    bytes = translated;
  }
  if (push || !muted()) {
    out_.Append(bytes);
  }
  MarkDirty();
  CheckOutput();
  NoteProgress();
}

// The message with our id of the client that tracking is redirected to in place of the server's.
// Such messages are a few dozen bytes.
std::string Session::WithOurId(std::string_view bytes) {
  pin.translating = false;
  std::string text(bytes);
  const std::string theirs = ":" + std::to_string(pin.redirect_upstream) + "\r\n";
  if (const std::size_t at = text.find(theirs); at != std::string::npos) {
    text.replace(at, theirs.size(), ":" + std::to_string(client.redirect) + "\r\n");
  }
  return text;
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
