#include "daemon/session/session.h"

#include <algorithm>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/session/dispatcher.h"
#include "daemon/session/server.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// A parked client is read no further than this.
constexpr std::size_t kParkedInputMax = 64 * 1024;
// Above this many bytes of unread replies a client's requests wait, below the other they go on.
constexpr std::size_t kOutputHigh = 1024 * 1024;
constexpr std::size_t kOutputLow = 256 * 1024;
// Values from this size on are sent from where they lie instead of being copied.
constexpr std::size_t kShareFrom = 16 * 1024;
constexpr std::size_t kWriteThroughFrom = 32 * 1024;
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
      accepted_at_(context.scheduler.Now()),
      last_active_(accepted_at_) {
  client.db = context.config->upstream.db;
  client.authenticated = listener.config.password.empty();
  decoder_.set_unauthenticated(!client.authenticated);
}

Session::~Session() {
  NC_CHECK(pin.link == nullptr);
}

// ---- input --------------------------------------------------------------------------------------

void Session::OnBytes(std::span<char> bytes) {
  last_active_ = context_.scheduler.Now();
  context_.stats.bytes_received.Add(bytes.size());
  if (closed_ || closing_) {
    return;
  }
  if (in_.empty() && park_ == Park::kNone) {
    const std::string_view input(bytes.data(), bytes.size());
    in_.assign(input.substr(Process(input)));
  } else {
    in_.append(bytes.data(), bytes.size());
    if (park_ == Park::kNone) {
      in_.erase(0, Process(in_));
    }
  }
  UpdateReading();
}

// Dispatches what it can and returns how many bytes are done with.
std::size_t Session::Process(std::string_view input) {
  std::size_t at = 0;
  bool more = true;
  while (more && at < input.size() && park_ == Park::kNone && !closed_ && !closing_) {
    context_.batch.Clear();
    const bool was_authenticated = client.authenticated;
    more = DecodeBatch(input, at);
    std::size_t dispatched = at;
    if (!DispatchBatch(dispatched)) {
      decoder_.Reset();  // what was decoded ahead will be decoded again
      decoder_failed_ = false;
      at = dispatched;
      break;
    }
    if (decoder_failed_ && client.authenticated && !was_authenticated) {
      decoder_failed_ = false;  // judged by the limits before AUTH, which has just succeeded
      decoder_.Reset();
      more = true;
    } else if (decoder_failed_) {
      ProtocolError(decoder_error_);
    }
  }
  return closed_ || closing_ ? input.size() : at;
}

// Decodes up to a batch, moving `at` behind the last whole request. False: nothing more to decode.
bool Session::DecodeBatch(std::string_view input, std::size_t& at) {
  RequestBatch& batch = context_.batch;
  while (batch.size < RequestBatch::kMax && at < input.size()) {
    const std::size_t first_arg = batch.args.size();
    const auto verdict = decoder_.Next(input.substr(at), batch.args);
    if (verdict.status == proto::DecodeStatus::kNeedMore) {
      return false;
    }
    if (verdict.status == proto::DecodeStatus::kError) {
      decoder_failed_ = true;
      decoder_error_ = verdict.error;
      return false;
    }
    const std::size_t begin = at;
    at += verdict.consumed;
    if (verdict.argc == 0) {
      continue;
    }
    auto& item = batch.items[batch.size++];
    item = {first_arg, verdict.argc, begin, at, input.substr(begin, verdict.consumed)};
    if (!verdict.canonical) {
      std::string& encoded = batch.encoded.emplace_back();
      proto::AppendCommand(encoded, batch.ArgsOf(item));
      item.raw = encoded;
    }
  }
  return true;
}

// Looks up what every request of the batch will need, and has memory fetched for all of them at
// once.
void Session::PrepareBatch() {
  RequestBatch& batch = context_.batch;
  std::string_view name;  // pipelines repeat themselves: a row is good for the next request too
  const CommandRow* row = nullptr;
  for (std::size_t i = 0; i < batch.size; ++i) {
    Request& request = batch.requests[i];
    request.args = batch.ArgsOf(batch.items[i]);
    request.raw = batch.items[i].raw;
    // A row of a subcommand, or of a command that has some, is good for this request alone.
    if (row == nullptr || request.args[0] != name || row->name.size() != name.size() ||
        row->Is(CommandFlag::kContainer)) {
      row = &context_.commands.Find(request.args);
      name = request.args[0];
    }
    request.row = row;
    request.hashed = row->handling == Handling::kGet && request.args.size() == 2;
    if (request.hashed) {
      request.hash = context_.hasher(request.args[1]);
      context_.l1.Prefetch(request.hash);
    }
  }
  if (batch.size == 1) {
    return;
  }
  for (std::size_t i = 0; i < batch.size; ++i) {
    if (batch.requests[i].hashed) {
      context_.l1.PrefetchEntry(batch.requests[i].hash);
    }
  }
}

// Dispatches the batch. False: stopped before one of them, `at` is where that one begins.
bool Session::DispatchBatch(std::size_t& at) {
  PrepareBatch();
  RequestBatch& batch = context_.batch;
  auto& requests = batch.requests;
  for (std::size_t i = 0; i < batch.size; ++i) {
    if (park_ != Park::kNone || closed_ || closing_) {
      at = batch.items[i].begin;
      return false;
    }
    if (!dispatcher_.Dispatch(*this, requests[i])) {
      NC_CHECK(park_ != Park::kNone);
      context_.stats.parked.Add();
      at = batch.items[i].begin;
      return false;
    }
    context_.stats.requests.Add();
    context_.stats.commands[requests[i].row->id].Add();
    if (queue_.size() >= context_.config->limits.pipeline_max) {
      ParkUntil(Park::kPipeline);
    } else if (output_bytes() >= kOutputHigh) {
      ParkUntil(Park::kOutput);
    }
  }
  return true;
}

void Session::ProtocolError(std::string_view line) {
  Answer([&](std::string& out) { proto::AppendError(out, line); });
  CloseAfterReplies(context_.stats.closed_protocol);
}

void Session::ParkUntil(Park until) {
  park_ = until;
  NoteProgress();  // what it waits for may be so already, and then nothing else would tell
}

bool Session::MayResume() const {
  switch (park_) {
    case Park::kNone:
      return false;
    case Park::kFills:
      return fills_open == 0;
    case Park::kUpstream:
      return queue_.empty();
    case Park::kPipeline:
      return queue_.size() <= context_.config->limits.pipeline_max / 2;
    case Park::kOutput:
      return output_bytes() <= kOutputLow;
    case Park::kPassthrough:
      return pin.link == nullptr || pin.link->unanswered() == 0;
  }
  return false;
}

void Session::NoteProgress() {
  if (!resumable && !closed_ && MayResume()) {
    resumable = true;
    server_.AddResumable(*this);
  }
}

void Session::Resume() {
  resumable = false;
  if (closed_ || closing_ || !MayResume()) {
    return;
  }
  park_ = Park::kNone;
  if (!in_.empty()) {
    in_.erase(0, Process(in_));
  }
  MarkDirty();  // the end of input may now be the end of the client
  UpdateReading();
  NoteProgress();
}

void Session::UpdateReading() {
  const bool wanted = !closed_ && !closing_ && !eof_ && !draining_ &&
                      (park_ == Park::kNone || in_.size() < kParkedInputMax);
  if (wanted == reading_ || closed_) {
    return;
  }
  reading_ = wanted;
  if (!wanted) {
    context_.stats.reading_paused.Add();
  }
  stream_->SetReading(wanted);
}

// ---- answers ------------------------------------------------------------------------------------

void Session::AnswerError(std::uint16_t command, std::string_view line) {
  context_.stats.local_errors.Add();
  context_.stats.command_errors[command].Add();
  Answer([&](std::string& out) { proto::AppendError(out, line); });
}

void Session::AnswerValue(const L1Hit& hit) {
  if (!hit.negative && hit.value.size() >= kShareFrom && queue_.empty()) {
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

std::uint64_t Session::Wait(PendingRequest pending) {
  const bool fill =
      pending.kind == PendingRequest::Kind::kFlight || pending.kind == PendingRequest::Kind::kMget;
  KeyFilter& filter = fill ? fills : forwards;
  ++(fill ? fills_open : forwards_open);
  if (pending.wide) {
    ++wide_open;
  }
  if (pending.hashed) {
    filter.Add(pending.hash);
  }
  for (const std::uint64_t hash : pending.more_hashes) {
    filter.Add(hash);
  }
  pending.since = context_.scheduler.Now();
  return queue_.Open(std::move(pending));
}

// Takes the request out of the session's books. Its slot is still open.
void Session::Settle(PendingRequest& pending) {
  const bool fill =
      pending.kind == PendingRequest::Kind::kFlight || pending.kind == PendingRequest::Kind::kMget;
  KeyFilter& filter = fill ? fills : forwards;
  --(fill ? fills_open : forwards_open);
  if (pending.wide) {
    --wide_open;
  }
  if (pending.hashed) {
    filter.Remove(pending.hash);
  }
  for (const std::uint64_t hash : pending.more_hashes) {
    filter.Remove(hash);
  }
}

// Adds reply bytes to a slot. Large pieces for the front go straight to the kernel.
void Session::Deliver(std::uint64_t seq, std::string_view bytes) {
  if (bytes.size() >= kWriteThroughFrom && queue_.IsFront(seq) && out_.empty() && !write_blocked_) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};  // NOLINT: iovec has no const
    const std::size_t taken = stream_->Write({&part, 1});
    context_.stats.bytes_sent.Add(taken);
    write_blocked_ = taken < bytes.size();
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
  Settle(pending);
  queue_.Finish(seq, out_);
  if (pin.ending && queue_.empty()) {
    Unpin(true);
  }
  MarkDirty();
  CheckOutput();
  NoteProgress();
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
  using Kind = PendingRequest::Kind;
  const bool error = info.type == '-';
  std::string instead;
  if (error && pending->kind != Kind::kForward) {
    pin.tainted = true;  // a transaction that did not begin or end as asked may still be open there
  }
  if (pending->kind == Kind::kMulti && error) {
    pin.multi = false;
    pin.ending = !pin.watching;
    pin.queued.reset();
  } else if (pending->kind == Kind::kExecAborted && last) {
    proto::AppendError(instead, "EXECABORT Transaction discarded because of previous errors.");
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
  FailSlot(seq, error_line);
}

void Session::FailSlot(std::uint64_t seq, std::string_view error_line) {
  PendingRequest& pending = *queue_.Find(seq);
  pin.tainted = pin.tainted || pin.link != nullptr;
  if (pending.kind == PendingRequest::Kind::kMulti) {
    pin.multi = false;
    pin.ending = !pin.watching;
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

// ---- exclusive links ----------------------------------------------------------------------------

bool Session::Pin(DbIndex db, std::string_view& error_line) {
  NC_CHECK(pin.link == nullptr);
  pin = PinState{};
  pin.link = context_.upstream.Borrow(db, client.protocol, server_, id_, error_line);
  if (pin.link != nullptr) {
    context_.stats.pinned.Add();
  }
  return pin.link != nullptr;
}

void Session::Unpin(bool reusable) {
  if (pin.link == nullptr) {
    return;
  }
  ExclusiveLink* const link = std::exchange(pin.link, nullptr);
  reusable = reusable && !pin.passthrough && !pin.multi && !pin.watching && !pin.tainted;
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
  const bool had_state = pin.multi || pin.watching || was_passthrough;
  Unpin(false);
  NoteProgress();
  if (had_state) {
    // The server has forgotten the transaction, the watch or the subscription. A client that is
    // told nothing would go on without it; one whose connection ends knows what to do.
    if (!was_passthrough) {  // there a message may have broken off in the middle: nothing fits
                             // behind
      Answer([&](std::string& out) { proto::AppendError(out, error_line); });
    }
    CloseAfterReplies(context_.stats.closed_upstream);
  }
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

std::string Session::Describe() const {
  const auto seconds = [&](MonoTime since) {
    return std::to_string(ToMillis(context_.scheduler.Now() - since) / 1000);
  };
  std::string flags = pin.passthrough ? "P" : pin.multi ? "x" : "N";
  return "id=" + std::to_string(client_id_) + " addr=" + stream_->PeerName() +
         " laddr=" + listener_.config.address + " name=" + client.name +
         " age=" + seconds(accepted_at_) + " idle=" + seconds(last_active_) + " flags=" + flags +
         " db=" + std::to_string(client.db) + " qbuf=" + std::to_string(in_.size()) +
         " omem=" + std::to_string(output_bytes()) +
         " unanswered=" + std::to_string(queue_.size()) +
         " resp=" + (client.protocol == proto::Protocol::kResp3 ? "3" : "2") +
         " lib-name=" + client.lib_name + " lib-ver=" + client.lib_version + "\n";
}

std::string Session::DescribeAll() const {
  std::string all;
  server_.ForEach([&](const Session& session) { all += session.Describe(); });
  return all;
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
    write_blocked_ = !out_.Flush(*stream_);
    context_.stats.bytes_sent.Add(before - out_.size());
    if (park_ == Park::kOutput) {
      NoteProgress();
    }
  }
  const bool done = closing_ || ((eof_ || draining_) && park_ == Park::kNone);
  if (done && queue_.empty() && out_.empty()) {
    CloseNow(close_reason_ != nullptr ? *close_reason_
             : eof_                   ? context_.stats.closed_by_client
                                      : context_.stats.closed_drain);
  }
}

void Session::OnWritable() {
  write_blocked_ = false;
  MarkDirty();
}

void Session::OnEnd(const Error& why) {
  eof_ = true;
  if (why.code != Code::kEof || pin.passthrough || pin.blocking) {
    // Nobody is left to hear the replies; or a link is held for somebody who cannot be told from
    // one who is gone: a blocked command must not pop an element for nobody (pitfalls.md 38).
    CloseNow(context_.stats.closed_by_client);
    return;
  }
  UpdateReading();
  MarkDirty();
}

void Session::CloseAfterReplies(Counter& reason) {
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
  Unpin(false);
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
  if (pin.passthrough || pin.blocking || (pin.link != nullptr && queue_.empty())) {
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
  const auto& limits = context_.config->limits;
  const Duration silent = now - last_active_;
  const bool half_request = !in_.empty() && park_ == Park::kNone;
  if (half_request && limits.request_timeout != Duration::zero() &&
      silent >= limits.request_timeout) {
    CloseNow(context_.stats.closed_request);
    return;
  }
  if (limits.client_idle_timeout != Duration::zero() && silent >= limits.client_idle_timeout &&
      queue_.empty() && !pin.passthrough && !pin.blocking) {
    CloseNow(context_.stats.closed_idle);
    return;
  }
  if (silent >= kReleaseAfter && queue_.empty() && out_.empty() && in_.empty()) {
    out_.Release();
    queue_.Release();
    std::string().swap(in_);
    fills.Release();
    forwards.Release();
  }
}

}  // namespace nearcached
