#include "tests/sim/sim_network.h"

#include <algorithm>
#include <utility>

namespace nearcached::sim {

// The product's end. Destroying it closes; the connection itself stays with the network.
class SimConnection::Stream final : public ByteStream {
 public:
  explicit Stream(SimConnection& connection) : connection_(connection) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() override { connection_.ProductClosed(); }

  std::size_t Write(std::span<const iovec> parts) override {
    return connection_.ProductWrite(parts);
  }
  void SetReading(bool on) override { connection_.ProductSetReading(on); }
  [[nodiscard]] std::string PeerName() const override { return connection_.name(); }

 private:
  SimConnection& connection_;
};

SimConnection::SimConnection(Env& env, std::string name, PathFaults faults)
    : env_(env), name_(std::move(name)), faults_(faults) {}

MonoTime SimConnection::ArrivalAfter(MonoTime previous) {
  Duration delay = env_.Between(faults_.delay_min, faults_.delay_max);
  if (env_.Chance(faults_.stall)) {
    delay += env_.Between(Duration::zero(), faults_.stall_max);
  }
  return std::max(previous, env_.scheduler.Now() + delay);
}

void SimConnection::Send(std::string_view bytes) {
  if (!carries()) {
    return;
  }
  sent_ += bytes.size();
  while (!bytes.empty()) {
    std::size_t n = bytes.size();
    if (n > 1 && env_.Chance(faults_.cut)) {
      n = 1 + env_.rng.Below(n - 1);
    }
    last_arrival_product_ = ArrivalAfter(last_arrival_product_);
    to_product_.push_back(
        {std::string(bytes.substr(0, n)), env_.scheduler.Now(), last_arrival_product_});
    ScheduleRead(last_arrival_product_);
    bytes.remove_prefix(n);
  }
}

void SimConnection::Shutdown() {
  if (dead_ || blackholed_ || end_ != End::kNone) {
    return;
  }
  end_ = End::kEof;
  end_sent_ = env_.scheduler.Now();
  last_arrival_product_ = end_arrives_ = ArrivalAfter(last_arrival_product_);
  ScheduleRead(end_arrives_);
}

void SimConnection::Reset(bool lose) {
  if (dead_ || blackholed_) {
    return;
  }
  env_.Note(name_, lose ? "reset, bytes lost" : "reset");
  dead_ = true;
  const MonoTime now = env_.scheduler.Now();
  end_ = End::kReset;
  end_sent_ = to_product_.empty() ? now : to_product_.front().sent;
  if (env_.Chance(0.5)) {  // a reset may destroy what was received and not yet read
    to_product_.clear();
  }
  last_arrival_product_ = end_arrives_ = ArrivalAfter(last_arrival_product_);
  ScheduleRead(end_arrives_);
  if (lose) {
    // Some of what was written made it before the reset, the rest never does.
    const std::size_t keep = to_peer_.empty() ? 0 : env_.rng.Below(to_peer_.size() + 1);
    while (to_peer_.size() > keep) {
      to_peer_bytes_ -= to_peer_.back().bytes.size();
      to_peer_.pop_back();
    }
  }
  peer_close_pending_ = true;
  last_arrival_peer_ = ArrivalAfter(last_arrival_peer_);
  env_.scheduler.Post(last_arrival_peer_ - now, [this] { PeerArrive(); });
}

void SimConnection::Blackhole() {
  if (dead_ || blackholed_) {
    return;
  }
  env_.Note(name_, "silent death");
  blackholed_ = true;
  // From here on the product is told nothing, not even what the server no longer tries to tell.
  lost_since_ = to_product_.empty() ? env_.scheduler.Now() : to_product_.front().sent;
  to_product_.clear();
  to_peer_.clear();  // the window stays taken: nothing is ever acknowledged again
}

void SimConnection::SetPeerReading(bool on) {
  peer_reading_ = on;
  if (on) {
    PeerArrive();
  }
}

std::unique_ptr<ByteStream> SimConnection::Open(ByteStreamHandler& handler) {
  handler_ = &handler;
  stream_exists_ = true;
  return std::make_unique<Stream>(*this);
}

std::unique_ptr<ByteStream> SimConnection::OpenDialled(ByteStreamHandler& handler) {
  established_ = false;
  return Open(handler);
}

void SimConnection::Establish() {
  established_ = true;
  env_.scheduler.PostToProduct(env_.scheduler.Now(), [this] {
    if (handler_ != nullptr) {
      handler_->OnOpen();
      if (writable_wanted_) {
        ScheduleWritable();
      }
    }
  });
}

void SimConnection::Refuse() {
  dead_ = true;
  end_ = End::kReset;
  end_sent_ = end_arrives_ = env_.scheduler.Now();
  ScheduleRead(end_arrives_);
}

std::optional<MonoTime> SimConnection::OldestUndelivered(bool with_lost) const {
  if (is_over()) {
    return std::nullopt;
  }
  std::optional<MonoTime> oldest;
  if (!to_product_.empty()) {
    oldest = to_product_.front().sent;
  } else if (end_ != End::kNone) {
    oldest = end_sent_;
  }
  if (with_lost && lost_since_ && (!oldest || *lost_since_ < *oldest)) {
    oldest = lost_since_;
  }
  return oldest;
}

void SimConnection::ScheduleRead(MonoTime at) {
  env_.scheduler.PostToProduct(at, [this] { ReadReady(); });
}

void SimConnection::ReadReady() {
  if (handler_ == nullptr || end_told_ || !established_) {
    if (handler_ != nullptr && dead_ && !end_told_) {
      DeliverEnd();
    }
    return;
  }
  const MonoTime now = env_.scheduler.Now();
  if (!reading_) {
    // A reset is noticed even by who does not read; an end of file is not.
    if (end_ == End::kReset && end_arrives_ <= now) {
      to_product_.clear();
      DeliverEnd();
    }
    return;
  }
  std::string bytes;
  while (!to_product_.empty() && to_product_.front().arrives <= now &&
         bytes.size() < faults_.read_max) {
    Segment& segment = to_product_.front();
    const std::size_t n = std::min(segment.bytes.size(), faults_.read_max - bytes.size());
    bytes.append(segment.bytes, 0, n);
    if (n == segment.bytes.size()) {
      to_product_.pop_front();
    } else {
      segment.bytes.erase(0, n);
      ScheduleRead(now);
    }
  }
  if (!bytes.empty()) {
    delivered_ += bytes.size();
    if (!to_product_.empty() && to_product_.front().arrives <= now) {
      ScheduleRead(now);
    } else if (to_product_.empty() && end_ != End::kNone) {
      ScheduleRead(end_arrives_);
    }
    handler_->OnBytes(std::span<char>(bytes));  // may destroy the stream
    return;
  }
  if (to_product_.empty() && end_ != End::kNone && end_arrives_ <= now) {
    DeliverEnd();
  }
}

void SimConnection::DeliverEnd() {
  end_told_ = true;
  Error why;
  why.code = end_ == End::kEof ? Code::kEof : Code::kUnavailable;
  why.message = end_ == End::kEof ? "end of stream" : "connection reset by peer";
  handler_->OnEnd(why);  // may destroy the stream
}

std::size_t SimConnection::ProductWrite(std::span<const iovec> parts) {
  std::string bytes;
  for (const iovec& part : parts) {
    bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
  }
  if (dead_) {
    return bytes.size();
  }
  if (!established_) {
    writable_wanted_ = true;  // as a socket that still connects
    return 0;
  }
  std::size_t taken =
      std::min(bytes.size(), faults_.window - std::min(faults_.window, to_peer_bytes_));
  if (taken > 0 && env_.Chance(faults_.short_write)) {
    taken = env_.rng.Below(taken + 1);
  }
  if (taken < bytes.size()) {
    writable_wanted_ = true;
    if (to_peer_bytes_ + taken < faults_.window) {
      ScheduleWritable();
    }
  }
  if (taken == 0) {
    return 0;
  }
  if (taken < bytes.size()) {
    env_.Note(name_, "takes " + std::to_string(taken) + " of " + std::to_string(bytes.size()));
  }
  to_peer_bytes_ += taken;
  if (blackholed_) {
    return taken;
  }
  const MonoTime now = env_.scheduler.Now();
  std::string_view rest = std::string_view(bytes).substr(0, taken);
  while (!rest.empty()) {
    std::size_t n = rest.size();
    if (n > 1 && env_.Chance(faults_.cut)) {
      n = 1 + env_.rng.Below(n - 1);
    }
    last_arrival_peer_ = ArrivalAfter(last_arrival_peer_);
    to_peer_.push_back({std::string(rest.substr(0, n)), now, last_arrival_peer_});
    env_.scheduler.Post(last_arrival_peer_ - now, [this] { PeerArrive(); });
    rest.remove_prefix(n);
  }
  return taken;
}

void SimConnection::ProductSetReading(bool on) {
  reading_ = on;
  if (on && (!to_product_.empty() || end_ != End::kNone)) {
    ScheduleRead(to_product_.empty() ? end_arrives_ : to_product_.front().arrives);
  }
}

void SimConnection::ProductClosed() {
  handler_ = nullptr;
  stream_exists_ = false;
  if (dead_ || blackholed_) {
    return;
  }
  dead_ = true;  // what the world sends from here on goes nowhere
  peer_close_pending_ = true;
  last_arrival_peer_ = ArrivalAfter(last_arrival_peer_);
  env_.scheduler.Post(last_arrival_peer_ - env_.scheduler.Now(), [this] { PeerArrive(); });
}

void SimConnection::PeerArrive() {
  if (blackholed_ || !peer_reading_) {
    return;
  }
  const MonoTime now = env_.scheduler.Now();
  std::string bytes;
  while (!to_peer_.empty() && to_peer_.front().arrives <= now) {
    bytes += to_peer_.front().bytes;
    to_peer_.pop_front();
  }
  if (!bytes.empty()) {
    to_peer_bytes_ -= bytes.size();
    if (writable_wanted_ && handler_ != nullptr) {
      ScheduleWritable();
    }
    if (peer_ != nullptr) {
      peer_->OnPeerBytes(bytes);
    }
  }
  if (to_peer_.empty() && peer_close_pending_ && last_arrival_peer_ <= now) {
    ClosePeer();
  }
}

void SimConnection::ScheduleWritable() {
  if (writable_posted_) {
    return;
  }
  writable_posted_ = true;
  const MonoTime at = env_.scheduler.Now() + env_.Between(Duration::zero(), faults_.delay_max);
  env_.scheduler.PostToProduct(at, [this] {
    writable_posted_ = false;
    if (handler_ != nullptr && writable_wanted_ && end_ != End::kReset) {
      writable_wanted_ = false;
      handler_->OnWritable();  // may destroy the stream
    }
  });
}

void SimConnection::ClosePeer() {
  if (!peer_told_) {
    peer_told_ = true;
    if (peer_ != nullptr) {
      peer_->OnPeerClosed();
    }
  }
}

std::unique_ptr<ByteStream> SimNetwork::Dial(const Endpoint& to, ByteStreamHandler& handler) {
  connections_.push_back(std::make_unique<SimConnection>(
      env_, "up" + std::to_string(upstreams_.size()), upstream_.faults()));
  SimConnection& connection = *connections_.back();
  upstreams_.push_back(&connection);
  auto stream = connection.OpenDialled(handler);
  live_.push_back(&connection);
  const DialOutcome outcome = upstream_.draw(to);
  static constexpr const char* kWords[] = {"dialled", "dialled, will be refused",
                                           "dialled, will hang"};
  env_.Note(connection.name(), to.ToString() + " " + kWords[static_cast<std::size_t>(outcome)]);
  if (outcome != DialOutcome::kHangs) {
    env_.scheduler.Post(env_.Between(std::chrono::microseconds(30), std::chrono::milliseconds(2)),
                        [this, &connection, outcome, to] {
                          if (!connection.product_open()) {
                            return;
                          }
                          if (outcome == DialOutcome::kRefused) {
                            connection.Refuse();
                          } else {
                            upstream_.accept(connection, to);
                            connection.Establish();
                          }
                        });
  }
  return stream;
}

SimConnection& SimNetwork::AddClientConnection(std::string name, PathFaults faults) {
  connections_.push_back(std::make_unique<SimConnection>(env_, std::move(name), faults));
  return *connections_.back();
}

MonoTime SimNetwork::Horizon(bool with_lost) const {
  MonoTime horizon = env_.scheduler.Now();
  std::erase_if(live_, [](const SimConnection* connection) { return connection->is_over(); });
  for (const SimConnection* connection : live_) {
    if (const auto oldest = connection->OldestUndelivered(with_lost)) {
      horizon = std::min(horizon, *oldest);
    }
  }
  return horizon;
}

std::size_t SimNetwork::OpenProductStreams() const {
  return static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(),
                    [](const auto& connection) { return connection->product_stream_exists(); }));
}

}  // namespace nearcached::sim
