// A session's replies: what is answered here, and what comes back from lanes and flights.
//
// Each unanswered request has a slot in the reply queue, which keeps the order; a reply that is
// known at once goes straight to the output when no slot is before it. Whoever is late (the slot is
// gone, the session closed) is not heard.
#include <memory>
#include <string>
#include <utility>

#include "daemon/session/server.h"
#include "daemon/session/session.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// Values from this size on are sent from where they lie instead of being copied.
constexpr std::size_t kShareFrom = 16 * 1024;
constexpr std::size_t kWriteThroughFrom = 32 * 1024;

// A request of which the server did not get all may be sent again, whatever it does.
constexpr std::string_view kErrUploadLost =
    "ERR nearcached: the upstream connection was lost in the middle of the request; the command "
    "has not run";

}  // namespace

void Session::AnswerOk() {
  Answer([](std::string& out) { proto::AppendSimple(out, "OK"); });
}

void Session::AnswerError(std::uint16_t command, std::string_view line) {
  context_.stats.local_errors.Add();
  context_.stats.command_errors[command].Add();
  Answer([&](std::string& out) { proto::AppendError(out, line); });
}

void Session::AnswerValue(const L1Hit& hit) {
  if (!hit.negative && hit.value.size() >= kShareFrom && queue_.empty() && !muted()) {
    auto keep = std::make_shared<const ValueRef>(context_.l1.Pin(hit));
    const std::string_view view = keep->view();
    out_.AppendShared(view, std::move(keep));
    MarkDirty();
    return;
  }
  Answer([&](std::string& out) {
    if (hit.negative) {
      proto::AppendNull(out, client.protocol);
    } else {
      out.append(hit.value);
    }
  });
}

std::uint64_t Session::Wait(PendingRequest&& pending) {
  pending.since = context_.scheduler.Now();
  pending.muted = muted();
  open.Add(pending);
  return queue_.Open(std::move(pending));
}

// Adds reply bytes to a slot. Large pieces for the front go straight to the kernel.
void Session::Deliver(std::uint64_t seq, std::string_view bytes) {
  if (queue_.Find(seq)->muted) {
    return;
  }
  if (bytes.size() >= kWriteThroughFrom && queue_.IsFront(seq) && out_.empty() && !write_blocked_) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};  // NOLINT: iovec has no const
    const std::size_t taken = stream_->Write({&part, 1});
    context_.stats.bytes_sent.Add(taken);
    NoteWritten(taken == bytes.size());
    bytes.remove_prefix(taken);
  }
  queue_.Append(seq, bytes, out_);
  MarkDirty();
}

void Session::FinishSlot(std::uint64_t seq, bool error) {
  PendingRequest& pending = *queue_.Find(seq);
  context_.stats.upstream_wait.Observe(context_.scheduler.Now() - pending.since);
  if (error) {
    context_.stats.command_errors[pending.command].Add();
  }
  if (pending.kind == PendingRequest::Kind::kTxnEnd) {
    pin.blocking = false;
  }
  if (script_call_ != nullptr && script_call_->seq == seq) {
    script_call_.reset();
  }
  if (pending.kind == PendingRequest::Kind::kLogin) {
    login_.reset();
  }
  if (pending.written != nullptr) {
    context_.recent_writes->Note(*pending.written, context_.scheduler.Now());
  }
  open.Remove(pending);
  queue_.Finish(seq, out_);
  if (pin.ending && queue_.empty()) {
    Unpin(true);
  }
  MarkDirty();
  CheckOutput();
  NoteProgress();
}

void Session::NoteReplySize(const ReplyInfo& info, std::size_t bytes) {
  reply_size_.Note(info, bytes);
  context_.reply_size.Note(info, bytes);
}

void Session::CheckOutput() {
  if (output_bytes() > context_.config->limits.output_bytes_max) {
    CloseNow(context_.stats.closed_output);
  }
}

void Session::OnReplyPart(std::uint64_t seq, std::string_view bytes, const ReplyInfo& info,
                          bool last) {
  PendingRequest* const pending = queue_.Find(seq);
  if (closed_ || pending == nullptr) {
    return;
  }
  NoteReplySize(info, bytes.size());
  if (script_call_ != nullptr && script_call_->seq == seq && TakeScriptReply(bytes, info, last)) {
    return;
  }
  using Kind = PendingRequest::Kind;
  if (pending->kind == Kind::kScriptLoad) {
    if (last) {
      OnScriptTold(seq, bytes, info);
    }
    return;
  }
  const bool error = info.type == '-';
  if (pending->kind == Kind::kLogin && !error && !last) {
    return;  // of HELLO's answer only that it is none of the errors counts
  }
  std::string instead;
  if (error && pending->kind != Kind::kForward && !pin.blocking) {
    pin.tainted = true;  // a transaction that did not begin or end as asked may still be open there
  }
  if (pending->kind == Kind::kMulti && error) {
    pin.CloseMulti();
    pin.queued.reset();
  } else if (pending->kind == Kind::kExecAborted && last) {
    proto::AppendError(instead, proto::kErrExecAbort);
    bytes = instead;
  } else if (pending->kind == Kind::kLogin && !error) {
    instead = FinishLogin();
    bytes = instead;
  } else if (pending->kind == Kind::kSelect && !error && last) {
    client.db = pending->db;
    context_.known_dbs.insert(client.db);
    proto::AppendSimple(instead, "OK");
    bytes = instead;
  }
  Deliver(seq, bytes);
  if (last) {
    FinishSlot(seq, error);
  } else {
    CheckOutput();
  }
}

void Session::OnReplyLost(std::uint64_t seq, std::string_view error_line, bool mid_reply) {
  if (closed_ || queue_.Find(seq) == nullptr) {
    return;
  }
  if (mid_reply) {
    CloseNow(context_.stats.closed_upstream);  // half a reply is out: the stream cannot be mended
    return;
  }
  const bool cut = upload_.active && upload_.seq == seq && error_line == proto::kErrConnectionLost;
  FailSlot(seq, cut ? kErrUploadLost : error_line);
}

void Session::FailSlot(std::uint64_t seq, std::string_view error_line) {
  PendingRequest& pending = *queue_.Find(seq);
  if (pending.kind == PendingRequest::Kind::kScriptLoad) {
    pin.script_untold = error_line;
    FinishSlot(seq, true);
    return;
  }
  pin.tainted = pin.tainted || pin.link != nullptr;
  if (pending.kind == PendingRequest::Kind::kMulti) {
    pin.CloseMulti();
  }
  if (pin.multi) {
    pin.aborted =
        true;  // a command that may not be queued must not be missing from a committed EXEC
  }
  // A SELECT is tried on a link of its own, and what the upstream says to it comes back as the
  // reason why that link does not stand.
  if (pending.kind == PendingRequest::Kind::kSelect &&
      error_line.find("DB index is out of range") != std::string_view::npos) {
    error_line = proto::kErrDbIndex;
  }
  if (const std::size_t at = error_line.find("NOPERM ");
      pending.kind == PendingRequest::Kind::kSelect && at != std::string_view::npos) {
    error_line = error_line.substr(at, error_line.rfind(')') - at);
  }
  context_.stats.local_errors.Add();
  std::string reply;
  proto::AppendError(reply, error_line);
  Deliver(seq, reply);
  FinishSlot(seq, true);
}

void Session::OnFlightPart(const FlightWaiter& waiter, std::string_view bytes,
                           const ReplyInfo& info, bool last) {
  PendingRequest* const pending = queue_.Find(waiter.token.seq);
  if (closed_ || pending == nullptr) {
    return;
  }
  NoteReplySize(info, bytes.size());
  if (pending->kind == PendingRequest::Kind::kMget) {
    DeliverMgetPart(waiter, bytes, info, last);
    return;
  }
  std::string null;
  if (info.null) {
    proto::AppendNull(null, client.protocol);  // the fill link may speak the other protocol
    bytes = null;
  }
  Deliver(waiter.token.seq, bytes);
  if (last) {
    FinishSlot(waiter.token.seq, info.type == '-');
  } else {
    CheckOutput();
  }
}

void Session::DeliverMgetPart(const FlightWaiter& waiter, std::string_view bytes,
                              const ReplyInfo& info, bool last) {
  PendingRequest& pending = *queue_.Find(waiter.token.seq);
  auto& part = pending.gather->parts[waiter.part];
  if (info.type == '-') {
    // MGET says nil where GET says WRONGTYPE; any other error concerns the whole command.
    if (!bytes.starts_with("-WRONGTYPE")) {
      pending.gather->error.assign(bytes);
    }
  } else if (!info.null) {
    part.null = false;
    part.value.append(bytes);
    pending.gather->bytes += bytes.size();
    if (pending.gather->bytes > context_.config->limits.output_bytes_max) {
      CloseNow(context_.stats.closed_output);
      return;
    }
  }
  if (last) {
    FinishMgetPart(waiter.token.seq, pending);
  }
}

void Session::FinishMgetPart(std::uint64_t seq, PendingRequest& pending) {
  if (--pending.gather->waiting != 0) {
    return;
  }
  std::string reply;
  pending.gather->Render(reply, client.protocol);
  const bool error = !pending.gather->error.empty();
  Deliver(seq, reply);
  FinishSlot(seq, error);
}

void Session::OnFlightLost(const FlightWaiter& waiter, std::string_view error_line,
                           bool mid_reply) {
  PendingRequest* const pending = queue_.Find(waiter.token.seq);
  if (closed_ || pending == nullptr) {
    return;
  }
  if (pending->kind == PendingRequest::Kind::kMget) {
    pending->gather->error.clear();
    proto::AppendError(pending->gather->error, error_line);
    FinishMgetPart(waiter.token.seq, *pending);
    return;
  }
  OnReplyLost(waiter.token.seq, error_line, mid_reply);
}

}  // namespace nearcached
