// The least that any server can do on this machine: epoll, recv, send, and one constant value for
// every request. It parses nothing (a request is counted by its '*', so keys must have none) and
// remembers nothing. What it costs is the kernel's share, which every process of a benchmark pays;
// no server can be below it. `floor_server PORT VALUE_BYTES`.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr std::size_t kRequestsPerRead = 1024;  // replies prepared; a read holds fewer requests

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

int Listen(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // accepted sockets inherit it
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd, 1024) != 0) {
    Die("floor_server: listen");
  }
  return fd;
}

void Watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    Die("floor_server: epoll_ctl");
  }
}

// Reads once and answers what was read; false when the connection is over.
bool Serve(int fd, std::string_view replies, std::size_t reply_bytes) {
  static std::array<char, 65536> buffer;
  const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
  if (got <= 0) {
    return false;
  }
  const auto requests = static_cast<std::size_t>(
      std::count(buffer.begin(), buffer.begin() + got, '*'));  // every request is an array
  const std::string_view out = replies.substr(0, std::min(replies.size(), requests * reply_bytes));
  return out.empty() || send(fd, out.data(), out.size(), MSG_NOSIGNAL) >= 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("floor_server PORT VALUE_BYTES\n", stderr);
    return 2;
  }
  const int listener = Listen(static_cast<std::uint16_t>(std::strtoul(argv[1], nullptr, 10)));
  const std::string value(std::strtoul(argv[2], nullptr, 10), 'x');
  const std::string reply = "$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
  std::string replies;
  for (std::size_t i = 0; i < kRequestsPerRead; ++i) {
    replies += reply;
  }
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  Watch(epoll, listener);
  std::array<epoll_event, 1024> events{};
  for (;;) {
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd != listener) {
        if (!Serve(fd, replies, reply.size())) {
          close(fd);
        }
        continue;
      }
      const int client = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client >= 0) {
        Watch(epoll, client);
      }
    }
  }
}
