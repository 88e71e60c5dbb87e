#include "tests/sim/probe.h"

#include <utility>

namespace nearcached::sim {

namespace {

constexpr Duration kPause = std::chrono::milliseconds(100);

}  // namespace

Probe::Probe(Env& env, SimConnection& connection, std::string key)
    : env_(env), connection_(connection), key_(std::move(key)) {
  connection_.SetPeer(this);
}

void Probe::Ask() {
  if (stopped_) {
    return;
  }
  asked_at_ = env_.scheduler.Now();
  connection_.Send(EncodeCommand({"SET", key_, std::to_string(++asked_)}));
}

void Probe::OnPeerBytes(std::string_view bytes) {
  reader_.Feed(bytes);
  RawReply reply;
  while (reader_.Next(reply)) {
    if (reply.bytes == "+OK\r\n") {
      served_at_ = asked_at_;
    } else {
      last_error_ = PayloadOf(reply);
      env_.Note("probe " + key_, last_error_);
    }
    env_.scheduler.Post(kPause, [this] { Ask(); });
  }
}

}  // namespace nearcached::sim
