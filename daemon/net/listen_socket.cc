// A unix socket's file needs care in three places.
//
// Start: a crashed process leaves its file behind, and bind then fails for ever. Removing the file
// blindly would cut off a live server, so we connect first: only "connection refused" means that
// nobody listens. Two processes started in the same instant can still both see a stale file; the
// later one wins the path, which the identity check below keeps harmless.
//
// Permissions: between bind and chmod a socket would have the umask's permissions, which may be too
// wide. fchmod before bind sets the mode that bind creates the file with (less the umask), so it is
// never wider than asked; chmod afterwards restores what the umask took. Nobody can connect before
// listen, so that step has no race.
//
// End: the path may by then belong to a successor. It is removed only if it still names our file.
#include "daemon/net/listen_socket.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include <uv.h>

namespace nearcached {
namespace {

Error ListenError(const Endpoint& at, int error) {
  std::string message = "listen on " + at.ToString() + ": " + uv_strerror(-error);
  if (error == EADDRINUSE) {
    message += "; is another nearcached running?";
  }
  const bool is_wrong_config = error == EADDRNOTAVAIL || error == EACCES || error == ENOENT ||
                               error == ENOTDIR || error == EINVAL || error == EPERM;
  return Error{is_wrong_config ? Code::kInvalid : Code::kUnavailable, std::move(message)};
}

// The first address of `at`, IPv4 preferred: "localhost" must mean what most clients try first.
Result<SocketAddress> LookUp(const Endpoint& at) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(at.port);
  const int rc =
      getaddrinfo(at.host.empty() ? nullptr : at.host.c_str(), port.c_str(), &hints, &found);
  if (rc != 0) {
    return Error{Code::kInvalid, "listen on " + at.ToString() + ": " + gai_strerror(rc)};
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, &freeaddrinfo);
  const addrinfo* chosen = found;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    if (info->ai_family == AF_INET) {
      chosen = info;
      break;
    }
  }
  SocketAddress address;
  address.length = chosen->ai_addrlen;
  std::memcpy(&address.storage, chosen->ai_addr, chosen->ai_addrlen);
  return address;
}

int SetOption(int fd, int level, int option) {
  const int on = 1;
  return setsockopt(fd, level, option, &on, sizeof(on)) == 0 ? 0 : errno;
}

bool IsLoopback(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    return (ntohl(v4->sin_addr.s_addr) >> 24U) == IN_LOOPBACKNET;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  return address.storage.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
}

// Loopback has no bottleneck to find and loses nothing, so the cheapest congestion control is the
// right one there. It matters where the machine's default is BBR, which models the path on every
// acknowledgement and paces every send by a timer: 2 to 3 % of a small hit. Reno is compiled into
// every kernel and allowed to everyone; accepted sockets inherit it (tcp(7), TCP_CONGESTION). A
// refusal costs nothing but that, and is passed over.
void UseCheapestCongestionControl(int fd) {
  constexpr std::string_view kReno = "reno";
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kReno.data(), kReno.size());
}

// What stands in the way at `path`: nothing (true), or an error. Removes a dead socket.
Result<bool> ClearPath(const Endpoint& at, const SocketAddress& address) {
  const std::string& path = at.unix_path;
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) {
      return true;
    }
    return ListenError(at, errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return Error{Code::kInvalid, "listen on " + at.ToString() + ": a file that is no socket"};
  }
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) {
    return ListenError(at, errno);
  }
  const int error = connect(probe, address.get(), address.length) == 0 ? 0 : errno;
  close(probe);
  if (error != ECONNREFUSED && error != ENOENT) {
    return ListenError(at, error == EACCES ? EACCES : EADDRINUSE);  // EAGAIN: alive, but busy
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ListenError(at, errno);
  }
  return true;
}

}  // namespace

Result<ListenSocket> ListenSocket::Open(const Endpoint& at, const ListenOptions& options) {
  return at.unix_path.empty() ? OpenTcp(at, options) : OpenUnix(at, options);
}

Result<ListenSocket> ListenSocket::OpenTcp(const Endpoint& at, const ListenOptions& options) {
  auto address = LookUp(at);
  if (!address.ok()) {
    return address.error();
  }
  const SocketAddress& to = address.value();
  ListenSocket result(socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (result.fd_ < 0) {
    return ListenError(at, errno);
  }
  int error = SetOption(result.fd_, SOL_SOCKET, SO_REUSEADDR);
  if (error == 0 && options.is_shared_port) {
    error = SetOption(result.fd_, SOL_SOCKET, SO_REUSEPORT);
  }
  if (error == 0 && to.storage.ss_family == AF_INET6) {
    error = SetOption(result.fd_, IPPROTO_IPV6, IPV6_V6ONLY);
  }
  if (error == 0) {
    error = SetOption(result.fd_, SOL_SOCKET, SO_KEEPALIVE);  // accepted sockets inherit it
  }
  if (IsLoopback(to)) {
    UseCheapestCongestionControl(result.fd_);
  }
  if (error == 0 && bind(result.fd_, to.get(), to.length) != 0) {
    error = errno;
  }
  if (error == 0 && listen(result.fd_, options.backlog) != 0) {
    error = errno;
  }
  SocketAddress& bound = result.address_;
  if (error == 0 && getsockname(result.fd_, bound.get(), &bound.length) != 0) {
    error = errno;
  }
  if (error != 0) {
    return ListenError(at, error);
  }
  return result;
}

Result<ListenSocket> ListenSocket::OpenUnix(const Endpoint& at, const ListenOptions& options) {
  const std::string& path = at.unix_path;
  SocketAddress to;
  auto* un = reinterpret_cast<sockaddr_un*>(&to.storage);
  if (path.size() >= sizeof(un->sun_path)) {
    return Error{Code::kInvalid, "listen on " + at.ToString() +
                                     ": a unix socket path has at most " +
                                     std::to_string(sizeof(un->sun_path) - 1) + " bytes"};
  }
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.data(), path.size());
  to.length = sizeof(sockaddr_un);

  if (auto cleared = ClearPath(at, to); !cleared.ok()) {
    return cleared.error();
  }
  ListenSocket result(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (result.fd_ < 0) {
    return ListenError(at, errno);
  }
  if (fchmod(result.fd_, options.unix_mode) != 0 || bind(result.fd_, to.get(), to.length) != 0) {
    return ListenError(at, errno);
  }
  result.owned_path_ = path;
  result.address_ = to;
  struct stat info {};
  if (chmod(path.c_str(), options.unix_mode) != 0 || lstat(path.c_str(), &info) != 0) {
    return ListenError(at, errno);
  }
  result.file_device_ = info.st_dev;
  result.file_inode_ = info.st_ino;
  if (listen(result.fd_, options.backlog) != 0) {
    return ListenError(at, errno);
  }
  return result;
}

Result<ListenSocket> ListenSocket::Share() const {
  ListenSocket result(fcntl(fd_, F_DUPFD_CLOEXEC, 0));
  if (result.fd_ < 0) {
    return Error{Code::kUnavailable, "share " + address_.ToString() + ": " + uv_strerror(-errno)};
  }
  result.address_ = address_;
  return result;
}

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      address_(other.address_),
      owned_path_(std::exchange(other.owned_path_, {})),
      file_device_(other.file_device_),
      file_inode_(other.file_inode_) {}

ListenSocket& ListenSocket::operator=(ListenSocket&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    address_ = other.address_;
    owned_path_ = std::exchange(other.owned_path_, {});
    file_device_ = other.file_device_;
    file_inode_ = other.file_inode_;
  }
  return *this;
}

ListenSocket::~ListenSocket() {
  Close();
}

void ListenSocket::Close() {
  if (fd_ < 0) {
    return;
  }
  struct stat info {};
  if (!owned_path_.empty() && lstat(owned_path_.c_str(), &info) == 0 &&
      info.st_dev == file_device_ && info.st_ino == file_inode_) {
    unlink(owned_path_.c_str());
  }
  close(fd_);
  fd_ = -1;
}

}  // namespace nearcached
