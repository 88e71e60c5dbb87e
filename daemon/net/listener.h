// Listener: accepts connections on a ListenSocket and hands out their descriptors.
//
// Owned by the server; destroying it stops listening at once. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <uv.h>

#include "daemon/base/counter.h"
#include "daemon/base/result.h"
#include "daemon/base/scheduler.h"
#include "daemon/net/listen_socket.h"
#include "daemon/net/uv_handle.h"
#include "daemon/net/uv_loop.h"

namespace nearcached {

struct ListenerStats {
  Counter accepted;
  Counter accept_errors;  // accept failed for a reason of ours, such as no descriptors left
  Counter pauses;         // times accepting stopped for a moment because of such an error
};

class Listener {
 public:
  // Gets a connected, non-blocking, close-on-exec socket, which it now owns, and the peer's name
  // ("127.0.0.1:50312"; on a unix socket "unix:" and the path of ours). May destroy the listener.
  using OnAccept = std::function<void(int fd, std::string peer)>;

  // `loop` and `stats` are borrowed. Connections that waited in the backlog arrive first.
  [[nodiscard]] static Result<std::unique_ptr<Listener>> Start(UvLoop& loop, ListenSocket socket,
                                                               OnAccept on_accept,
                                                               ListenerStats& stats);

  Listener(UvLoop& loop, ListenSocket socket, OnAccept on_accept, ListenerStats& stats);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  [[nodiscard]] const SocketAddress& address() const { return socket_.address(); }

 private:
  static void OnPoll(uv_poll_t* handle, int status, int events) noexcept;

  [[nodiscard]] int Watch();
  void AcceptSome(const uv_poll_t* handle);
  void Pause(int error);

  UvLoop& loop_;
  ListenSocket socket_;
  // Shared by this listener and the AcceptSome that is calling it: the call may destroy us.
  std::shared_ptr<const OnAccept> on_accept_;
  ListenerStats& stats_;
  UvHandle<uv_poll_t> poll_;
  std::unique_ptr<Timer> resume_;  // set while accepting is paused
};

}  // namespace nearcached
