// Requests too large to be gathered: limits.stream_above.
//
// A SET of half a gigabyte that is gathered before it is forwarded takes as much memory here, twice
// over, and a sidecar that has far less is killed for it. So the beginning of such a request is
// judged as soon as its command and its key are there, like any other request (key first, then
// value, in every command that takes large ones), and what follows is handed on as it comes. It
// travels on an exclusive link: on a lane the other clients would wait for this one's network.
//
// The server carries a command out when it has all of it, so whatever breaks off in the middle has
// done nothing: the link is closed, and nobody else gets it. Where the upstream will not have the
// request, its error is answered at once and the rest of the request is skipped, so that what the
// client has sent behind it is still understood.
//
// Memory. What the kernel does not take stays in the link's buffer, and above kBehind bytes the
// client is not read: limits.stream_above plus about a megabyte and a half, whatever it sends.
#include <string>

#include "daemon/session/dispatcher.h"
#include "daemon/session/server.h"
#include "daemon/session/session.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

// With so much unsent, the client's input waits.
constexpr std::size_t kBehind = 1024 * 1024;

}  // namespace

// The decoder has the beginning of a request in `head`, and needs more.
std::size_t Session::BeginUpload(std::string_view head) {
  const std::uint64_t above = context_.config->limits.stream_above;
  if (above == 0 || head.size() <= above) {
    return 0;
  }
  RequestBatch& batch = context_.batch;
  batch.Clear();
  decoder_.AppendWhole(head, batch.args);
  if (batch.args.empty()) {
    return 0;
  }
  Request request{.args = batch.args, .raw = head};
  request.row = &batch.RowOf(request.args, context_.commands);
  const std::uint64_t seq = queue_.next();
  switch (dispatcher_.BeginUpload(*this, request)) {
    case Dispatcher::Upload::kGather:
      return 0;
    case Dispatcher::Upload::kParked:
      context_.stats.parked.Add();
      upload_.begins = true;
      return 0;
    case Dispatcher::Upload::kTaken:
      break;
  }
  context_.stats.requests.Add();
  context_.stats.streamed.Add();
  context_.stats.commands[request.row->id].Add();
  NoteDispatched(*request.row);
  upload_ = {.active = true, .begins = false, .seq = seq, .behind_since = {}, .unsent = 0};
  const std::size_t shed = decoder_.Shed(head);
  if (pin.link != nullptr) {
    pin.link->SendRaw(head.substr(0, shed));
  }
  return shed;
}

std::size_t Session::TakeUpload(std::string_view input) {
  if (pin.link != nullptr && pin.link->unsent() >= kBehind) {
    WaitForUpload();
    return 0;
  }
  upload_.behind_since.reset();
  RequestBatch& batch = context_.batch;
  batch.Clear();
  const auto verdict = decoder_.Next(input, batch.args);
  if (verdict.status == proto::DecodeStatus::kError) {
    upload_.active = false;
    FailUpload(verdict.error);
    if (!closed_) {
      CloseAfterReplies(context_.stats.closed_protocol);
    }
    return input.size();
  }
  const bool whole = verdict.status == proto::DecodeStatus::kRequest;
  const std::size_t taken = whole ? verdict.consumed : decoder_.Shed(input);
  if (pin.link != nullptr) {
    pin.link->SendRaw(input.substr(0, taken));
  }
  if (whole) {
    EndUpload();
  }
  return taken;
}

void Session::EndUpload() {
  upload_.active = false;
  if (pin.link == nullptr) {
    return;
  }
  // A server that has answered a part of it may take the rest for anything.
  pin.tainted = pin.tainted || pin.link->unanswered() == 0;
  pin.link->EndRest(context_.config->upstream.command_timeout);
  EndPin();
}

// What has not arrived whole is never carried out.
void Session::FailUpload(std::string_view line) {
  if (queue_.Find(upload_.seq) != nullptr) {
    FailSlot(upload_.seq, line);
  }
  Unpin(false);
}

// Nobody tells how much the server takes, so it is looked at every few milliseconds.
void Session::WaitForUpload() {
  const MonoTime now = context_.scheduler.Now();
  const std::size_t unsent = pin.link->unsent();
  if (!upload_.behind_since || unsent != upload_.unsent) {
    upload_.behind_since = now;
    upload_.unsent = unsent;
  } else if (now - *upload_.behind_since >= Duration(context_.config->upstream.command_timeout)) {
    FailUpload(proto::kErrUploadStopped);
  }
  Retry();
}

}  // namespace nearcached
