#include "daemon/fetch/canary.h"

#include <utility>
#include <variant>

#include "daemon/base/log.h"
#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

constexpr std::uint64_t kWrite = 2;  // beside FillChannel::kValue and kTtl
// A canary that nobody looks after any more leaves nothing behind.
constexpr int kLivesOfInterval = 10;

}  // namespace

void Canary::Configure(Settings settings) {
  settings_ = std::move(settings);
  EndRound(Duration::zero());
  deps_.coherence.Watch(settings_.key, [this] { OnInvalidated(); });
}

void Canary::Tick() {
  const MonoTime now = deps_.scheduler.Now();
  if (settings_.key.empty()) {
    return;
  }
  switch (state_) {
    case State::kIdle:
      if (now >= due_) {
        Read();
      }
      return;
    case State::kReading:
      return;  // its reply comes, or its loss
    case State::kRead:
      Write();
      return;
    case State::kWritten:
      break;
  }
  if (now - since_ > settings_.bound) {
    stats_.overdue.Add();
    stats_.last_delay_ns.Set((now - since_).count());
    Log(LogLevel::kWarn, "canary_overdue",
        "waited_ms=" + std::to_string(ToMillis(now - since_)) +
            " effect=" + Quoted("changes made elsewhere may be seen later than promised"));
    EndRound(settings_.interval);
  }
}

void Canary::Read() {
  const CacheKey key{settings_.db, settings_.key, deps_.hasher(settings_.key)};
  if (!IsArmed(deps_.fills.StateFor(key))) {
    stats_.not_armed.Add();
    EndRound(settings_.interval);
    return;
  }
  const auto sent = deps_.fills.SendFill(key, {}, *this, round_);
  if (const auto* refused = std::get_if<std::string_view>(&sent)) {
    Fail(*refused);
    return;
  }
  state_ = State::kReading;
  replies_due_ = 2;
}

void Canary::Write() {
  const std::string value = std::to_string(round_);
  const std::string life =
      std::to_string(ToMillis(settings_.interval) * kLivesOfInterval + ToMillis(settings_.bound));
  std::string bytes;
  proto::AppendCommand(bytes, {{"SET", settings_.key, value, "PX", life}});
  since_ = deps_.scheduler.Now();
  state_ = State::kWritten;
  // Without a footprint: for the cache this is somebody else's write.
  const std::string_view refused =
      deps_.upstream.Lane(settings_.db, proto::Protocol::kResp2, seat_, true)
          .Send({.bytes = bytes,
                 .sink = this,
                 .token = {round_, kWrite},
                 .timeout = settings_.timeout});
  if (!refused.empty()) {
    Fail(refused);
  }
}

void Canary::OnReplyPart(RequestToken token, std::string_view bytes, const ReplyInfo& info,
                         bool last) {
  if (token.owner != round_ || !last) {
    return;
  }
  if (info.type == '-') {
    Fail(bytes.substr(1, bytes.find('\r') - 1));  // an error is one line
  } else if (token.seq != kWrite && --replies_due_ == 0) {
    state_ = State::kRead;
  }
}

void Canary::OnReplyLost(RequestToken token, std::string_view error_line, bool /*mid_reply*/) {
  if (token.owner == round_) {
    Fail(error_line);
  }
}

void Canary::OnInvalidated() {
  if (state_ != State::kWritten) {
    EndRound(settings_.interval);  // of somebody else's doing: it is not tracked any more
    return;
  }
  const Duration delay = deps_.scheduler.Now() - since_;
  stats_.heard.Add();
  stats_.delay.Observe(delay);
  stats_.last_delay_ns.Set(delay.count());
  failing_ = false;
  EndRound(settings_.interval);
}

void Canary::Fail(std::string_view why) {
  stats_.failed.Add();
  if (!std::exchange(failing_, true)) {
    Log(LogLevel::kWarn, "canary_failed",
        "why=" + Quoted(proto::Printable(why)) +
            " remedy=" + Quoted("let the user of upstream GET, PTTL and SET verify.canary_key"));
  }
  EndRound(settings_.interval);
}

void Canary::EndRound(Duration pause) {
  ++round_;
  state_ = State::kIdle;
  replies_due_ = 0;
  due_ = deps_.scheduler.Now() + pause;
}

}  // namespace nearcached
