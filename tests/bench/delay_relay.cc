// A TCP relay on loopback that holds every byte back for a fixed time, in both directions: a
// network in a box, for kernels without netem. `delay_relay LISTEN_PORT UPSTREAM_PORT DELAY_US`;
// order is kept, throughput is not limited.
//
// Each direction of a connection is a queue of chunks with the moment they become due. One timerfd
// is armed for the earliest of all; its resolution (nanoseconds) is why this is not a script. A
// peer that does not read stops the reading of the other side once kQueueMax bytes wait.
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kQueueMax = std::size_t{16} << 20;

struct Chunk {
  Clock::time_point due;
  std::string data;
  std::size_t sent = 0;
};

// One end of a relayed connection and the bytes on their way to it.
struct End {
  int fd = -1;
  End* peer = nullptr;
  std::deque<Chunk> queue;
  std::size_t queued_bytes = 0;
  bool readable = true;      // it has not ended its stream
  bool write_ready = true;   // the last write was taken whole
  bool closing = false;      // its peer has ended: shut down once the queue is empty
  std::uint32_t events = 0;  // what epoll watches
};

class Relay {
 public:
  Relay(std::uint16_t listen_port, std::uint16_t upstream_port, std::chrono::microseconds delay)
      : upstream_port_(upstream_port), delay_(delay) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int one = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const sockaddr_in address = Loopback(listen_port);
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener_, 1024) != 0) {
      std::perror("delay_relay: listen");
      std::exit(1);
    }
    Watch(listener_, EPOLLIN, EPOLL_CTL_ADD);
    Watch(timer_, EPOLLIN, EPOLL_CTL_ADD);
  }

  [[noreturn]] void Run() {
    std::vector<epoll_event> events(256);
    for (;;) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        Handle(events[static_cast<std::size_t>(i)]);
      }
      Flush();
    }
  }

 private:
  static sockaddr_in Loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void Watch(int fd, std::uint32_t events, int operation) const {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    epoll_ctl(epoll_, operation, fd, &event);
  }

  void Handle(const epoll_event& event) {
    const int fd = event.data.fd;
    if (fd == listener_) {
      Accept();
      return;
    }
    if (fd == timer_) {
      std::uint64_t expirations = 0;
      [[maybe_unused]] const ssize_t got = read(timer_, &expirations, sizeof expirations);
      return;
    }
    const auto found = ends_.find(fd);
    if (found == ends_.end()) {
      return;
    }
    End& end = *found->second;
    if ((event.events & EPOLLOUT) != 0) {
      end.write_ready = true;
    }
    if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
      Read(end);
    }
  }

  void Accept() {
    for (;;) {
      const int client = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client < 0) {
        return;
      }
      // Loopback connects at once or not at all, so this may block.
      const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = Loopback(upstream_port_);
      if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        close(server);
        close(client);
        continue;
      }
      Join(client, server);
    }
  }

  void Join(int client, int server) {
    auto left = std::make_unique<End>();
    auto right = std::make_unique<End>();
    left->fd = client;
    right->fd = server;
    left->peer = right.get();
    right->peer = left.get();
    for (End* end : {left.get(), right.get()}) {
      const int one = 1;
      setsockopt(end->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      end->events = EPOLLIN;
      Watch(end->fd, EPOLLIN, EPOLL_CTL_ADD);
    }
    ends_[client] = std::move(left);
    ends_[server] = std::move(right);
  }

  void Read(End& end) {
    char buffer[65536];
    while (end.readable && end.peer->queued_bytes < kQueueMax) {
      const ssize_t got = recv(end.fd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
      }
      if (got <= 0) {
        end.readable = false;
        end.peer->closing = true;
        return;
      }
      End& to = *end.peer;
      to.queue.push_back(
          Chunk{Clock::now() + delay_, std::string(buffer, static_cast<std::size_t>(got))});
      to.queued_bytes += static_cast<std::size_t>(got);
    }
  }

  // Sends what is due everywhere, closes what has ended, and arms the timer for what is next.
  void Flush() {
    const Clock::time_point now = Clock::now();
    Clock::time_point next = Clock::time_point::max();
    std::vector<int> ended;
    for (auto& [fd, end] : ends_) {
      Send(*end, now);
      if (!end->queue.empty() && end->write_ready && end->queue.front().due < next) {
        next = end->queue.front().due;
      }
      if (end->closing && end->queue.empty()) {
        ended.push_back(fd);
      }
      Rewatch(*end);
    }
    for (const int fd : ended) {
      Close(fd);
    }
    if (next != Clock::time_point::max()) {
      const auto at = std::chrono::duration_cast<std::chrono::nanoseconds>(next.time_since_epoch());
      itimerspec spec{};
      spec.it_value.tv_sec = static_cast<time_t>(at.count() / 1'000'000'000);
      spec.it_value.tv_nsec = static_cast<long>(at.count() % 1'000'000'000);
      timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr);
    }
  }

  static void Send(End& end, Clock::time_point now) {
    while (end.write_ready && !end.queue.empty() && end.queue.front().due <= now) {
      Chunk& chunk = end.queue.front();
      const ssize_t sent = send(end.fd, chunk.data.data() + chunk.sent,
                                chunk.data.size() - chunk.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EAGAIN) {
          end.write_ready = false;
        } else {
          end.queue.clear();  // it is gone: what was on its way to it is lost, as on a real network
          end.queued_bytes = 0;
          end.closing = true;
        }
        return;
      }
      chunk.sent += static_cast<std::size_t>(sent);
      end.queued_bytes -= static_cast<std::size_t>(sent);
      if (chunk.sent == chunk.data.size()) {
        end.queue.pop_front();
      }
    }
  }

  void Rewatch(End& end) const {
    const bool read = end.readable && end.peer->queued_bytes < kQueueMax;
    const std::uint32_t wanted =
        (read ? std::uint32_t{EPOLLIN} : 0U) | (end.write_ready ? 0U : std::uint32_t{EPOLLOUT});
    if (wanted != end.events) {
      end.events = wanted;
      Watch(end.fd, wanted, EPOLL_CTL_MOD);
    }
  }

  // Both ends go together: a half-closed connection is of no use to a benchmark.
  void Close(int fd) {
    const auto found = ends_.find(fd);
    if (found == ends_.end()) {
      return;  // it went with its peer
    }
    const int peer_fd = found->second->peer->fd;
    close(fd);
    close(peer_fd);
    ends_.erase(found);
    ends_.erase(peer_fd);
  }

  const std::uint16_t upstream_port_;
  const std::chrono::microseconds delay_;
  int epoll_ = -1;
  int timer_ = -1;
  int listener_ = -1;
  std::unordered_map<int, std::unique_ptr<End>> ends_;
};

bool ParseNumber(std::string_view text, std::uint32_t max, std::uint32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out <= max;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint32_t listen_port = 0;
  std::uint32_t upstream_port = 0;
  std::uint32_t delay_us = 0;
  if (argc != 4 || !ParseNumber(argv[1], 65535, listen_port) ||
      !ParseNumber(argv[2], 65535, upstream_port) || !ParseNumber(argv[3], 10'000'000, delay_us)) {
    std::fprintf(stderr, "usage: delay_relay LISTEN_PORT UPSTREAM_PORT DELAY_MICROSECONDS\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  Relay(static_cast<std::uint16_t>(listen_port), static_cast<std::uint16_t>(upstream_port),
        std::chrono::microseconds(delay_us))
      .Run();
}
