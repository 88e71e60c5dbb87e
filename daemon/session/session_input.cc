// A session's input: from bytes to dispatched requests.
//
// Bytes are decoded in batches straight from the stream's buffer; only what cannot be dispatched
// yet is copied to `in_`. From there a large request goes to its link without being copied again
// (KeepInput). A request that has to wait parks the session: what was decoded behind it
// is forgotten and decoded again when the wait is over, so no request is ever half taken.
#include <algorithm>
#include <string>

#include "daemon/base/check.h"
#include "daemon/session/dispatcher.h"
#include "daemon/session/server.h"
#include "daemon/session/session.h"
#include "proto/encode.h"

namespace nearcached {
namespace {

// From here on a request is worth an allocation to save a copy.
constexpr std::size_t kShareMin = 64 * 1024;
// A parked client is read no further than this.
constexpr std::size_t kParkedInputMax = 64 * 1024;
// Above this many bytes of unread replies a client's requests wait, below the other they go on.
constexpr std::size_t kOutputHigh = 1024 * 1024;
constexpr std::size_t kOutputLow = 256 * 1024;
// The share of limits.output_bytes_max that replies on their way may amount to.
constexpr std::size_t kDueShare = 4;

}  // namespace

void Session::OnBytes(std::span<char> bytes) {
  last_active_ = context_.scheduler.Now();
  context_.stats.bytes_received.Add(bytes.size());
  if (closed_ || closing_) {
    return;
  }
  if (pin.tunnel) {
    pin.link->SendRaw(in_);  // what came with the request that opened the tunnel
    in_.clear();
    pin.link->SendRaw({bytes.data(), bytes.size()});
    return;
  }
  if (in_.empty() && park_ == Park::kNone) {
    const std::string_view input(bytes.data(), bytes.size());
    const std::size_t done = Process(input);
    if (done < input.size()) {
      GrowInput(input.size() - done);
      in_.assign(input.substr(done));
    }
  } else {
    GrowInput(bytes.size());
    in_.append(bytes.data(), bytes.size());
    if (park_ == Park::kNone) {
      ProcessKept();
    }
  }
  UpdateReading();
}

// Makes room for all of a request that has begun, which saves moving it each time it has outgrown
// its string; but for no more than four times what has come of it, whatever it claims to be.
void Session::GrowInput(std::size_t more) {
  const std::size_t size = in_.size() + more;
  if (size > in_.capacity() && in_needed_ > size) {
    in_.reserve(std::min(in_needed_, 4 * size));
  }
}

void Session::ProcessKept() {
  if (in_.size() < kShareMin) {
    in_.erase(0, Process(in_));
  } else {
    shared_in_ = std::make_shared<std::string>(std::move(in_));
    in_.clear();
    const std::size_t done = Process(*shared_in_);
    const std::shared_ptr<std::string> input = std::move(shared_in_);
    if (input.use_count() == 1) {
      in_ = std::move(*input);
      in_.erase(0, done);
    } else {
      in_.assign(*input, done);  // links write from it
    }
  }
  if (upload_.active && in_.empty()) {
    std::string().swap(
        in_);  // the beginning of a large request is not kept for as long as it takes
  }
}

// What keeps `raw` where it is, if it is large and not in the stream's own buffer. Then it must not
// be changed any more, and will not be.
std::shared_ptr<const void> Session::KeepInput(std::string_view raw) const {
  const bool inside = shared_in_ != nullptr && raw.data() >= shared_in_->data() &&
                      raw.data() + raw.size() <= shared_in_->data() + shared_in_->size();
  return inside && raw.size() >= kShareMin ? shared_in_ : nullptr;
}

// Dispatches what it can and returns how many bytes are done with.
std::size_t Session::Process(std::string_view input) {
  std::size_t at = 0;
  bool more = true;
  while (more && at < input.size() && park_ == Park::kNone && !closed_ && !closing_) {
    if (upload_.active) {
      at += TakeUpload(input.substr(at));
      more = !upload_.active;
      continue;
    }
    context_.batch.Clear();
    const bool was_authenticated = client.authenticated;
    more = DecodeBatch(input, at);
    context_.batch.is_cut = at < input.size();
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
  if (!more && at < input.size() && park_ == Park::kNone && !closed_ && !closing_ &&
      !upload_.active) {
    at += BeginUpload(input.substr(at));
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
      in_needed_ = verdict.need;
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
    auto& origin = batch.origins[batch.size];
    origin = {begin, first_arg, verdict.argc};
    std::string_view& raw = batch.requests[batch.size].raw;
    raw = input.substr(begin, verdict.consumed);
    if (!verdict.canonical) {
      std::string& encoded = batch.encoded.emplace_back();
      proto::AppendCommand(encoded, batch.ArgsOf(origin));
      raw = encoded;
    }
    ++batch.size;
  }
  return true;
}

// Looks up what every request of the batch will need, and has memory fetched for all of them at
// once.
void Session::PrepareBatch() {
  RequestBatch& batch = context_.batch;
  const bool l1_enabled = context_.config->l1.enabled;
  for (std::size_t i = 0; i < batch.size; ++i) {
    Request& request = batch.requests[i];
    request.args = batch.ArgsOf(batch.origins[i]);
    request.row = &batch.RowOf(request.args, context_.commands);
    request.hashed =
        l1_enabled && request.row->handling == Handling::kGet && request.args.size() == 2;
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
      at = batch.origins[i].begin;
      return false;
    }
    if (!dispatcher_.Dispatch(*this, requests[i])) {
      NC_CHECK(park_ != Park::kNone);
      context_.stats.parked.Add();
      at = batch.origins[i].begin;
      return false;
    }
    NoteDispatched(*requests[i].row);
    again_ = false;
    context_.stats.requests.Add();
    context_.stats.commands[requests[i].row->id].Add();
    if (queue_.size() >= context_.config->limits.pipeline_max) {
      ParkUntil(Park::kPipeline);
    } else if (output_bytes() >= kOutputHigh) {
      ParkUntil(Park::kOutput);
    } else if (queue_.size() > 1 &&
               bytes_due() > context_.config->limits.output_bytes_max / kDueShare) {
      context_.stats.paced.Add();
      ParkUntil(Park::kReplies);
    }
  }
  return true;
}

// A request was taken: CLIENT REPLY SKIP counts down.
void Session::NoteDispatched(const CommandRow& row) {
  client.last_command = &row;
  retrying_since_.reset();
  if (client.replies == Replies::kSkipNext) {
    client.replies = Replies::kSkip;
  } else if (client.replies == Replies::kSkip) {
    if (pin.passthrough && pin.link->unanswered() != 0) {
      ParkUntil(Park::kPassthrough);  // its reply is known by its time alone
    } else {
      client.replies = Replies::kOn;
    }
  }
}

void Session::ProtocolError(std::string_view line) {
  if (!pin.passthrough || !pin.link->mid_message()) {  // nothing fits behind half a message
    Answer([&](std::string& out) { proto::AppendError(out, line); });
  }
  CloseAfterReplies(context_.stats.closed_protocol);
}

void Session::ParkUntil(Park until) {
  park_ = until;
  upload_.begins = false;
  NoteProgress();  // what it waits for may be so already, and then nothing else would tell
}

// Whether the next request has waited for less than upstream.command_timeout by Retry().
bool Session::MayRetry() const {
  return !retrying_since_ || context_.scheduler.Now() - *retrying_since_ <
                                 Duration(context_.config->upstream.command_timeout);
}

void Session::Retry() {
  constexpr Duration kMoment = std::chrono::milliseconds(5);
  retry_ = context_.scheduler.After(kMoment, [this] {
    retry_.reset();
    NoteProgress();
  });
  if (!retrying_since_) {
    retrying_since_ = context_.scheduler.Now();
    context_.stats.delayed.Add();
  }
  ParkUntil(Park::kRetry);
}

void Session::ParkWhileHeld(const UpstreamLink* lane) {
  held_lane_ = lane;
  ParkUntil(Park::kHeld);
}

void Session::ParkWhileCrowded(const UpstreamLink& lane) {
  crowded_lane_ = &lane;
  context_.stats.crowded.Add();
  ParkUntil(Park::kCrowd);
}

void Session::ParkWhileCrowded(DbIndex db, std::uint64_t hash) {
  crowded_lane_ = nullptr;
  crowded_db_ = db;
  crowded_hash_ = hash;
  context_.stats.crowded.Add();
  ParkUntil(Park::kCrowd);
}

bool Session::MayResume() const {
  switch (park_) {
    case Park::kNone:
      return false;
    case Park::kFills:
      return open.no_fills();
    case Park::kUpstream:
      return queue_.empty();
    case Park::kPipeline:
      return queue_.size() <= context_.config->limits.pipeline_max / 2;
    case Park::kOutput:
      return output_bytes() <= kOutputLow;
    case Park::kReplies:
      return output_bytes() < kOutputHigh &&
             bytes_due() <= context_.config->limits.output_bytes_max / (2 * kDueShare);
    case Park::kCrowd:
      return crowded_lane_ != nullptr
                 ? !crowded_lane_->Crowded(open.forwards())
                 : !context_.fills.Crowded(crowded_db_, crowded_hash_, open.fills());
    case Park::kPaused:
      return !context_.paused;
    case Park::kHeld:
      return !upstream_->holding() && (held_lane_ == nullptr || !held_lane_->holding());
    case Park::kQuiet:
      return !context_.paused || context_.quiet;
    case Park::kLink:
      return may_borrow_;
    case Park::kRetry:
      return retry_ == nullptr;
    case Park::kPassthrough:
      return pin.link == nullptr || !server_talks();
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
  if (park_ == Park::kPassthrough && client.replies == Replies::kSkip) {
    client.replies = Replies::kOn;
  }
  const bool promised = park_ == Park::kLink;
  again_ = park_ == Park::kQuiet;
  park_ = Park::kNone;
  if (!in_.empty()) {
    ProcessKept();
  }
  again_ = false;
  if (promised && park_ != Park::kLink) {
    lender_->LeaveLine(id_);  // it may have found that it needs none any more
  }
  MarkDirty();  // the end of input may now be the end of the client
  UpdateReading();
  NoteProgress();
}

void Session::UpdateReading() {
  const bool wanted = !closed_ && !closing_ && !eof_ && (!draining_ || upload_.active) &&
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

}  // namespace nearcached
