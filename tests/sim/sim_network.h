// In-memory connections under the ByteStream and Dialer seams, with every fault a network has.
//
// A connection has a product end (a ByteStream) and a world end (a simulated client or server).
// Bytes travel as segments with an arrival time; a segment may be cut anywhere, delayed, and
// merged with others on arrival, but never overtakes. Owned by SimNetwork, which lives as long as
// the world, so events may hold plain pointers to connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/byte_stream.h"
#include "tests/sim/env.h"

namespace nearcached::sim {

// How one connection behaves; drawn when it is made.
struct PathFaults {
  Duration delay_min = std::chrono::microseconds(20);  // one way, per segment
  Duration delay_max = std::chrono::microseconds(200);
  double cut = 0.1;  // chance that a segment is cut in two, again and again
  double stall = 0;  // chance that a segment waits up to stall_max more
  Duration stall_max{};
  double short_write = 0;  // chance that Write takes less than there is room for
  std::size_t window = std::size_t{1} << 20U;    // bytes on the way from the product to the peer
  std::size_t read_max = std::size_t{1} << 16U;  // most bytes in one OnBytes
};

// The world end of a connection.
class PeerHandler {
 public:
  virtual void OnPeerBytes(std::string_view bytes) = 0;
  // The product closed its end, or the network broke the connection. Called at most once.
  virtual void OnPeerClosed() = 0;

 protected:
  ~PeerHandler() = default;
};

class SimConnection {
 public:
  SimConnection(Env& env, std::string name, PathFaults faults);
  SimConnection(const SimConnection&) = delete;
  SimConnection& operator=(const SimConnection&) = delete;
  ~SimConnection() = default;

  // World end.
  void SetPeer(PeerHandler* peer) { peer_ = peer; }
  // Sends towards the product.
  void Send(std::string_view bytes);
  // No more bytes towards the product; the other direction stays open.
  void Shutdown();
  // Breaks both directions. Bytes under way may be lost on either side; `lose` says whether those
  // from the product to the world are.
  void Reset(bool lose);
  // Silent death: from now on nothing arrives anywhere and nobody is told.
  void Blackhole();
  // Stops or resumes taking bytes from the product (a slow reader, a stopped server).
  void SetPeerReading(bool on);

  // Product end.
  [[nodiscard]] std::unique_ptr<ByteStream> Open(ByteStreamHandler& handler);
  // The same for a connection that still has to be made: nothing is taken before Establish.
  [[nodiscard]] std::unique_ptr<ByteStream> OpenDialled(ByteStreamHandler& handler);
  void Establish();
  // The dial failed.
  void Refuse();

  // When the oldest thing that the product has not been handed yet was sent: the horizon of what
  // it can know. Empty when it has everything, or has closed its end. Bytes lost in a black hole
  // count only when `with_lost`.
  [[nodiscard]] std::optional<MonoTime> OldestUndelivered(bool with_lost) const;
  // The product will hear nothing from it any more.
  [[nodiscard]] bool is_over() const { return handler_ == nullptr || end_told_; }
  // Bytes handed to the product so far, and sent towards it so far.
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool product_open() const { return handler_ != nullptr; }
  [[nodiscard]] bool product_stream_exists() const { return stream_exists_; }
  [[nodiscard]] bool blackholed() const { return blackholed_; }
  // The product has stopped reading this connection (its back-pressure).
  [[nodiscard]] bool product_reads() const { return reading_; }
  [[nodiscard]] bool dead() const { return dead_; }
  // What is sent towards the product goes on its way: not after Shutdown, Reset or Blackhole.
  [[nodiscard]] bool carries() const { return !dead_ && !blackholed_ && end_ == End::kNone; }

 private:
  class Stream;
  struct Segment {
    std::string bytes;
    MonoTime sent;
    MonoTime arrives;
  };
  enum class End : std::uint8_t { kNone, kEof, kReset };

  MonoTime ArrivalAfter(MonoTime previous);
  void ScheduleRead(MonoTime at);
  void ReadReady();
  void DeliverEnd();
  std::size_t ProductWrite(std::span<const iovec> parts);
  void ProductSetReading(bool on);
  void ProductClosed();
  void PeerArrive();
  void ScheduleWritable();
  void ClosePeer();

  Env& env_;
  std::string name_;
  PathFaults faults_;
  PeerHandler* peer_ = nullptr;
  ByteStreamHandler* handler_ = nullptr;
  bool stream_exists_ = false;
  bool established_ = true;
  bool reading_ = true;
  bool peer_reading_ = true;
  bool blackholed_ = false;
  bool dead_ = false;  // reset: nothing more is sent either way
  bool end_told_ = false;
  bool writable_wanted_ = false;
  bool writable_posted_ = false;
  bool peer_close_pending_ = false;
  bool peer_told_ = false;
  End end_ = End::kNone;
  MonoTime end_sent_{};
  MonoTime end_arrives_{};
  std::optional<MonoTime> lost_since_;  // the first thing that vanished in the black hole
  std::deque<Segment> to_product_;
  std::deque<Segment> to_peer_;
  std::size_t to_peer_bytes_ = 0;
  MonoTime last_arrival_product_{};
  MonoTime last_arrival_peer_{};
  std::uint64_t sent_ = 0;
  std::uint64_t delivered_ = 0;
};

// What a dial comes to; drawn by the world.
enum class DialOutcome : std::uint8_t { kAccepted, kRefused, kHangs };

class SimNetwork final : public Dialer {
 public:
  // `accept` is handed the world end of each dialled connection that is accepted.
  struct Upstream {
    std::function<DialOutcome(const Endpoint&)> draw;
    std::function<PathFaults()> faults;
    std::function<void(SimConnection&, const Endpoint&)> accept;
  };

  SimNetwork(Env& env, Upstream upstream) : env_(env), upstream_(std::move(upstream)) {}
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;
  ~SimNetwork() = default;

  [[nodiscard]] std::unique_ptr<ByteStream> Dial(const Endpoint& to,
                                                 ByteStreamHandler& handler) override;

  // A connection from a client; its product end is opened by the product with Open.
  SimConnection& AddClientConnection(std::string name, PathFaults faults);

  // See SimConnection::OldestUndelivered: the minimum over all upstream connections, `now` if none.
  [[nodiscard]] MonoTime Horizon(bool with_lost) const;
  // Streams that the product still holds (I7).
  [[nodiscard]] std::size_t OpenProductStreams() const;
  [[nodiscard]] const std::vector<SimConnection*>& upstreams() const { return upstreams_; }

 private:
  Env& env_;
  Upstream upstream_;
  std::vector<std::unique_ptr<SimConnection>> connections_;
  std::vector<SimConnection*> upstreams_;
  mutable std::vector<const SimConnection*> live_;  // those of them that may still tell something
};

}  // namespace nearcached::sim
