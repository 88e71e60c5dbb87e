// Readiness (uv_poll) and our own recv and send rather than uv_stream: that way a read lands in one
// buffer shared by all the loop's streams, a write needs no request object and tells at once how
// much the kernel took, and closing is a close(2).
//
// System calls on the hot path are epoll_wait, recv and send: no second recv to be told EAGAIN (a
// recv that did not fill the buffer has emptied the socket; if not, level-triggered epoll reports
// again), no epoll_ctl (interest in writing is registered only after a short write, and pausing is
// lazy: the read interest is withdrawn only if bytes do arrive while paused, so a pause and a
// resume within a turn are free).
//
// Edges: level-triggered epoll asks every socket it reported a second time, in the next epoll_wait,
// only to learn that it is empty now: 0.1 of the 5.5 us that the least request costs the kernel. A
// stream that only reads is therefore moved to EPOLLET, in libuv's own epoll set; libuv knows of
// no edges, but nothing it does later can go wrong with it: each change of interest registers the
// socket anew, level-triggered, and the count begins again. Edge-triggered, whoever stops before
// the socket is empty is not told again, so
//   - when a stream's share of a turn is used up and it may have more, it goes back to levels;
//   - a short read has emptied the socket (epoll(7)), but an end that came with those bytes has no
//     event of its own: EPOLLRDHUP (UV_DISCONNECT) says so, and then we read on until the end;
//   - pausing withdraws the interest, and resuming registers anew, which looks at the level.
// Only TCP: a unix socket may give less than it has (unix(7): at descriptors that were sent along).
//
// Life: any handler call may destroy this stream. After each one, the code looks at handle->data,
// which outlives us (uv_handle.h), before it touches a member again.
#include "daemon/net/fd_stream.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace nearcached {
namespace {

// A stream with much to say gets this many buffers in a row before the others have their turn.
constexpr int kReadsPerEvent = 4;
// UV_DISCONNECT is the end of what the peer sends (EPOLLRDHUP).
constexpr int kReadInterest = UV_READABLE | UV_DISCONNECT;
constexpr std::size_t kPartsPerCall = 1024;                    // IOV_MAX on Linux
constexpr std::size_t kDiscardBytes = std::size_t{64} << 20U;  // more than a receive buffer holds

Error ErrorFromErrno(int error) {
  return Error{error == ETIMEDOUT ? Code::kTimeout : Code::kUnavailable, uv_strerror(-error)};
}

// recv(2) and send(2) without the C library's wrappers, which are points of thread cancellation:
// each costs two locked instructions once the process has a second thread. We cancel no threads.
ssize_t Receive(int fd, std::span<char> into) {
  return syscall(SYS_recvfrom, fd, into.data(), into.size(), 0, nullptr, nullptr);
}

// MSG_NOSIGNAL: a peer that is gone must be an error here, not a SIGPIPE that ends the process.
ssize_t Send(int fd, const iovec& part) {
  return syscall(SYS_sendto, fd, part.iov_base, part.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT, nullptr,
                 0);
}

ssize_t Send(int fd, std::span<const iovec> parts) {
  if (parts.size() == 1) {
    return Send(fd, parts.front());
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());  // sendmsg only reads it
  message.msg_iovlen = parts.size();
  return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool IsWouldBlock(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

}  // namespace

std::unique_ptr<ByteStream> FdStream::Adopt(UvLoop& loop, int fd, ByteStreamHandler& handler,
                                            std::string peer) {
  return std::make_unique<FdStream>(loop, fd, handler, std::move(peer));
}

FdStream::FdStream(UvLoop& loop, int fd, ByteStreamHandler& handler, std::string peer)
    : loop_(loop), handler_(handler), fd_(fd), peer_(std::move(peer)) {
  // Replies are whole when they are written: waiting for more to send would only add latency. The
  // call fails on anything but TCP, which is how we learn what we have.
  const int on = 1;
  is_tcp_ = setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
  const int rc =
      poll_.Open(this, [this](uv_poll_t* h) { return uv_poll_init(loop_.raw(), h, fd_); });
  if (rc < 0) {
    Break(-rc);
    return;
  }
  Watch();
}

FdStream::~FdStream() {
  poll_.Close();
  if (is_tcp_ && !is_broken_ && !is_ended_) {
    // MSG_TRUNC: received bytes are dropped instead of copied out (tcp(7)).
    recv(fd_, nullptr, kDiscardBytes, MSG_TRUNC | MSG_DONTWAIT);
  }
  close(fd_);
}

void FdStream::SetReading(bool on) {
  is_reading_ = on;
  if (on) {
    Watch();
  }
}

bool FdStream::PeerHasEnded() const {
  pollfd watched{.fd = fd_, .events = POLLRDHUP, .revents = 0};
  return is_ended_ || is_broken_ ||
         (poll(&watched, 1, 0) == 1 && (watched.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
}

// Tells libuv which events we want, if that differs from what it watches now.
void FdStream::Watch() {
  const int wanted = (is_reading_ && !is_ended_ && !is_broken_ ? kReadInterest : 0) |
                     (is_waiting_room_ ? int{UV_WRITABLE} : 0);
  if (wanted != watched_ && poll_) {
    ChangeWatch(wanted);
  }
}

void FdStream::ChangeWatch(int wanted) {
  watched_ = wanted;
  is_edge_triggered_ = false;
  times_emptied_ = 0;
  const int rc =
      wanted == 0 ? uv_poll_stop(poll_.get()) : uv_poll_start(poll_.get(), wanted, &OnPoll);
  if (rc < 0) {
    Break(-rc);
  }
}

// One more read that left the socket empty.
void FdStream::CountEmptied() {
  if (!is_edge_triggered_ && is_tcp_ && watched_ == kReadInterest &&
      ++times_emptied_ == kReadsBeforeEdges) {
    WatchEdges();
  }
}

// Changes the trigger behind libuv's back. Where that fails, levels it is.
void FdStream::WatchEdges() {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  event.data.fd = fd_;  // by which libuv finds its watcher
  is_edge_triggered_ = epoll_ctl(uv_backend_fd(loop_.raw()), EPOLL_CTL_MOD, fd_, &event) == 0;
}

void FdStream::OnPoll(uv_poll_t* handle, int status, int events) noexcept {
  auto* self = static_cast<FdStream*>(handle->data);
  if (self == nullptr) {
    return;
  }
  self->loop_.BeginTurn();
  self->HandleEvents(handle, status, events);
}

// May destroy *this.
void FdStream::HandleEvents(uv_poll_t* handle, int status, int events) {
  // A failed poll is the socket's error state. libuv has stopped watching; what the peer sent
  // before may still be there, and the socket itself says what went wrong when it is read.
  const bool is_poll_failed = status < 0;
  if (is_poll_failed) {
    watched_ = 0;
  }
  if ((is_poll_failed || (events & UV_WRITABLE) != 0) && is_waiting_room_) {
    is_waiting_room_ = false;
    handler_.OnWritable();  // a broken socket fails in the Write that follows
    if (handle->data == nullptr) {
      return;
    }
  }
  if (is_poll_failed || (events & kReadInterest) != 0) {
    ReadSome(handle, is_poll_failed, (events & UV_DISCONNECT) != 0);
    if (handle->data == nullptr) {
      return;
    }
  }
  Watch();
}

// May destroy *this.
void FdStream::ReadSome(const uv_poll_t* handle, bool is_poll_failed, bool has_peer_ended) {
  const std::span<char> buffer = loop_.read_buffer();
  StreamStats& stats = loop_.stream_stats();
  for (int i = 0; i < kReadsPerEvent && is_reading_ && !is_ended_ && !is_broken_; ++i) {
    const ssize_t n = Receive(fd_, buffer);
    const int error = errno;
    stats.reads.Add();
    if (n == 0) {
      End(Error{Code::kEof, "peer has finished sending"});
      return;
    }
    if (n < 0) {
      if (error == EINTR) {
        continue;
      }
      if (!IsWouldBlock(error)) {
        Break(error);
      } else if (is_poll_failed) {
        Break(ECONNRESET);  // the error was taken from the socket by an earlier call
      }
      return;
    }
    const auto bytes = static_cast<std::size_t>(n);
    stats.bytes_read.Add(bytes);
    handler_.OnBytes(buffer.first(bytes));
    if (handle->data == nullptr) {
      return;
    }
    if (bytes < buffer.size() && !is_poll_failed && !has_peer_ended) {
      CountEmptied();
      return;
    }
  }
  if (is_edge_triggered_ && is_reading_) {
    ChangeWatch(watched_);  // there may be more: levels report it
  }
  if (is_poll_failed && !is_reading_) {
    // The owner does not read, so it would never find out; nor can it be helped by reading later.
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    Break(error != 0 ? error : ECONNRESET);
  }
}

std::size_t FdStream::Write(std::span<const iovec> parts) {
  if (is_broken_) {
    return TotalBytes(parts);
  }
  if (is_waiting_room_) {
    return 0;  // the kernel would say the same
  }
  std::size_t taken = 0;
  while (!parts.empty() && !is_waiting_room_) {
    const auto chunk = parts.first(std::min(parts.size(), kPartsPerCall));
    int error = 0;
    const std::size_t n = SendChunk(chunk, error);
    if (error != 0 && !IsWouldBlock(error)) {
      Break(error);
      return taken + TotalBytes(parts);
    }
    taken += n;
    is_waiting_room_ = n < TotalBytes(chunk);
    parts = parts.subspan(chunk.size());
  }
  if (is_waiting_room_) {
    loop_.stream_stats().short_writes.Add();
    Watch();
  }
  return taken;
}

// One send of at most kPartsPerCall parts.
std::size_t FdStream::SendChunk(std::span<const iovec> parts, int& error) {
  ssize_t n = 0;
  do {
    n = Send(fd_, parts);
  } while (n < 0 && errno == EINTR);
  StreamStats& stats = loop_.stream_stats();
  stats.writes.Add();
  if (n < 0) {
    error = errno;
    return 0;
  }
  stats.bytes_written.Add(static_cast<std::uint64_t>(n));
  return static_cast<std::size_t>(n);
}

// Marks both directions dead. OnEnd comes from the loop, because this may run inside the owner's
// own call of Write.
void FdStream::Break(int error) {
  if (is_broken_) {
    return;
  }
  is_broken_ = true;
  is_waiting_room_ = false;
  loop_.stream_stats().broken.Add();
  Watch();
  if (!is_ended_) {
    late_end_ = loop_.After(Duration::zero(), [this, error] { End(ErrorFromErrno(error)); });
  }
}

// May destroy *this.
void FdStream::End(const Error& why) {
  is_ended_ = true;
  handler_.OnEnd(why);
}

}  // namespace nearcached
