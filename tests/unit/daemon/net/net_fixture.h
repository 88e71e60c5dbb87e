// What the tests of net/ share: a loop that cannot hang, connected sockets, and a recording
// handler.
#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <doctest/doctest.h>

#include "daemon/base/byte_stream.h"
#include "daemon/net/socket_address.h"
#include "daemon/net/uv_loop.h"

namespace nearcached {

// Runs the loop until `done()` holds at the end of a turn. The deadline only bounds a failure.
inline void RunUntil(UvLoop& loop, const std::function<bool()>& done) {
  bool is_late = false;
  const auto deadline = loop.After(std::chrono::seconds(10), [&] {
    is_late = true;
    loop.Stop();
  });
  const auto hook = loop.AtTurnEnd([&] {
    if (done()) {
      loop.Stop();
    }
  });
  if (!done()) {
    loop.Run();
  }
  REQUIRE_FALSE(is_late);
}

// Runs `turns` more turns' worth of timers and I/O: what is ready by then has been reported.
inline void RunTurns(UvLoop& loop, int turns) {
  for (int i = 0; i < turns; ++i) {
    bool is_over = false;
    const auto timer = loop.After(Duration::zero(), [&] { is_over = true; });
    RunUntil(loop, [&] { return is_over; });
  }
}

// A descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) { REQUIRE(fd_ >= 0); }
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&&) = delete;
  ~Fd() { Close(); }
  [[nodiscard]] int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Close() {
    if (fd_ >= 0) {
      close(fd_);
    }
    fd_ = -1;
  }

 private:
  int fd_;
};

struct SocketPair {
  Fd ours;    // for the stream under test
  Fd theirs;  // played by the test, non-blocking
};

inline SocketPair UnixPair() {
  std::array<int, 2> fds{};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) == 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

inline SocketPair TcpPair() {
  const Fd listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketAddress address;
  auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
  in->sin_family = AF_INET;
  in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.length = sizeof(sockaddr_in);
  REQUIRE(bind(listening.get(), address.get(), address.length) == 0);
  REQUIRE(listen(listening.get(), 1) == 0);
  REQUIRE(getsockname(listening.get(), address.get(), &address.length) == 0);
  Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(connect(client.get(), address.get(), address.length) == 0);
  Fd server(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(fcntl(client.get(), F_SETFL, O_NONBLOCK) == 0);
  return {std::move(server), std::move(client)};
}

// Closes with a reset instead of an orderly end (TCP).
inline void ResetPeer(Fd& fd) {
  const linger abort_on_close{1, 0};
  REQUIRE(setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &abort_on_close, sizeof(abort_on_close)) ==
          0);
  fd.Close();
}

// Everything that can be read from `fd` now; `saw_end` is set when the other side has closed.
inline std::string ReadAvailable(const Fd& fd, bool* saw_end = nullptr) {
  std::string all;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
    if (n > 0) {
      all.append(buffer.data(), static_cast<std::size_t>(n));
      continue;
    }
    if (saw_end != nullptr) {
      *saw_end = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    }
    return all;
  }
}

// Writes what fits and returns how much that was.
inline std::size_t WriteAvailable(const Fd& fd, std::string_view bytes) {
  const ssize_t n = send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

// Records what a stream says; on_x, where set, runs after the recording and may destroy the stream.
class RecordingHandler final : public ByteStreamHandler {
 public:
  void OnBytes(std::span<char> bytes) override {
    received.append(bytes.data(), bytes.size());
    ++reads;
    if (on_bytes) {
      on_bytes();
    }
  }
  void OnWritable() override {
    ++writables;
    if (on_writable) {
      on_writable();
    }
  }
  void OnEnd(const Error& why) override {
    ++ends;
    end = why;
    if (on_end) {
      on_end();
    }
  }

  std::string received;
  int reads = 0;
  int writables = 0;
  int ends = 0;
  std::optional<Error> end;
  std::function<void()> on_bytes;
  std::function<void()> on_writable;
  std::function<void()> on_end;
};

inline std::size_t WriteTo(ByteStream& stream, std::string_view bytes) {
  const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  return stream.Write({&part, 1});
}

}  // namespace nearcached
