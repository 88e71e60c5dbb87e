// Signals: the process's signals as calls on the loop.
//
// One per process, owned by app. Loop thread only, except IgnoreSigpipe.
#pragma once

#include <array>
#include <functional>

#include <uv.h>

#include "daemon/net/uv_handle.h"
#include "daemon/net/uv_loop.h"

namespace nearcached {

class Signals {
 public:
  // Gets SIGTERM, SIGINT or SIGHUP. May destroy the Signals.
  using OnSignal = std::function<void(int signal_number)>;

  // Catches the three signals from now on; they get their default effect back on destruction. Does
  // not keep the loop running. Ends the process if the system refuses (startup only).
  Signals(UvLoop& loop, OnSignal on_signal);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() = default;

  // A write to a peer that is gone must fail with EPIPE and not end the process. Our own sockets
  // ask for that call by call; this covers what libraries write, and stderr. Call once, in main.
  static void IgnoreSigpipe();

 private:
  static void OnUvSignal(uv_signal_t* handle, int signal_number) noexcept;

  UvLoop& loop_;
  OnSignal on_signal_;
  std::array<UvHandle<uv_signal_t>, 3> handles_;
};

}  // namespace nearcached
