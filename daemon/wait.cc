#include "daemon/wait.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include "daemon/net/tls_stream.h"
#include "proto/requests.h"

namespace nearcached {
namespace {

constexpr auto kRetryEvery = std::chrono::milliseconds(50);
// For each step of one attempt: connecting, sending, the answer.
constexpr auto kPatienceMax = std::chrono::milliseconds(1000);
constexpr auto kPatienceMin = std::chrono::milliseconds(100);

class Socket {
 public:
  explicit Socket(int family) : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) {
      (void)::close(fd_);
    }
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

bool Connect(const Socket& socket, const config::ListenAddress& address) {
  if (address.is_unix()) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    if (address.unix_path.size() >= sizeof(to.sun_path)) {
      errno = ENAMETOOLONG;
      return false;
    }
    std::memcpy(to.sun_path, address.unix_path.c_str(), address.unix_path.size() + 1);
    return ::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0;
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(address.port);
  if (::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
    return ::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&v4), sizeof(v4)) == 0;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  (void)::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr);
  return ::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&v6), sizeof(v6)) == 0;
}

// A sidecar that listens on a wildcard address is asked over loopback.
config::ListenAddress Reachable(config::ListenAddress address) {
  if (address.host == "0.0.0.0") {
    address.host = "127.0.0.1";
  } else if (address.host == "::") {
    address.host = "::1";
  }
  return address;
}

timeval TimevalOf(std::chrono::milliseconds time) {
  return {time.count() / 1000, time.count() % 1000 * 1000};
}

std::string AskOnce(const config::ListenAddress& address, std::chrono::milliseconds step) {
  const int family = address.is_unix()                             ? AF_UNIX
                     : address.host.find(':') != std::string::npos ? AF_INET6
                                                                   : AF_INET;
  const Socket socket(family);
  const timeval patience = TimevalOf(step);
  if (socket.fd() < 0) {
    return std::strerror(errno);
  }
  (void)::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  (void)::setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (!Connect(socket, address)) {
    return std::strerror(errno);
  }
  if (::send(socket.fd(), proto::kPingRequest.data(), proto::kPingRequest.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(proto::kPingRequest.size())) {
    return std::strerror(errno);
  }
  std::array<char, 128> reply{};
  const ssize_t got = ::recv(socket.fd(), reply.data(), reply.size(), 0);
  if (got <= 0) {
    return got == 0 ? "it closed the connection" : "it accepts connections but does not answer";
  }
  const std::string_view text(reply.data(), static_cast<std::size_t>(got));
  if (text.starts_with("+PONG") || text.starts_with("-NOAUTH") ||
      text.starts_with(kTlsWantedReply)) {
    return {};
  }
  return "it answered PING with something else";
}

}  // namespace

std::string WaitForSidecar(const config::ListenAddress& configured,
                           std::chrono::milliseconds timeout) {
  const config::ListenAddress address = Reachable(configured);
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    const std::string why = AskOnce(address, std::clamp(left, kPatienceMin, kPatienceMax));
    if (why.empty() || std::chrono::steady_clock::now() + kRetryEvery >= deadline) {
      return why.empty() ? why : address.ToString() + ": " + why;
    }
    std::this_thread::sleep_for(kRetryEvery);
  }
}

}  // namespace nearcached
