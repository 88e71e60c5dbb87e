// How a link keeps requests and replies in step: the ring of requests, and time.
//
// Every request that was accepted has one place in `requests_`, in the order its bytes went into
// `out_`; every reply that is not a push belongs to the front. A timed-out request is answered with
// an error at once but keeps its place ("abandoned"), so the reply that comes late is counted off
// against it and never reaches anyone else. Abandoned requests are always a prefix of the queue,
// because deadlines rise along it.
//
// The rest of the class: link_connection.cc makes the connection, link_loss.cc loses it and says
// what becomes of the requests, link_replies.cc takes replies apart and hands them on,
// link_passthrough.cc is for a client that talks with the server itself.
#include "daemon/upstream/link.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "daemon/base/check.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {

Link::Link(const LinkContext& context, const Spec& spec)
    : context_(context),
      spec_(spec),
      backoff_(context.config.reconnect_delay_min, context.config.reconnect_delay_max),
      last_used_(context.scheduler.Now()) {}

Link::~Link() {
  NC_CHECK(requests_.empty());
}

// ---- sending ------------------------------------------------------------------------------------

std::string_view Link::Send(SendRequest& request) {
  if (spent_) {
    return proto::kErrConnectionLost;
  }
  if (!request.follows && !MayQueue()) {
    context_.stats.refused_down.Add();
    error_line_ = RefusalLine();
    return error_line_;
  }
  OutBuffer& out = renewing() ? held_ : out_;
  const bool full =
      requests_.size() >= context_.config.link_queue_max || Exceeds(request.bytes.size());
  if (full && !request.follows) {
    context_.stats.refused_full.Add();
    return proto::kErrOverload;
  }
  if (request.script != nullptr && !KnowsScript(*request.script, request.bytes)) {
    LoadScript(*request.script, request.timeout);
  }
  if (request.keep != nullptr && context_.renamed == nullptr) {
    out.AppendShared(request.bytes, std::move(request.keep));
  } else {
    AppendRequest(out, request.bytes);
  }
  last_used_ = context_.scheduler.Now();
  Request& queued = Enqueue();
  queued.bytes = static_cast<std::uint32_t>(
      std::min<std::size_t>(request.bytes.size(), std::numeric_limits<std::uint32_t>::max()));
  request_bytes_ += queued.bytes;
  queued.sink = request.sink;
  queued.token = request.token;
  queued.footprint = std::move(request.footprint);
  queued.client = request.client;
  queued.follows = request.follows;
  queued.repeated = request.repeated;
  if (request.repeatable && spec_.retry && context_.config.retry_reads &&
      replay_.Keep(request.bytes)) {
    queued.kept = queued.bytes;
  }
  queued.answered_by_push = request.answered_by_push;
  queued.subscribes = request.subscribes;
  queued.abandoned = request.discard_reply;
  queued.sent_at = last_used_;
  unfinished_ = request.unfinished;
  if (request.timeout != Duration::zero() && !unfinished_) {
    queued.deadline = last_used_ + request.timeout;
  }
  return {};
}

void Link::EndRest(Duration timeout) {
  if (spent_ || !std::exchange(unfinished_, false) || requests_.empty()) {
    return;
  }
  last_used_ = context_.scheduler.Now();
  requests_.back().sent_at = last_used_;
  requests_.back().deadline = last_used_ + timeout;
  MarkDirty();
}

bool Link::MayQueue() {
  const MonoTime now = context_.scheduler.Now();
  if (context_.gate.maintenance() && spec_.purpose != Purpose::kExclusive) {
    return false;
  }
  if (state_ == State::kReady) {
    return context_.gate.Admit(now);
  }
  if (state_ == State::kClosed && !context_.gate.refuses(now)) {
    StartConnecting();
  }
  return opening();
}

bool Link::holding() const {
  return down_since_.has_value() &&
         context_.scheduler.Now() - *down_since_ < Duration(context_.config.max_hold);
}

std::string Link::RefusalLine() const {
  if (context_.gate.maintenance()) {
    return proto::UpstreamInMaintenance(context_.topology.Primary().ToString(),
                                        context_.config.maintenance_key);
  }
  if (!busy_line_.empty() && context_.gate.state() == BreakerState::kClosed) {
    return busy_line_;
  }
  std::string why = down_why_.empty() ? "requests timed out" : down_why_;
  if (context_.gate.state() != BreakerState::kClosed) {
    why += ", circuit breaker open";
  }
  return proto::UpstreamUnavailable(context_.topology.Primary().ToString(), why);
}

// Under the name that the server has for the command.
void Link::AppendRequest(OutBuffer& out, std::string_view request) const {
  if (context_.renamed == nullptr) {
    out.Append(request);
    return;
  }
  std::string scratch;
  out.Append(context_.renamed->Translate(request, scratch));
}

// Tells the server a script that the request about to be queued calls. A server that was dialled
// anew may be another one, or the same without its memory; being told twice does it no harm, and
// costs a script and a connection one small request. A refusal goes unheard: the call behind it is
// then answered with NOSCRIPT, as it would be without us.
void Link::LoadScript(const Script& script, Duration timeout) {
  NoteScript(script);
  const std::array<std::string_view, 3> load = {"SCRIPT", "LOAD", script.body};
  std::string bytes;
  proto::AppendCommand(bytes, load);
  AppendRequest(renewing() ? held_ : out_, bytes);
  context_.stats.script_loads.Add();
  Request& request = Enqueue();
  request.abandoned = true;
  request.sent_at = context_.scheduler.Now();
  if (timeout != Duration::zero()) {
    request.deadline = request.sent_at + timeout;
  }
}

void Link::NoteScript(const Script& script) {
  constexpr std::size_t kKnownMax = 65'536;  // clients may make up scripts without end
  if (scripts_known_.size() >= kKnownMax) {
    scripts_known_.clear();
  }
  scripts_known_.insert(script.id);
}

// One request at least always may wait.
bool Link::Exceeds(std::size_t bytes) const {
  const OutBuffer& out = renewing() ? held_ : out_;
  return !out.empty() && out.size() + bytes > context_.config.link_bytes_max;
}

// How far one client's requests may lie behind another's. A limit for the link alone would let
// whoever pipelines most fill it and the rest wait; so at the limit only those wait who have more
// than a handful under way, and what a light client sends lies behind at most the limit and a
// handful of each other client. A waiting client is woken by the replies to its own requests, which
// it has by definition, so nobody can be forgotten.
bool Link::Crowded(std::size_t own) const {
  constexpr std::size_t kHandful = 16;
  return (requests_.size() >= context_.config.link_pipeline_max && own >= kHandful) ||
         (request_bytes_ >= context_.config.link_pipeline_bytes_max && own > 0);
}

void Link::Ask(const std::vector<std::string>& command,
               std::function<void(const UpstreamReply*)> done, Duration timeout) {
  NC_CHECK(state_ == State::kReady);
  const std::vector<std::string_view> views(command.begin(), command.end());
  std::string bytes;
  proto::AppendCommand(bytes, views);
  AppendRequest(renewing() ? held_ : out_, bytes);
  const MonoTime now = context_.scheduler.Now();
  Request& request = Enqueue();
  request.own = std::move(done);
  request.sent_at = now;
  request.deadline =
      now + (timeout == Duration::zero() ? Duration(context_.config.command_timeout) : timeout);
}

// The place of a request whose bytes were just queued; the caller fills it in.
Link::Request& Link::Enqueue() {
  context_.stats.requests.Add();
  context_.stats.inflight.Add();
  MarkDirty();
  return requests_.EmplaceBack();
}

void Link::MarkDirty() {
  if (!dirty_) {
    dirty_ = true;
    context_.observer.OnLinkDirty(*this);
  }
}

void Link::Flush() {
  dirty_ = false;
  if (state_ == State::kReady && !write_blocked_ && !out_.empty()) {
    const std::size_t before = out_.size();
    write_blocked_ = !out_.Flush(*stream_);
    context_.stats.bytes_sent.Add(before - out_.size());
  }
  ArmDeadline();
}

void Link::OnWritable() {
  write_blocked_ = false;
  if (state_ == State::kHandshake) {
    write_blocked_ = !handshake_out_.Flush(*stream_);
  } else {
    Flush();
  }
}

// Clients change connections, not connections clients: a stream knows its handler for life.
void Link::ExchangeClients(Link& other) {
  NC_CHECK(spec_.purpose == Purpose::kExclusive && other.spec_.purpose == Purpose::kExclusive);
  NC_CHECK(state_ == State::kReady && other.state_ != State::kReady);
  // Scripts that a request to be sent will tell the server go with that request; what the server
  // has been told stays with the connection, and can only have been where nothing waits to be sent.
  if (requests_.empty()) {
    scripts_known_.merge(other.scripts_known_);
    other.scripts_known_.clear();
  } else {
    std::swap(scripts_known_, other.scripts_known_);
  }
  std::swap(lent_to_, other.lent_to_);
  std::swap(lent_session_, other.lent_session_);
  std::swap(protocol_, other.protocol_);
  std::swap(passthrough_, other.passthrough_);
  std::swap(tunnel_, other.tunnel_);
  std::swap(unfinished_, other.unfinished_);
  std::swap(out_, other.out_);
  std::swap(requests_, other.requests_);
  std::swap(request_bytes_, other.request_bytes_);
  std::swap(first_waiting_, other.first_waiting_);
  std::swap(last_used_, other.last_used_);
  for (Link* const link : {this, &other}) {
    link->MarkDirty();
    if (link->lent_to_ != nullptr) {
      link->lent_to_->OnLinkExchanged(link->lent_session_, *link);
    }
  }
}

bool Link::StuckAt(MonoTime now) {
  constexpr Duration kPatience = std::chrono::milliseconds(50);
  return (failing_ && state_ != State::kReady) ||
         (!requests_.empty() && now - requests_.front().sent_at >= kPatience);
}

// ---- the ring -----------------------------------------------------------------------------------

Link::Request Link::PopRequest() {
  Request request = std::move(requests_.front());
  requests_.PopFront();
  context_.stats.inflight.Sub();
  owed_ -= renewing() ? 1 : 0;
  request_bytes_ -= request.bytes;
  if (request.kept != 0) {
    replay_.Drop(request.kept);
  }
  if (first_waiting_ > 0) {
    --first_waiting_;
  }
  return request;
}

void Link::Settle(Request& request, Outcome outcome) {
  if (request.footprint != nullptr) {
    context_.coherence.Finish(std::move(request.footprint), outcome);
  }
}

// ---- time ---------------------------------------------------------------------------------------

void Link::ArmDeadline() {
  if (first_waiting_ >= requests_.size()) {
    return;
  }
  const MonoTime deadline = requests_[first_waiting_].deadline;
  if (deadline == MonoTime::max() ||
      (deadline_timer_ != nullptr && deadline_armed_for_ <= deadline)) {
    return;  // the timer that runs comes early enough, and looks again
  }
  deadline_armed_for_ = deadline;
  deadline_timer_ = context_.scheduler.After(
      std::max(Duration::zero(), deadline - context_.scheduler.Now()), [this] { OnDeadline(); });
}

void Link::OnDeadline() {
  deadline_timer_.reset();
  const MonoTime now = context_.scheduler.Now();
  while (first_waiting_ < requests_.size() && requests_[first_waiting_].deadline <= now) {
    Request& request = requests_[first_waiting_];
    const Duration timeout = context_.config.command_timeout;
    if (request.begun && now - last_received_ < timeout) {
      request.deadline = last_received_ + timeout;  // a large reply that keeps coming is not late
      break;
    }
    ++first_waiting_;
    if (std::exchange(request.abandoned, true)) {
      continue;  // nobody waits for it, and the request that it was sent for has its own end
    }
    context_.stats.timeouts.Add();
    context_.stats.repeated_failed.Add(request.repeated ? 1 : 0);
    context_.topology.Suspect("a command timed out");
    context_.gate.OnTimeout(now);
    if (request.own != nullptr) {
      const auto own = request.own;
      own(nullptr);
    } else if (request.sink != nullptr) {
      ReplySink* const sink = request.sink;
      const RequestToken token = request.token;
      sink->OnReplyLost(token, proto::kErrTimeout, request.begun);
    }
  }
  ArmDeadline();
}

// A fill link, or what its tracking is redirected to, answers for the staleness of L1 and has the
// shorter patience; a lane may be waiting for one slow command.
Duration Link::HealthPatience() const {
  const Duration patience =
      Duration(context_.config.health_interval) * context_.config.health_misses;
  const bool bounds_staleness =
      spec_.purpose == Purpose::kFill || spec_.purpose == Purpose::kTracker;
  return bounds_staleness ? patience
                          : std::max<Duration>(patience, context_.config.command_timeout);
}

void Link::CheckHealth() {
  if (state_ != State::kReady || passthrough_ || unfinished_) {
    return;
  }
  const MonoTime now = context_.scheduler.Now();
  const Duration interval = context_.config.health_interval;
  if (requests_.empty()) {
    if (now - last_received_ >= interval / 2) {
      context_.stats.pings.Add();
      Ask({"PING"}, [this, now](const UpstreamReply* reply) {
        if (reply != nullptr) {
          context_.stats.ping_rtt.Observe(context_.scheduler.Now() - now);
        }
      });
    }
    return;
  }
  if (spec_.purpose == Purpose::kExclusive && requests_.front().own == nullptr) {
    return;  // it may rightly wait for ever
  }
  // Silence is only a sign where something is due.
  if (now - std::max(last_received_, requests_.front().sent_at) >= HealthPatience()) {
    Lose(context_.stats.closed_silent, "the upstream stopped answering", proto::kErrConnectionLost);
  }
}

}  // namespace nearcached
