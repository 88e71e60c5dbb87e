// One client connection of the sidecar: sends what Traffic draws, reads replies at its own pace,
// and goes away in one of many ways.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/checker.h"
#include "tests/sim/env.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/traffic.h"

namespace nearcached::sim {

// How a connection ends.
enum class Farewell : std::uint8_t {
  kQuit,         // QUIT after the last reply
  kClose,        // closes after the last reply
  kHalfClose,    // finishes sending with replies outstanding, and reads them
  kAbrupt,       // resets with replies outstanding
  kHalfCommand,  // sends part of a command and finishes
  kGarbage,      // sends bytes that are no command
};

// Where a connection ends for its client, wherever in a request or a reply that is.
struct Cut {
  std::uint64_t bytes = 0;  // after so many of them
  bool received = false;    // that came; else that were sent
  bool reset = false;       // else it is closed, and what was sent still arrives
};

struct ClientPlan {
  int requests = 40;
  int depth_max = 8;  // most requests in one pipeline
  bool waits = true;  // for all replies before the next pipeline
  Duration think_max = std::chrono::milliseconds(20);
  bool resp3 = false;
  bool subscriber = false;
  bool slow_reader = false;
  Farewell farewell = Farewell::kClose;
  std::optional<Cut> cut;  // it may be over before
};

class Client final : public PeerHandler {
 public:
  Client(Env& env, Checker& checker, Traffic& traffic, SimConnection& connection, int number,
         ClientPlan plan);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() = default;

  void Start();
  // No further requests; says goodbye as planned.
  void WindUp() { plan_.requests = 0; }
  // From here on the sidecar may close the connection at any time (it drains).
  void PermitClose() { close_permitted_ = true; }
  // I6: whatever is outstanding must not be so for too long.
  void CheckDeadline(Duration allowance);
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] std::size_t outstanding() const { return outstanding_.size(); }
  // How many requests for data it has sent while it waited for nothing.
  [[nodiscard]] std::uint64_t asked() const { return asked_; }
  // Bytes, on this connection.
  [[nodiscard]] std::uint64_t sent() const { return connection_.sent(); }
  [[nodiscard]] std::uint64_t received() const { return received_; }

  void OnPeerBytes(std::string_view bytes) override;
  void OnPeerClosed() override;

 private:
  void Step();
  void SendPipeline();
  void Send(std::vector<Request>& batch);
  void SayGoodbye();
  void Leave(bool reset);
  void TakeReply(const RawReply& reply);
  [[nodiscard]] bool IsOutOfBand(const RawReply& reply) const;
  void PauseReading();
  void RestartClock();

  Env& env_;
  Checker& checker_;
  Traffic& traffic_;
  SimConnection& connection_;
  ClientPlan plan_;
  ClientState state_;
  std::string name_;
  ReplyReader reader_;
  std::deque<Request> outstanding_;
  std::uint64_t asked_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t index_ = 0;
  bool subscribed_ = false;
  bool greeted_ = false;
  bool goodbye_said_ = false;
  bool finished_sending_ = false;
  bool close_expected_ = false;  // we gave the sidecar a reason to close
  bool close_permitted_ = false;
  bool done_ = false;
  bool paused_ = false;
  MonoTime front_since_{};  // when the oldest outstanding request's clock started
  bool front_delivered_ = false;
};

}  // namespace nearcached::sim
