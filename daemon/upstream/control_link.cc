#include "daemon/upstream/control_link.h"

#include <algorithm>
#include <utility>

#include "proto/encode.h"
#include "proto/wire_errors.h"

namespace nearcached {
namespace {

void AppendWords(OutBuffer& out, const std::vector<std::string>& words) {
  const std::vector<std::string_view> views(words.begin(), words.end());
  proto::AppendCommand(out.Tail(), views);
}

// An unknown command is answered with its arguments, and those of AUTH are nobody's business.
std::string LoginFailure(const UpstreamReply& reply) {
  const bool echoes = reply.text.starts_with("ERR unknown command");
  return "AUTH was answered with: " +
         (echoes ? std::string("ERR unknown command") : proto::Printable(reply.text));
}

}  // namespace

ControlLink::ControlLink(Scheduler& scheduler, Dialer& dialer, ControlStats& stats, Terms terms)
    : scheduler_(scheduler), dialer_(dialer), stats_(stats), terms_(std::move(terms)) {}

void ControlLink::Ask(const std::vector<std::string>& command, Done done) {
  AppendWords(out_, command);
  questions_.push_back({std::move(done), scheduler_.Now() + terms_.timeout});
  if (state_ == State::kClosed) {
    Dial();
  } else if (state_ == State::kReady) {
    (void)out_.Flush(*stream_);
  }
  ArmTimer();
}

void ControlLink::Dial() {
  state_ = State::kConnecting;
  ++dials_;
  scanner_.Reset();
  input_.clear();
  scanned_ = 0;
  login_out_.Clear();
  stream_ = dialer_.Dial(terms_.endpoint, *this);
}

void ControlLink::OnOpen() {
  if (terms_.password.empty()) {
    BeginReady();
    return;
  }
  state_ = State::kLogin;
  std::vector<std::string> auth = {"AUTH"};
  if (!terms_.username.empty()) {
    auth.push_back(terms_.username);
  }
  auth.push_back(terms_.password);
  AppendWords(login_out_, auth);
  (void)login_out_.Flush(*stream_);
}

void ControlLink::BeginReady() {
  state_ = State::kReady;
  (void)out_.Flush(*stream_);
}

void ControlLink::OnWritable() {
  (void)(state_ == State::kLogin ? login_out_ : out_).Flush(*stream_);
}

// Bytes are copied before anything is made of them, because an answer may close the stream whose
// buffer they are in. Control traffic is a few lines a second.
void ControlLink::OnBytes(std::span<char> bytes) {
  input_.append(bytes.data(), bytes.size());
  const unsigned int dial = dials_;
  while (scanned_ < input_.size()) {
    const auto found = scanner_.Scan(std::string_view(input_).substr(scanned_));
    if (found.status == proto::ReplyScanner::Result::Status::kError) {
      Fail({Code::kProtocol, "what came is not RESP"});
      return;
    }
    scanned_ += found.consumed;
    if (found.status == proto::ReplyScanner::Result::Status::kNeedMore) {
      break;
    }
    const std::string frame = input_.substr(0, scanned_);
    input_.erase(0, scanned_);
    scanned_ = 0;
    TakeReply(frame);
    if (dial != dials_ || state_ == State::kClosed) {
      return;  // closed meanwhile, perhaps dialled again
    }
  }
  if (input_.size() > kReplyBytesMax) {
    Fail({Code::kLimit, "a reply larger than anything that was asked for"});
  }
}

void ControlLink::TakeReply(std::string_view frame) {
  const auto reply = ParseUpstreamReply(frame);
  if (!reply) {
    Fail({Code::kProtocol, "what came is not RESP"});
    return;
  }
  if (state_ == State::kLogin) {
    if (reply->is_error()) {
      Fail({Code::kInvalid, LoginFailure(*reply)});
      return;
    }
    BeginReady();
    return;
  }
  if (TakeMessage(*reply)) {
    return;
  }
  if (questions_.empty()) {
    Fail({Code::kProtocol, "a reply to nothing"});
    return;
  }
  const Done done = std::move(questions_.front().done);
  questions_.pop_front();
  stats_.answered.Add();
  done(*reply);
}

// ["message", channel, payload] or ["pmessage", pattern, channel, payload].
bool ControlLink::TakeMessage(const UpstreamReply& reply) {
  const auto& parts = reply.elements;
  if (on_message_ == nullptr || parts.size() < 3 ||
      (parts[0].text != "message" && parts[0].text != "pmessage")) {
    return false;
  }
  const auto on_message = on_message_;
  on_message(parts[parts.size() - 2].text, parts.back().text);
  return true;
}

void ControlLink::OnEnd(const Error& why) {
  Fail(why.code == Code::kEof ? Error{Code::kUnavailable, "the connection was closed"} : why);
}

void ControlLink::ArmTimer() {
  if (timer_ == nullptr && !questions_.empty()) {
    const Duration left = questions_.front().deadline - scheduler_.Now();
    timer_ = scheduler_.After(std::max(Duration::zero(), left), [this] { OnTimer(); });
  }
}

void ControlLink::OnTimer() {
  timer_.reset();
  if (!questions_.empty() && questions_.front().deadline <= scheduler_.Now()) {
    Fail({Code::kTimeout,
          state_ == State::kConnecting ? "no connection in time" : "no answer in time"});
    return;
  }
  ArmTimer();
}

void ControlLink::Forget() {
  ++dials_;
  state_ = State::kClosed;
  stream_.reset();
  timer_.reset();
  out_.Clear();
}

void ControlLink::Fail(const Error& why) {
  // `why` may live in the stream.
  const Error error = why;  // NOLINT(performance-unnecessary-copy-initialization)
  Forget();
  std::deque<Question> lost = std::exchange(questions_, {});
  for (Question& question : lost) {
    stats_.failed.Add();
    question.done(error);
  }
}

void ControlLink::Close() {
  Forget();
  std::move(questions_.begin(), questions_.end(), std::back_inserter(closed_));
  questions_.clear();
  if (closed_.empty() || close_timer_ != nullptr) {
    return;
  }
  close_timer_ = scheduler_.After(Duration::zero(), [this] {
    close_timer_.reset();
    std::deque<Question> lost = std::exchange(closed_, {});
    for (Question& question : lost) {
      stats_.failed.Add();
      question.done(Error{Code::kCancelled, "closed"});
    }
  });
}

}  // namespace nearcached
