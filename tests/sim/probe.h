// Asks the sidecar for one thing over and over, and remembers when it last got it: the measure of
// service for a part of the keyspace.
//
// A client like any other, but a patient one: an error is counted and the next question follows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/sim/env.h"
#include "tests/sim/resp.h"
#include "tests/sim/sim_network.h"

namespace nearcached::sim {

class Probe final : public PeerHandler {
 public:
  // Writes to `key`. Owned by the world.
  Probe(Env& env, SimConnection& connection, std::string key);
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  ~Probe() = default;

  void Start() { Ask(); }
  // Asks nothing more.
  void Stop() { stopped_ = true; }

  // When a write that succeeded was sent. The beginning of the world: none was.
  [[nodiscard]] MonoTime served_at() const { return served_at_; }
  [[nodiscard]] const std::string& last_error() const { return last_error_; }

  void OnPeerBytes(std::string_view bytes) override;
  void OnPeerClosed() override { stopped_ = true; }

 private:
  void Ask();

  Env& env_;
  SimConnection& connection_;
  const std::string key_;
  ReplyReader reader_;
  std::uint64_t asked_ = 0;
  MonoTime asked_at_{};
  MonoTime served_at_{};
  std::string last_error_;
  bool stopped_ = false;
};

}  // namespace nearcached::sim
