#include "daemon/session/session.h"

#include <string>

#include "daemon/base/check.h"
#include "daemon/session/server.h"

namespace nearcached {
namespace {

// An idle client gives back its buffers after this long.
constexpr Duration kReleaseAfter = std::chrono::seconds(2);

proto::RequestLimits LimitsOf(const config::LimitsConfig& limits) {
  return {.args_max = limits.args_max,
          .bulk_bytes_max = limits.bulk_bytes_max,
          .request_bytes_max = limits.request_bytes_max,
          .inline_bytes_max = limits.inline_bytes_max};
}

}  // namespace

Session::Session(std::uint64_t id, std::uint64_t client_id, const ListenerContext& listener,
                 SessionContext& context, Dispatcher& dispatcher, Server& server)
    : id_(id),
      client_id_(client_id),
      listener_(listener),
      context_(context),
      dispatcher_(dispatcher),
      server_(server),
      decoder_(LimitsOf(context.config->limits)),
      upstream_(&context.upstream),
      lender_(upstream_),
      accepted_at_(context.scheduler.Now()),
      last_active_(accepted_at_),
      reply_size_(context.reply_size) {
  client.db = context.config->upstream.db;
  client.seat = client_id;
  client.authenticated = listener.config.password.empty();
  decoder_.set_unauthenticated(!client.authenticated);
}

Session::~Session() {
  NC_CHECK(pin.link == nullptr);
}

// ---- state --------------------------------------------------------------------------------------

void Session::SetProtocol(proto::Protocol protocol) {
  server_.NoteProtocol(client.protocol, protocol);
  client.protocol = protocol;
}

void Session::SetAuthenticated(bool on) {
  client.authenticated = on;
  decoder_.set_unauthenticated(!on);
}

ReplySink& Session::sink() {
  return server_;
}

UpstreamLink& Session::Lane() {
  const bool may_move = open.empty();
  if (lane_ == nullptr || lane_db_ != client.db || lane_protocol_ != client.protocol ||
      (may_move && lane_->StuckAt(context_.scheduler.Now()))) {
    lane_ = &upstream_->Lane(client.db, client.protocol, client.seat, may_move);
    lane_db_ = client.db;
    lane_protocol_ = client.protocol;
  }
  return *lane_;
}

std::string_view Session::WaitsFor() const {
  switch (park_) {
    case Park::kNone:
      return {};
    case Park::kFills:
    case Park::kUpstream:
    case Park::kPassthrough:
      return "its own requests";
    case Park::kPipeline:
      return "limits.pipeline_max";
    case Park::kOutput:
      return "reading its replies";
    case Park::kReplies:
      return "its large replies";
    case Park::kRetry:
      return upload_.active ? "the upstream" : "another client, or upstream.link_bytes_max";
    case Park::kCrowd:
      return "upstream.link_pipeline_max";
    case Park::kPaused:
      return "RESUME";
    case Park::kHeld:
      return "the upstream";
    case Park::kQuiet:
      return "the pause";
    case Park::kLink:
      return "an exclusive link";
  }
  return {};
}

// ---- output and the end -------------------------------------------------------------------------

void Session::MarkDirty() {
  if (!dirty) {
    dirty = true;
    server_.AddDirty(*this);
  }
}

void Session::Flush() {
  dirty = false;
  if (closed_) {
    return;
  }
  if (!write_blocked_ && !out_.empty()) {
    const std::size_t before = out_.size();
    NoteWritten(out_.Flush(*stream_));
    context_.stats.bytes_sent.Add(before - out_.size());
    if (park_ == Park::kOutput || park_ == Park::kReplies) {
      NoteProgress();
    }
  }
  const bool done = closing_ || ((eof_ || draining_) && park_ == Park::kNone);
  // The rest of a request will not come, and everything before it has been answered.
  const bool cut_off = eof_ && upload_.active && park_ == Park::kNone;
  if (out_.empty() && (cut_off || (done && queue_.empty()))) {
    CloseNow(close_reason_ != nullptr ? *close_reason_
             : eof_                   ? context_.stats.closed_by_client
                                      : context_.stats.closed_drain);
  }
}

void Session::NoteWritten(bool all) {
  write_blocked_ = !all;
  if (!all) {
    blocked_since_ = context_.scheduler.Now();
  }
}

// What waits behind an unanswered request counts only where it is so much that the output limit is
// near: the client can do nothing about it, and whoever is paused on its account may hold up the
// very reply that it waits for. Nor is there any use in waiting for a client who stands still.
std::size_t Session::Backlog() const {
  constexpr Duration kStandsStill = std::chrono::seconds(1);
  if (closed_ || (write_blocked_ && context_.scheduler.Now() - blocked_since_ >= kStandsStill)) {
    return 0;
  }
  const std::size_t held = queue_.held_bytes();
  return out_.size() + (held > context_.config->limits.output_bytes_max / 2 ? held : 0);
}

void Session::OnWritable() {
  write_blocked_ = false;
  MarkDirty();
}

// A link is held or waited for, for as long as others please, on behalf of somebody who cannot be
// told from one who is gone once the input has ended: a blocked command must not pop an element for
// nobody (pitfalls.md 38). A large write waits for a link as well, but would be done either way.
bool Session::WaitsForOthers() const {
  return pin.passthrough || pin.blocking || (park_ == Park::kLink && !upload_.begins);
}

void Session::OnEnd(const Error& why) {
  eof_ = true;
  if (why.code != Code::kEof || WaitsForOthers()) {
    CloseNow(context_.stats.closed_by_client);
    return;
  }
  UpdateReading();
  MarkDirty();
}

void Session::CloseAfterReplies(Counter& reason) {
  if (upload_.active) {
    CloseNow(reason);  // there is no reply to wait for: the server would wait for the rest
    return;
  }
  closing_ = true;
  close_reason_ = &reason;
  UpdateReading();
  MarkDirty();
}

void Session::CloseNow(Counter& reason) {
  if (closed_) {
    return;
  }
  closed_ = true;
  reason.Add();
  if (park_ == Park::kLink) {
    lender_->LeaveLine(id_);
  }
  Unpin(false);
  LogOut();
  if (!write_blocked_ && !out_.empty()) {
    const std::size_t before = out_.size();
    (void)out_.Flush(*stream_);  // what the kernel does not take now is lost
    context_.stats.bytes_sent.Add(before - out_.size());
  }
  stream_.reset();
  server_.AddClosed(*this);
}

void Session::StartDrain() {
  draining_ = true;
  // A command that waits for what others may write is not under way: it ends here, and the server
  // forgets it with its connection.
  if (WaitsForOthers() || (pin.link != nullptr && queue_.empty())) {
    CloseNow(context_.stats.closed_drain);
    return;
  }
  UpdateReading();
  MarkDirty();
}

void Session::Tick(MonoTime now) {
  if (closed_) {
    return;
  }
  if (!reading_ && WaitsForOthers() && stream_->PeerHasEnded()) {
    CloseNow(context_.stats.closed_by_client);  // it had sent more ahead than we read
    return;
  }
  const auto& limits = context_.config->limits;
  const Duration silent = now - last_active_;
  const bool half_request = (!in_.empty() || upload_.active) && park_ == Park::kNone;
  if (half_request && limits.request_timeout != Duration::zero() &&
      silent >= limits.request_timeout) {
    CloseNow(context_.stats.closed_request);
    return;
  }
  if (limits.client_idle_timeout != Duration::zero() && silent >= limits.client_idle_timeout &&
      queue_.empty() && !WaitsForOthers()) {
    CloseNow(context_.stats.closed_idle);
    return;
  }
  if (silent >= kReleaseAfter && queue_.empty() && out_.empty() && in_.empty()) {
    out_.Release();
    queue_.Release();
    std::string().swap(in_);
    open.Release();
  }
}

}  // namespace nearcached
