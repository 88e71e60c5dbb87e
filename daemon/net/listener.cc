#include "daemon/net/listener.h"

#include <cerrno>
#include <chrono>
#include <string>
#include <sys/socket.h>
#include <utility>

#include "daemon/base/check.h"
#include "daemon/base/log.h"

namespace nearcached {
namespace {

// Bounded, so that a storm of connections cannot starve the clients that are already here.
constexpr int kAcceptsPerEvent = 64;

// Without a free descriptor, accept fails while the connection stays in the backlog, and level-
// triggered polling would spin. Pausing keeps the connection: it is served when a descriptor frees.
constexpr Duration kPause = std::chrono::milliseconds(100);

// Troubles of one connection that died between handshake and accept (accept(2), "Error handling").
bool IsPeerFault(int error) {
  return error == ECONNABORTED || error == EPROTO || error == ENETDOWN || error == EHOSTDOWN ||
         error == EHOSTUNREACH || error == ENETUNREACH || error == ENOPROTOOPT;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::Start(UvLoop& loop, ListenSocket socket,
                                                  OnAccept on_accept, ListenerStats& stats) {
  auto listener = std::make_unique<Listener>(loop, std::move(socket), std::move(on_accept), stats);
  const int fd = listener->socket_.fd();
  int rc = listener->poll_.Open(listener.get(),
                                [&](uv_poll_t* h) { return uv_poll_init(loop.raw(), h, fd); });
  if (rc == 0) {
    rc = listener->Watch();
  }
  if (rc < 0) {
    return Error{Code::kUnavailable,
                 "listen on " + listener->address().ToString() + ": " + uv_strerror(rc)};
  }
  return listener;
}

Listener::Listener(UvLoop& loop, ListenSocket socket, OnAccept on_accept, ListenerStats& stats)
    : loop_(loop),
      socket_(std::move(socket)),
      on_accept_(std::make_shared<const OnAccept>(std::move(on_accept))),
      stats_(stats) {}

Listener::~Listener() {
  poll_.Close();  // before the socket it polls
}

int Listener::Watch() {
  return uv_poll_start(poll_.get(), UV_READABLE, &OnPoll);
}

void Listener::OnPoll(uv_poll_t* handle, int /*status*/, int /*events*/) noexcept {
  // An error event needs no case of its own: accept4 will name it.
  if (auto* self = static_cast<Listener*>(handle->data); self != nullptr) {
    self->loop_.BeginTurn();
    self->AcceptSome(handle);
  }
}

// May destroy *this.
void Listener::AcceptSome(const uv_poll_t* handle) {
  const std::shared_ptr<const OnAccept> on_accept = on_accept_;
  for (int i = 0; i < kAcceptsPerEvent && handle->data != nullptr; ++i) {
    SocketAddress peer;
    const int fd = accept4(socket_.fd(), peer.get(), &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      stats_.accepted.Add();
      // A unix client is usually unnamed; which of our sockets it came by is what tells it apart.
      const bool is_unix = peer.storage.ss_family == AF_UNIX;
      (*on_accept)(fd, is_unix ? socket_.address().ToString() : peer.ToString());
      continue;
    }
    const int error = errno;
    if (error == EAGAIN || error == EWOULDBLOCK) {
      return;
    }
    if (error != EINTR && !IsPeerFault(error)) {
      Pause(error);
      return;
    }
  }
}

void Listener::Pause(int error) {
  stats_.accept_errors.Add();
  stats_.pauses.Add();
  Log(LogLevel::kWarn, "accept_paused",
      "listener=" + Quoted(address().ToString()) + " error=" + Quoted(uv_strerror(-error)));
  uv_poll_stop(poll_.get());
  resume_ = loop_.After(kPause, [this] { NC_CHECK(Watch() == 0); });
}

}  // namespace nearcached
