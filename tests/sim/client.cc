#include "tests/sim/client.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace nearcached::sim {

Client::Client(Env& env, Checker& checker, Traffic& traffic, SimConnection& connection, int number,
               ClientPlan plan)
    : env_(env),
      checker_(checker),
      traffic_(traffic),
      connection_(connection),
      plan_(plan),
      name_("client" + std::to_string(number)) {
  state_.number = number;
  connection_.SetPeer(this);
}

void Client::Start() {
  Step();
}

void Client::Step() {
  if (done_ || goodbye_said_) {
    return;
  }
  if (!outstanding_.empty() && (plan_.waits || outstanding_.size() > 200)) {
    return;  // TakeReply comes back here
  }
  if (plan_.requests <= 0 || state_.uncertain) {
    SayGoodbye();
    return;
  }
  SendPipeline();
  const Duration think = env_.Between(Duration::zero(), plan_.think_max);
  if (!plan_.waits) {
    env_.scheduler.Post(think, [this] { Step(); });
  }
}

void Client::SendPipeline() {
  std::vector<Request> batch;
  if (!greeted_) {
    greeted_ = true;
    traffic_.Greet(state_, plan_.resp3, index_, batch);
    if (plan_.subscriber) {
      traffic_.Subscribe(state_, index_, batch, true);
      subscribed_ = true;
      plan_.requests = 0;
    }
  }
  const int depth =
      static_cast<int>(env_.Between(1, static_cast<std::uint64_t>(std::max(1, plan_.depth_max))));
  for (int i = 0; i < depth && plan_.requests > 0; ++i) {
    --plan_.requests;
    traffic_.Next(state_, index_, batch);
  }
  Send(batch);
  if (plan_.slow_reader && env_.Chance(0.3)) {
    PauseReading();
  }
}

void Client::Send(std::vector<Request>& batch) {
  const std::uint64_t before = connection_.sent();
  const std::uint64_t end = plan_.cut && !plan_.cut->received
                                ? plan_.cut->bytes
                                : std::numeric_limits<std::uint64_t>::max();
  std::string bytes;
  for (Request& request : batch) {
    const bool plain = std::all_of(request.args.begin(), request.args.end(), [](const auto& arg) {
      return !arg.empty() && arg.find_first_of(" \r\n\"'") == std::string::npos;
    });
    if (request.inline_form && plain && request.args[0].size() < 100) {
      for (const std::string& arg : request.args) {
        bytes.append(arg).append(&arg == &request.args.back() ? "\r\n" : " ");
      }
    } else {
      bytes += EncodeCommand(request.args);
    }
    request.end_offset = before + bytes.size();
    if (request.end_offset > end) {
      bytes.resize(end - before);
      break;  // it is never sent whole
    }
    checker_.Sent(state_, request);
    env_.Note(name_, "sends " + std::to_string(request.index) + ": " +
                         Printable(EncodeCommand(request.args)));
    close_expected_ = close_expected_ || request.closes;
    if (outstanding_.empty()) {
      RestartClock();
      asked_ += request.reads.empty() && request.writes.empty() ? 0 : 1;
    }
    outstanding_.push_back(std::move(request));
  }
  connection_.Send(bytes);
  if (before + bytes.size() >= end) {
    Leave(plan_.cut->reset);
  }
}

void Client::SayGoodbye() {
  if (plan_.subscriber && subscribed_) {
    // Listens for a while first.
    subscribed_ = false;
    env_.scheduler.Post(env_.Between(std::chrono::milliseconds(10), std::chrono::seconds(1)),
                        [this] {
                          if (!done_) {
                            std::vector<Request> batch;
                            traffic_.Subscribe(state_, index_, batch, false);
                            Send(batch);
                          }
                        });
    return;
  }
  goodbye_said_ = true;
  std::vector<Request> batch;
  switch (plan_.farewell) {
    case Farewell::kQuit:
      traffic_.Quit(state_, index_, batch);
      Send(batch);
      return;
    case Farewell::kHalfClose:
      close_expected_ = true;
      traffic_.Next(state_, index_, batch);
      traffic_.Next(state_, index_, batch);
      Send(batch);
      finished_sending_ = true;
      connection_.Shutdown();
      return;
    case Farewell::kAbrupt:
      traffic_.Next(state_, index_, batch);
      Send(batch);
      env_.scheduler.Post(env_.Between(Duration::zero(), std::chrono::milliseconds(1)),
                          [this] { Leave(true); });
      return;
    case Farewell::kHalfCommand: {
      close_expected_ = true;
      const std::string whole = EncodeCommand({"SET", "k0", "never-complete"});
      connection_.Send(std::string_view(whole).substr(0, 1 + env_.rng.Below(whole.size() - 1)));
      finished_sending_ = true;
      connection_.Shutdown();
      return;
    }
    case Farewell::kGarbage:
      close_expected_ = true;
      connection_.Send("*2\r\n$3\r\nGET\r\n:5\r\n");
      return;
    case Farewell::kClose:
      Leave(false);
      return;
  }
}

void Client::Leave(bool reset) {
  if (done_) {
    return;
  }
  env_.Note(name_, reset ? "resets" : "closes");
  done_ = true;
  checker_.Disturbed("");  // whatever it had asked for past the cache ends here
  if (reset) {
    connection_.Reset(env_.Chance(0.5));
  } else {
    connection_.Shutdown();
    // A client that closes does not read either: what still comes is thrown away.
  }
}

void Client::OnPeerBytes(std::string_view bytes) {
  const bool cut =
      plan_.cut && plan_.cut->received && !done_ && received_ + bytes.size() >= plan_.cut->bytes;
  if (cut) {
    bytes = bytes.substr(0, plan_.cut->bytes - received_);
  }
  received_ += bytes.size();
  reader_.Feed(bytes);
  front_since_ = env_.scheduler.Now();  // a long reply on a narrow path is on its way
  RawReply reply;
  while (!done_ && reader_.Next(reply)) {
    TakeReply(reply);
  }
  if (!done_ && reader_.broken()) {
    env_.Fail("I1", name_ + " got bytes that are not RESP: " + Printable(reader_.rest()));
  }
  if (cut) {
    Leave(plan_.cut->reset);
  }
}

bool Client::IsOutOfBand(const RawReply& reply) const {
  if (reply.type == '>') {
    return outstanding_.empty() || outstanding_.front().expect != Expect::kSubscribed ||
           reply.bytes.find("\r\nmessage\r\n") != std::string::npos;
  }
  return plan_.subscriber && reply.type == '*' &&
         reply.bytes.find("\r\nmessage\r\n") != std::string::npos;
}

void Client::TakeReply(const RawReply& reply) {
  env_.Note(name_, "gets " + Printable(reply.bytes));
  if (IsOutOfBand(reply)) {
    checker_.OutOfBand(state_, reply, plan_.subscriber);
    return;
  }
  if (outstanding_.empty()) {
    // A parting word is allowed where there is a reason to part: bytes that were no command, a
    // drain, too many clients.
    const bool garbage = plan_.farewell == Farewell::kGarbage && goodbye_said_;
    const bool parting = garbage || close_permitted_ || !checker_.promises().no_faults;
    if (!parting || reply.type != '-') {
      env_.Fail("I1", name_ + " got a reply to nothing: " + Printable(reply.bytes));
    }
    return;
  }
  const Request request = std::move(outstanding_.front());
  outstanding_.pop_front();
  RestartClock();
  checker_.Answered(state_, request, reply);
  if (outstanding_.empty() && plan_.waits) {
    env_.scheduler.Post(env_.Between(Duration::zero(), plan_.think_max), [this] { Step(); });
  }
}

void Client::OnPeerClosed() {
  if (done_) {
    return;
  }
  done_ = true;
  env_.Note(name_, "is closed by the sidecar with " + std::to_string(outstanding_.size()) +
                       " requests outstanding");
  const bool explained = close_expected_ || close_permitted_ || !checker_.promises().no_faults;
  // Who finishes sending while a link is held for it (a transaction, a blocking command, a SELECT
  // that is tried) cannot be
  // told from one who is gone, and is closed (pitfalls.md 38).
  const bool held =
      plan_.subscriber || std::any_of(outstanding_.begin(), outstanding_.end(),
                                      [](const auto& request) { return request.needs_own_link; });
  const bool cut_short = finished_sending_ && held;
  if (!explained) {
    env_.Fail("I1", name_ + " was closed without a reason");
  } else if (checker_.promises().no_faults && !close_permitted_ && !outstanding_.empty() &&
             !cut_short) {
    env_.Fail("I1", name_ + " was closed with " + std::to_string(outstanding_.size()) +
                        " requests unanswered, first [" + outstanding_.front().args[0] + "]");
  }
}

void Client::PauseReading() {
  if (paused_ || done_) {
    return;
  }
  paused_ = true;
  connection_.SetPeerReading(false);
  env_.scheduler.Post(env_.Between(Duration::zero(), std::chrono::milliseconds(1500)), [this] {
    paused_ = false;
    RestartClock();
    connection_.SetPeerReading(true);
  });
}

void Client::RestartClock() {
  front_since_ = env_.scheduler.Now();
  front_delivered_ = false;
}

void Client::CheckDeadline(Duration allowance) {
  if (done_ || outstanding_.empty() || paused_) {
    return;
  }
  const Request& front = outstanding_.front();
  const MonoTime now = env_.scheduler.Now();
  if (front.expect == Expect::kSubscribed && !checker_.promises().no_faults) {
    return;  // a subscription lives on a link of its own and waits as long as that one lives
  }
  if (!front_delivered_ && connection_.delivered() >= front.end_offset) {
    front_delivered_ = true;
    front_since_ = now;
  }
  if (now - front_since_ > allowance + front.extra) {
    env_.Fail("I6", name_ + " request " + std::to_string(front.index) + " [" + front.args[0] +
                        "] has had no reply since " + FormatTime(front_since_) +
                        (front_delivered_ ? "" : ", the sidecar has not read it"));
  }
}

}  // namespace nearcached::sim
